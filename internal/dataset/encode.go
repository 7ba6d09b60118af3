package dataset

import (
	"context"
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/team"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// Encoder converts a text or a pair of texts to at most maxLength token ids,
// special tokens included; if maxLength is 0 there is no limit. It must be safe
// for concurrent use, and its result may depend only on the arguments and on
// what Hash covers.
type Encoder interface {
	Encode(a string, pair *string, maxLength int) tokenizer.Encoding
	Hash() [32]byte
}

// Encoded is a split as token ids. All N tokens of the n examples are
// concatenated in file order.
type Encoded struct {
	IDs       []int32   // [N]
	TypeIDs   []int32   // [N]; 0 throughout for a tokenizer without segments
	Cu        []int64   // [n+1]; example i is IDs[Cu[i]:Cu[i+1]]
	Labels    []float32 // [n]; NaN for an example without a label. Of a multi-label task: Task.Targets. Of sentences: [W]
	Truncated int       // examples that lost tokens to maxLength
	Cut       []bool    // [n]: which examples these are; nil if the ids were read from the cache
	Cached    bool      // whether the ids were read from the cache

	// These belong to sentences of words, of which W have a token. See WordsAt.
	Words, Starts []int32 // [W]
	WordCu        []int64 // [n+1]; example i has the words with the numbers WordCu[i] to WordCu[i+1]
	Lost, Bare    int     // words that were cut off, and words of which the tokenizer makes no token
}

// Len returns n, the number of examples.
func (e *Encoded) Len() int { return len(e.Cu) - 1 }

// At returns the token ids and segment ids of example i, which share memory
// with e.
func (e *Encoded) At(i int) (ids, typeIDs []int32) {
	return e.IDs[e.Cu[i]:e.Cu[i+1]], e.TypeIDs[e.Cu[i]:e.Cu[i+1]]
}

// LabelsOf returns the label of example i, its targets in a multi-label task, or the labels of its words that have a
// token.
func (e *Encoded) LabelsOf(i int) []float32 {
	if e.WordCu != nil {
		return e.Labels[e.WordCu[i]:e.WordCu[i+1]]
	}
	width := len(e.Labels) / e.Len()
	return e.Labels[i*width : (i+1)*width]
}

// Encode tokenises a split on all processors; the result does not depend on
// their number. If cacheDir is not empty, Encode creates the directory if
// necessary, stores the ids in it and reads them back if tokenizer, texts and
// maxLength are the same; it replaces a damaged cache file without an error. It
// returns an error if the cache cannot be written, if maxLength is below 1, and
// the error of ctx if that ends.
func Encode(ctx context.Context, tok Encoder, s *Split, maxLength int, cacheDir string) (*Encoded, error) {
	if maxLength < 1 {
		return nil, fmt.Errorf("dataset: encode %s: maximum length %d; want at least 1", s.Path, maxLength)
	}
	if cacheDir == "" {
		e, err := tokenise(ctx, tok, s.Examples, maxLength)
		if err != nil {
			return nil, fmt.Errorf("dataset: encode %s: %w", s.Path, err)
		}
		e.setLabels(s.Examples)
		return e, nil
	}
	key := cacheKey(tok.Hash(), s.Examples, maxLength)
	e, ok := readCache(cacheDir, key, len(s.Examples))
	if !ok {
		var err error
		if e, err = tokenise(ctx, tok, s.Examples, maxLength); err != nil {
			return nil, fmt.Errorf("dataset: encode %s: %w", s.Path, err)
		}
		if err := writeCache(cacheDir, key, e); err != nil {
			return nil, err
		}
	}
	e.Cached = ok
	e.setLabels(s.Examples)
	return e, nil
}

func (e *Encoded) setLabels(examples []Example) {
	e.Labels = make([]float32, len(examples))
	for i, x := range examples {
		e.Labels[i] = x.Label
		if !x.HasLabel {
			e.Labels[i] = float32(math.NaN())
		}
	}
}

// tokenise distributes the examples over goroutines, in runs that are long
// enough to make the cost of distribution negligible.
func tokenise(ctx context.Context, tok Encoder, examples []Example, maxLength int) (*Encoded, error) {
	const run = 64
	encodings, cut := make([]tokenizer.Encoding, len(examples)), make([]bool, len(examples))
	err := team.Each(ctx, len(examples), run, func(i int) {
		x := examples[i]
		encodings[i] = tok.Encode(x.TextA, x.TextB, maxLength)
		// Only an example of maxLength tokens can have been cut, so
		// only such examples are encoded a second time.
		n := len(encodings[i].IDs)
		cut[i] = n >= maxLength && len(tok.Encode(x.TextA, x.TextB, 0).IDs) > n
	})
	if err != nil {
		return nil, err
	}
	return pack(encodings, cut), nil
}

func pack(encodings []tokenizer.Encoding, cut []bool) *Encoded {
	e := &Encoded{Cu: make([]int64, len(encodings)+1), Cut: cut}
	for _, c := range cut {
		if c {
			e.Truncated++
		}
	}
	for i, x := range encodings {
		e.Cu[i+1] = e.Cu[i] + int64(len(x.IDs))
	}
	total := e.Cu[len(encodings)]
	e.IDs, e.TypeIDs = make([]int32, total), make([]int32, total)
	for i, x := range encodings {
		copy(e.IDs[e.Cu[i]:], x.IDs)
		copy(e.TypeIDs[e.Cu[i]:e.Cu[i+1]], x.TypeIDs)
	}
	return e
}
