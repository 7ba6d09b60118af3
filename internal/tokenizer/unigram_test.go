package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnigramGLUE encodes every line of some GLUE files with a small Unigram tokenizer and compares digests of the ids
// with those of scripts/golden_unigram.py --glue.
func TestUnigramGLUE(t *testing.T) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		t.Skip("LOR2C_SHARED is not set; it names a folder with data/glue")
	}
	digests := map[string]string{}
	readGolden(t, "unigram_glue.json", &digests)
	if len(digests) < 5 {
		t.Fatalf("only %d digests", len(digests))
	}
	tok := mustLoad(t, "unigram")
	for file, want := range digests {
		t.Run("file="+file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(shared, "data", "glue", filepath.FromSlash(file)))
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			for _, line := range strings.Split(string(data), "\n") {
				ids := tok.Encode(line, nil, 0).IDs
				if err := binary.Write(h, binary.LittleEndian, append([]int32{int32(len(ids))}, ids...)); err != nil {
					t.Fatal(err)
				}
			}
			if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
				t.Errorf("digest %s, want %s", got, want)
			}
		})
	}
}

// TestCharsmapOutside: a map whose places lie outside of it has no replacement there.
func TestCharsmapOutside(t *testing.T) {
	unit := func(units ...uint32) (blob []byte) {
		blob = binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
		for _, u := range units {
			blob = binary.LittleEndian.AppendUint32(blob, u)
		}
		return blob
	}
	// The transition from the root to the letter a is unit 97, and its place in the replacements is unit 97 xor 1.
	const leaf, label = 1 << 8, 'a'
	units := make([]uint32, 98)
	units[96], units[97] = 1<<20, leaf|label|1<<10
	for name, blob := range map[string][]byte{
		"child":       unit(1 << 30),
		"leaf":        unit(0, 0, 0, 0),
		"replacement": append(unit(units...), "b\x00"...),
	} {
		t.Run("outside="+name, func(t *testing.T) {
			m, err := parseCharsmap(blob)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.apply("a日a"); got != "a日a" {
				t.Errorf("got %q; want the text itself", got)
			}
		})
	}
}
