package dataset

import (
	"context"
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/team"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// WordEncoder converts a list of words to at most maxLength token ids, special tokens included; if maxLength is 0 there
// is no limit. starts has the index of the first id of each word, or -1. It must be safe for concurrent use.
type WordEncoder interface {
	EncodeWords(words []string, maxLength int) (e tokenizer.Encoding, starts []int32)
}

// EncodeWords tokenises the sentences of a split on all processors; the result does not depend on their number. It does
// not use the cache of Encode. It returns an error if maxLength is below 1, and the error of ctx if that ends.
func EncodeWords(ctx context.Context, tok WordEncoder, s *Split, maxLength int) (*Encoded, error) {
	if maxLength < 1 {
		return nil, fmt.Errorf("dataset: encode %s: maximum length %d; want at least 1", s.Path, maxLength)
	}
	const run = 64
	n := len(s.Examples)
	encodings, cut, starts := make([]tokenizer.Encoding, n), make([]bool, n), make([][]int32, n)
	whole := make([][]int32, n) // starts without a limit, of sentences that may have been cut
	err := team.Each(ctx, n, run, func(i int) {
		words := s.Examples[i].Words
		encodings[i], starts[i] = tok.EncodeWords(words, maxLength)
		if count := len(encodings[i].IDs); count >= maxLength {
			all, at := tok.EncodeWords(words, 0)
			cut[i], whole[i] = len(all.IDs) > count, at
		}
	})
	if err != nil {
		return nil, fmt.Errorf("dataset: encode %s: %w", s.Path, err)
	}
	e := pack(encodings, cut)
	e.WordCu = make([]int64, n+1)
	for i, x := range s.Examples {
		for word, start := range starts[i] {
			switch {
			case start < 0 && whole[i] != nil && whole[i][word] >= 0:
				e.Lost++
			case start < 0:
				e.Bare++
			default:
				label := float32(math.NaN())
				if x.HasLabel {
					label = float32(x.Tags[word])
				}
				e.Words, e.Starts, e.Labels = append(e.Words, int32(word)), append(e.Starts, start), append(e.Labels, label)
			}
		}
		e.WordCu[i+1] = int64(len(e.Words))
	}
	return e, nil
}

// WordsAt returns the words of example i that have a token: their indices in the sentence and those of their first
// tokens among the ids of the example. They share memory with e.
func (e *Encoded) WordsAt(i int) (words, starts []int32) {
	from, to := e.WordCu[i], e.WordCu[i+1]
	return e.Words[from:to], e.Starts[from:to]
}
