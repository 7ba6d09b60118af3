package dataset

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/lor2c/lor2c/internal/tokenizer"
)

// Encoder turns a text or a pair of texts into at most maxLength token ids,
// special tokens included; a maxLength of 0 is no limit. It must be safe for
// concurrent use and its result may depend on nothing but the arguments and what
// Hash covers.
type Encoder interface {
	Encode(a string, pair *string, maxLength int) tokenizer.Encoding
	Hash() [32]byte
}

// Encoded is a split as token ids, all N tokens of all n examples packed one
// after the other in file order.
type Encoded struct {
	IDs       []int32   // [N]
	TypeIDs   []int32   // [N]; 0 throughout for a tokenizer without segments
	Cu        []int64   // [n+1]; example i is IDs[Cu[i]:Cu[i+1]]
	Labels    []float32 // [n]; NaN where the example has no label
	Truncated int       // examples that lost tokens to maxLength
	Cached    bool      // read from the cache rather than tokenised now
}

// Len is the number of examples n.
func (e *Encoded) Len() int { return len(e.Cu) - 1 }

// At returns the token ids and segment ids of example i, as views.
func (e *Encoded) At(i int) (ids, typeIDs []int32) {
	return e.IDs[e.Cu[i]:e.Cu[i+1]], e.TypeIDs[e.Cu[i]:e.Cu[i+1]]
}

// Encode tokenises a split on all processors; the result does not depend on
// their number. With a cacheDir, which is created if need be, the ids are kept
// there and read back when tokenizer, texts and maxLength are the same; a damaged
// cache file is replaced without a word. Errors are about writing the cache or a
// maxLength below 1, or that of ctx when it ends.
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

// tokenise hands out examples in runs long enough to make the hand-out free.
func tokenise(ctx context.Context, tok Encoder, examples []Example, maxLength int) (*Encoded, error) {
	const run = 64
	encodings := make([]tokenizer.Encoding, len(examples))
	var next, truncated atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				lo := int(next.Add(run)) - run
				if lo >= len(examples) || ctx.Err() != nil {
					return
				}
				for i := lo; i < min(lo+run, len(examples)); i++ {
					x := examples[i]
					encodings[i] = tok.Encode(x.TextA, x.TextB, maxLength)
					// Only a full example can have been cut; the few of them are
					// worth a second look, all of them would not be.
					if n := len(encodings[i].IDs); n >= maxLength && len(tok.Encode(x.TextA, x.TextB, 0).IDs) > n {
						truncated.Add(1)
					}
				}
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return pack(encodings, int(truncated.Load())), nil
}

func pack(encodings []tokenizer.Encoding, truncated int) *Encoded {
	e := &Encoded{Cu: make([]int64, len(encodings)+1), Truncated: truncated}
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
