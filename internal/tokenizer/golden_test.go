package tokenizer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// goldenEncode is testdata/golden/encode.json, written by
// scripts/golden_tokenizer.py with Hugging Face's tokenizers.
type goldenEncode struct {
	Texts      []string
	Pairs      [][2]string
	Tokenizers map[string]struct {
		Singles   [][]int32
		Decoded   []string
		Pairs     [][2][]int32
		Truncated []struct {
			Pair *int
			Text string
			Max  int
			IDs  []int32
		}
	}
}

func readGolden(t testing.TB, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok, err := Load(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestEncodeEqualsHuggingFace(t *testing.T) { testEncode(t, "encode.json", 13) }

// TestUnigramEqualsHuggingFace does the same for the tokenizers of scripts/golden_unigram.py.
func TestUnigramEqualsHuggingFace(t *testing.T) { testEncode(t, "unigram.json", 5) }

func testEncode(t *testing.T, file string, least int) {
	var g goldenEncode
	readGolden(t, file, &g)
	if len(g.Tokenizers) < least {
		t.Fatalf("%d tokenizers in %s; %d were written", len(g.Tokenizers), file, least)
	}
	for name, want := range g.Tokenizers {
		t.Run("tokenizer="+name, func(t *testing.T) {
			tok := mustLoad(t, name)
			// In the second pass the word cache is filled.
			for pass := range 2 {
				for i, text := range g.Texts {
					e := tok.Encode(text, nil, 0)
					if !slices.Equal(e.IDs, want.Singles[i]) {
						t.Errorf("pass %d, %q:\n got %v\nwant %v", pass, text, e.IDs, want.Singles[i])
					}
				}
			}
			for i, text := range want.Decoded {
				if got := tok.Decode(want.Singles[3*i]); got != text {
					t.Errorf("decode %q: got %q, want %q", g.Texts[3*i], got, text)
				}
			}
			for i, p := range g.Pairs {
				e := tok.Encode(p[0], &p[1], 0)
				if !slices.Equal(e.IDs, want.Pairs[i][0]) || !slices.Equal(e.TypeIDs, want.Pairs[i][1]) {
					t.Errorf("pair %q:\n got %v\nwant %v", p, e, want.Pairs[i])
				}
			}
			for _, c := range want.Truncated {
				e := tok.Encode(c.Text, nil, c.Max)
				if c.Pair != nil {
					p := g.Pairs[*c.Pair]
					e = tok.Encode(p[0], &p[1], c.Max)
				}
				if !slices.Equal(e.IDs, c.IDs) {
					t.Errorf("%+v: got %v", c, e.IDs)
				}
				if len(e.IDs) > c.Max || len(e.TypeIDs) != len(e.IDs) {
					t.Errorf("max_length %d: %d ids, %d type ids", c.Max, len(e.IDs), len(e.TypeIDs))
				}
			}
		})
	}
}

// TestEncodeBelowSpecials: if max_length is below the number of special tokens,
// the result is the special tokens. In the reference the subtraction
// underflows, and nothing is truncated.
func TestEncodeBelowSpecials(t *testing.T) {
	tok := mustLoad(t, "bpe")
	pair := "the boats"
	for maxLength := 1; maxLength <= 4; maxLength++ {
		if e := tok.Encode("the river", &pair, maxLength); !slices.Equal(e.IDs, []int32{0, 2, 2, 2}) {
			t.Errorf("max_length %d: got %v", maxLength, e.IDs)
		}
	}
}

// TestRoutesAgree: tokenizer.json and the older files of one tokenizer give the
// same ids.
func TestRoutesAgree(t *testing.T) {
	var g goldenEncode
	readGolden(t, "encode.json", &g)
	for _, c := range [][2]string{{"bpe", "bpe-files"}, {"wordpiece", "wordpiece-files"}, {"unigram", "unigram-model"}} {
		t.Run("tokenizer="+c[0], func(t *testing.T) {
			a, b := mustLoad(t, c[0]), mustLoad(t, c[1])
			if a.Hash() != b.Hash() {
				t.Errorf("hashes differ: %x and %x", a.Hash(), b.Hash())
			}
			if a.VocabSize() != b.VocabSize() || a.PadID() != b.PadID() {
				t.Errorf("sizes %d and %d, pad ids %d and %d", a.VocabSize(), b.VocabSize(), a.PadID(), b.PadID())
			}
			for _, text := range g.Texts {
				if x, y := a.Encode(text, nil, 0).IDs, b.Encode(text, nil, 0).IDs; !slices.Equal(x, y) {
					t.Errorf("%q: %v and %v", text, x, y)
				}
			}
		})
	}
}

func TestVocabulary(t *testing.T) {
	for _, c := range []struct {
		name      string
		size      int
		pad       int32
		id        int32
		token     string
		beyondEnd int32
	}{
		{"bpe", 601, 1, 600, "<mask>", 601},
		{"bpe-added", 607, 1, 602, "<new>>", 607},
		{"wordpiece", 419, 0, 4, "[MASK]", 419},
	} {
		t.Run("tokenizer="+c.name, func(t *testing.T) {
			tok := mustLoad(t, c.name)
			if got := tok.VocabSize(); got != c.size {
				t.Errorf("size %d, want %d", got, c.size)
			}
			if got := tok.PadID(); got != c.pad {
				t.Errorf("pad id %d, want %d", got, c.pad)
			}
			if got := tok.Token(c.id); got != c.token {
				t.Errorf("token %d is %q, want %q", c.id, got, c.token)
			}
			if got := tok.Token(c.beyondEnd) + tok.Token(-1); got != "" {
				t.Errorf("tokens outside the vocabulary: %q", got)
			}
		})
	}
}

func TestHashTellsRulesApart(t *testing.T) {
	seen := map[[32]byte]string{}
	for _, name := range []string{"bpe", "bpe-prefix", "bpe-drop", "bpe-unk", "bpe-fuse", "bpe-added",
		"wordpiece", "wordpiece-cased", "wordpiece-accents", "wordpiece-added", "wordpiece-raw",
		"unigram", "unigram-camembert", "unigram-classic", "unigram-bytes"} {
		h := mustLoad(t, name).Hash()
		if other, dup := seen[h]; dup {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		if h != mustLoad(t, name).Hash() {
			t.Errorf("%s: a second load has another hash", name)
		}
		seen[h] = name
	}
}

func TestEncodeConcurrently(t *testing.T) {
	var g goldenEncode
	readGolden(t, "encode.json", &g)
	tok, want := mustLoad(t, "bpe"), g.Tokenizers["bpe"].Singles
	errs := make(chan error)
	for worker := range 8 {
		go func() {
			for i := range g.Texts {
				i = (i + worker*17) % len(g.Texts)
				if got := tok.Encode(g.Texts[i], nil, 0).IDs; !slices.Equal(got, want[i]) {
					errs <- fmt.Errorf("%q: got %v, want %v", g.Texts[i], got, want[i])
					return
				}
			}
			errs <- nil
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
