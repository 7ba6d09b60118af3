package tokenizer

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sharedTexts returns the texts of a benchmark or instruction file in the order
// of texts_of in scripts/golden_decoder_tokenizer.py.
func sharedTexts(t testing.TB, path string) (texts []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case strings.HasSuffix(path, ".csv"):
		texts = strings.Split(string(data), "\n")
	case strings.HasSuffix(path, ".gz"):
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		texts = strings.Split(string(all), "\n")
	default:
		var rows []map[string]any
		if json.Unmarshal(data, &rows) != nil {
			var file struct{ Examples []map[string]any }
			if err := json.Unmarshal(data, &file); err != nil {
				t.Fatal(err)
			}
			rows = file.Examples
		}
		for _, row := range rows {
			for _, key := range slices.Sorted(maps.Keys(row)) {
				if text, ok := row[key].(string); ok {
					texts = append(texts, text)
				}
			}
		}
	}
	return texts
}

// digestOf returns the digest of the ids of texts as the script computes it.
func digestOf(texts []string, encode func(text string) []int32) string {
	h := sha256.New()
	var buf []byte
	for _, text := range texts {
		ids := encode(text)
		buf = binary.LittleEndian.AppendUint32(buf[:0], uint32(len(ids)))
		for _, id := range ids {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
		}
		h.Write(buf)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TestOddTexts encodes strings for which tokenizers of LLaMA 2 have given
// different ids.
func TestOddTexts(t *testing.T) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		t.Skip("LOR2C_SHARED is not set; it names a folder with design/decoder and data/tokenizers")
	}
	data, err := os.ReadFile(filepath.Join(shared, "design", "decoder", "llama2_odd_ids.json"))
	if err != nil {
		t.Fatal(err)
	}
	var odd struct {
		Texts                      []string
		Sentencepiece, Huggingface [][]int32
	}
	if err := json.Unmarshal(data, &odd); err != nil || len(odd.Texts) < 60 {
		t.Fatalf("%d texts, %v", len(odd.Texts), err)
	}
	dir := filepath.Join(shared, "data", "tokenizers", "llama2")
	pieces := t.TempDir()
	put(t, pieces, sentencePieceFile, get(t, dir, sentencePieceFile))
	converted, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	model, err := Load(pieces)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range odd.Texts {
		if got := converted.AppendIDs(nil, text, true); !slices.Equal(got, odd.Huggingface[i]) {
			t.Errorf("tokenizer.json, %q: got %v, want %v", text, got, odd.Huggingface[i])
		}
		if got := model.AppendIDs(nil, text, false); !slices.Equal(got, odd.Sentencepiece[i]) {
			t.Errorf("tokenizer.model, %q: got %v, want %v", text, got, odd.Sentencepiece[i])
		}
	}
}
