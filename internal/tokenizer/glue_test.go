package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGLUEEqualsHuggingFace encodes every line of the real GLUE files, alone
// and in pairs, and compares digests of the ids with those of
// scripts/golden_tokenizer.py --glue.
func TestGLUEEqualsHuggingFace(t *testing.T) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		t.Skip("LOR2C_SHARED is not set; it names a folder with data/glue and data/tokenizers")
	}
	var g struct {
		Files []struct {
			File      string
			Columns   []int
			Tokenizer string
			MaxLength int `json:"max_length"`
			Lines     int
			SHA256    string
		}
	}
	readGolden(t, "glue.json", &g)
	if len(g.Files) < 200 {
		t.Fatalf("only %d digests", len(g.Files))
	}
	loaded := map[string]*Tokenizer{}
	for _, name := range []string{"roberta-base", "bert-uncased"} {
		tok, err := Load(filepath.Join(shared, "data", "tokenizers", name))
		if err != nil {
			t.Fatal(err)
		}
		loaded[name] = tok
	}
	const mpnet = "all-mpnet-base-v2"
	if dir := os.Getenv("LOR2C_MPNET"); dir != "" {
		tok, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		loaded[mpnet] = tok
	}
	for _, f := range g.Files {
		t.Run(fmt.Sprintf("file=%s/columns=%v/tokenizer=%s/max=%d", f.File, f.Columns, f.Tokenizer, f.MaxLength),
			func(t *testing.T) {
				if f.Tokenizer == mpnet && loaded[mpnet] == nil {
					t.Skip("LOR2C_MPNET is not set; it names a folder with all-mpnet-base-v2")
				}
				t.Parallel()
				data, err := os.ReadFile(filepath.Join(shared, "data", "glue", f.File))
				if err != nil {
					t.Fatal(err)
				}
				h, lines := sha256.New(), 0
				var buf []byte
				for line := range bytes.Lines(data) {
					lines++
					fields := strings.Split(strings.TrimSuffix(string(line), "\n"), "\t")
					var texts [2]string
					for i, c := range f.Columns {
						if c < len(fields) {
							texts[i] = fields[c]
						}
					}
					var second *string
					if len(f.Columns) == 2 {
						second = &texts[1]
					}
					ids := loaded[f.Tokenizer].Encode(texts[0], second, f.MaxLength).IDs
					buf = binary.LittleEndian.AppendUint32(buf[:0], uint32(len(ids)))
					for _, id := range ids {
						buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
					}
					h.Write(buf)
				}
				if lines != f.Lines {
					t.Errorf("%d lines, want %d", lines, f.Lines)
				}
				if got := hex.EncodeToString(h.Sum(nil)); got != f.SHA256 {
					t.Errorf("digest %s, want %s", got, f.SHA256)
				}
			})
	}
}

func BenchmarkEncode(b *testing.B) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		b.Skip("LOR2C_SHARED is not set; it names a folder with data/glue and data/tokenizers")
	}
	data, err := os.ReadFile(filepath.Join(shared, "data", "glue", "RTE", "train.tsv"))
	if err != nil {
		b.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	for _, name := range []string{"roberta-base", "bert-uncased"} {
		b.Run("tokenizer="+name, func(b *testing.B) {
			tok, err := Load(filepath.Join(shared, "data", "tokenizers", name))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				for _, line := range lines {
					tok.Encode(line, nil, 0)
				}
			}
		})
	}
}
