package instruct

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
)

// SplitFraction returns the rows of f without a drawn fraction of them, and
// those rows as validation, both in the order of the file. Rows of equal texts
// stay on one side. The draw depends on the seed and the rows only.
func (f *File) SplitFraction(fraction float64, seed uint64) (train, validation *File, err error) {
	at := map[string]int{} // the group of each text
	var groups [][]int
	for i, row := range f.Rows {
		key := row.key()
		g, known := at[key]
		if !known {
			g = len(groups)
			at[key], groups = g, append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	inValidation := make([]bool, len(f.Rows))
	dataset.Draw(inValidation, groups, int(math.Round(fraction*float64(len(f.Rows)))), seed)
	var chosen, rest []int32
	for i, in := range inValidation {
		if in {
			chosen = append(chosen, int32(i))
		} else {
			rest = append(rest, int32(i))
		}
	}
	return f.divide(rest, chosen)
}

// SplitNumpy returns the rows that train_test_split(test_size=n, seed=seed) of
// the package datasets gives, in its order: the validation rows are the first n
// of numpy's permutation, and the training rows are the others.
func (f *File) SplitNumpy(n int, seed uint64) (train, validation *File, err error) {
	order := numpyPermutation(seed, len(f.Rows))
	n = min(n, len(order))
	return f.divide(order[n:], order[:n])
}

func (f *File) divide(train, validation []int32) (a, b *File, err error) {
	if len(train) == 0 || len(validation) == 0 {
		return nil, nil,
			place.Mistake(fmt.Errorf("instruct: split %s: %d of its %d rows for validation leave %d for training; want at "+
				"least one of each",
				f.Path, len(validation), len(f.Rows), len(train)))
	}
	pick := func(indices []int32) *File {
		part := &File{Path: f.Path, SHA256: f.SHA256, Format: f.Format, shared: f.shared}
		for _, i := range indices {
			part.Rows = append(part.Rows, f.Rows[i])
		}
		return part
	}
	return pick(train), pick(validation), nil
}
