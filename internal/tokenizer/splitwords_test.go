package tokenizer

import (
	"slices"
	"testing"
)

// wordIDs is what transformers gives for a list of words; see scripts/golden_words.py.
type wordIDs struct{ IDs, Starts []int32 }

// TestWordsEqualTransformers compares the ids of lists of words, whole and cut to seven ids, and where words begin.
func TestWordsEqualTransformers(t *testing.T) {
	var g struct {
		Sentences  [][]string
		Tokenizers map[string][]struct {
			wordIDs
			Cut wordIDs
		}
	}
	readGolden(t, "words.json", &g)
	if len(g.Tokenizers) != 11 || len(g.Sentences) < 15 {
		t.Fatalf("%d tokenizers and %d sentences", len(g.Tokenizers), len(g.Sentences))
	}
	for name, all := range g.Tokenizers {
		t.Run("tokenizer="+name, func(t *testing.T) {
			tok := mustLoad(t, name)
			for i, words := range g.Sentences {
				for limit, want := range map[int]wordIDs{0: all[i].wordIDs, 7: all[i].Cut} {
					e, starts := tok.EncodeWords(words, limit)
					if !slices.Equal(e.IDs, want.IDs) || len(e.TypeIDs) != len(e.IDs) {
						t.Errorf("%q to %d ids:\n got %v\nwant %v", words, limit, e.IDs, want.IDs)
					}
					if !slices.Equal(starts, want.Starts) {
						t.Errorf("%q to %d ids, words begin at\n got %v\nwant %v", words, limit, starts, want.Starts)
					}
				}
			}
		})
	}
}
