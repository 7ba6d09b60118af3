package dataset

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lor2c/lor2c/internal/tokenizer"
)

// The tokenizer of lor2c must implement Encoder.
var _ Encoder = (*tokenizer.Tokenizer)(nil)

// letters is an encoder whose ids are the bytes of the texts, with segment 1 for
// the second. It counts its calls.
type letters struct {
	name  string
	calls *atomic.Int64
}

func (l letters) Hash() [32]byte { return sha256.Sum256([]byte(l.name)) }

func (l letters) Encode(a string, pair *string, maxLength int) tokenizer.Encoding {
	l.calls.Add(1)
	var e tokenizer.Encoding
	add := func(s string, segment int32) {
		for _, b := range []byte(s) {
			if maxLength == 0 || len(e.IDs) < maxLength {
				e.IDs, e.TypeIDs = append(e.IDs, int32(b)), append(e.TypeIDs, segment)
			}
		}
	}
	add(a, 0)
	if pair != nil {
		add(*pair, 1)
	}
	return e
}

func newLetters() letters { return letters{"letters", new(atomic.Int64)} }

func sample() *Split {
	return &Split{Path: "sample", Examples: []Example{
		{ID: 0, TextA: "abc", Label: 1, HasLabel: true},
		{ID: 1, TextA: "de", TextB: ptr("fghij")},
		{ID: 2, TextA: "", Label: 2, HasLabel: true},
		{ID: 3, TextA: "klmno", Label: 0, HasLabel: true},
	}}
}

var sampleEncoded = &Encoded{
	IDs:       []int32{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'k', 'l', 'm', 'n', 'o'},
	TypeIDs:   []int32{0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0},
	Cu:        []int64{0, 3, 8, 8, 13},
	Labels:    []float32{1, float32(math.NaN()), 2, 0},
	Truncated: 1,
	Cut:       []bool{false, true, false, false},
}

func TestEncodePacks(t *testing.T) {
	got, err := Encode(t.Context(), newLetters(), sample(), 5, "")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sampleEncoded, got, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
	ids, types := got.At(1)
	if got.Len() != 4 || string(rune(ids[0])) != "d" || types[4] != 1 || len(ids) != 5 {
		t.Errorf("len %d, example 1: %v %v", got.Len(), ids, types)
	}
}

// TestEncodeIsDeterministic: many examples on several processors give the same
// result as one at a time.
func TestEncodeIsDeterministic(t *testing.T) {
	s := &Split{}
	for i := range 1000 {
		s.Examples = append(s.Examples, Example{ID: i, TextA: strings.Repeat("x", i%13) + string(rune('a'+i%26))})
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one, err := Encode(t.Context(), newLetters(), s, 8, "")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GOMAXPROCS(7)
	many, err := Encode(t.Context(), newLetters(), s, 8, "")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(one, many, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
	// Texts of 9 to 13 letters are cut: 5 of every 13 texts, and 1000 = 76*13 +
	// 12.
	if want := 76*5 + 4; one.Truncated != want {
		t.Errorf("%d truncated; want %d", one.Truncated, want)
	}
}

func TestCacheIsUsed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on demand")
	tok := newLetters()
	for i, cached := range []bool{false, true} {
		tok.calls.Store(0)
		got, err := Encode(t.Context(), tok, sample(), 5, dir)
		if err != nil {
			t.Fatal(err)
		}
		stored := cmpopts.IgnoreFields(Encoded{}, "Cached", "Cut")
		if d := cmp.Diff(sampleEncoded, got, cmpopts.EquateNaNs(), stored); d != "" {
			t.Error(d)
		}
		if got.Cached != cached || cached != (tok.calls.Load() == 0) {
			t.Errorf("run %d: cached %v after %d calls", i, got.Cached, tok.calls.Load())
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 {
		t.Errorf("files %v; want one and no temporary", files)
	}
}

// TestCacheKey: everything that the ids depend on changes the key; labels do
// not.
func TestCacheKey(t *testing.T) {
	base := cacheKey([32]byte{1}, sample().Examples, 5)
	change := func(f func([]Example)) [32]byte {
		s := sample()
		f(s.Examples)
		return cacheKey([32]byte{1}, s.Examples, 5)
	}
	for name, key := range map[string][32]byte{
		"tokenizer": cacheKey([32]byte{2}, sample().Examples, 5),
		"length":    cacheKey([32]byte{1}, sample().Examples, 6),
		"fewer":     cacheKey([32]byte{1}, sample().Examples[:3], 5),
		"text":      change(func(e []Example) { e[0].TextA = "abd" }),
		"moved":     change(func(e []Example) { e[1].TextA, e[1].TextB = "def", ptr("ghij") }),
		"no_pair":   change(func(e []Example) { e[1].TextA, e[1].TextB = "defghij", nil }),
		"no_text":   change(func(e []Example) { e[2].TextB = ptr("") }),
	} {
		if key == base {
			t.Errorf("%s does not change the key", name)
		}
	}
	if change(func(e []Example) { e[0].Label, e[0].HasLabel = 0, false }) != base {
		t.Error("a label changes the key")
	}
}

// TestDamagedCache: any damaged byte, any cut and any other file is detected
// and replaced.
func TestDamagedCache(t *testing.T) {
	dir := t.TempDir()
	tok := newLetters()
	if _, err := Encode(t.Context(), tok, sample(), 5, dir); err != nil {
		t.Fatal(err)
	}
	path := cachePath(dir, cacheKey(tok.Hash(), sample().Examples, 5))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := cacheKey([32]byte{9}, sample().Examples, 5)
	if err := writeCache(dir, other, sampleEncoded); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(cachePath(dir, other))
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string][]byte{"empty": {}, "cut": good[:len(good)-1], "header": good[:10],
		"longer": append(good[:len(good):len(good)], 0), "foreign": foreign}
	for _, at := range []int{0, 7, 8, 39, 40, 48, 56, 64, 96, 110, 150, len(good) - 1} {
		flipped := append([]byte(nil), good...)
		flipped[at] ^= 1
		damage[fmt.Sprintf("flip/at=%d", at)] = flipped
	}
	for name, raw := range damage {
		t.Run("damage="+name, func(t *testing.T) {
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Encode(t.Context(), tok, sample(), 5, dir)
			if err != nil || got.Cached {
				t.Fatalf("cached %v, error %v", got.Cached, err)
			}
			if d := cmp.Diff(sampleEncoded, got, cmpopts.EquateNaNs()); d != "" {
				t.Error(d)
			}
			if again, _ := os.ReadFile(path); !cmp.Equal(again, good) {
				t.Error("the file was not rebuilt")
			}
		})
	}
}

func TestEncodeErrors(t *testing.T) {
	want := "dataset: encode sample: maximum length 0; want at least 1"
	if _, err := Encode(t.Context(), newLetters(), sample(), 0, ""); err == nil || err.Error() != want {
		t.Errorf("error %v; want %s", err, want)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want = "dataset: write token cache: mkdir " + file +
		": not a directory; make the folder of caches writable, or train without a cache"
	if _, err := Encode(t.Context(), newLetters(), sample(), 5, file); err == nil || err.Error() != want {
		t.Errorf("error %v; want %s", err, want)
	}
}
