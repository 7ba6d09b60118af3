package instruct

import (
	"cmp"
	"slices"

	"github.com/lor2c/lor2c/internal/dataset"
)

// LengthGrouped returns the order in which an epoch visits rows of the given
// lengths so that an optimizer step of size rows gets rows of similar lengths,
// as group_by_length of transformers does: a permutation is cut into groups of
// 50 steps, or of a quarter of all steps if that is less, and each group is
// sorted by length, longest first. The longest row of all comes first, so that
// a lack of memory shows at once.
func LengthGrouped(seed uint64, epoch int, lengths []int, size int) []int32 {
	order := dataset.Order(seed, epoch, len(lengths))
	group := min(50, max(1, len(lengths)/(4*size))) * size
	longest := 0
	for start := 0; start < len(order); start += group {
		part := order[start:min(start+group, len(order))]
		slices.SortStableFunc(part, func(a, b int32) int { return cmp.Compare(lengths[b], lengths[a]) })
		if lengths[part[0]] > lengths[order[longest]] {
			longest = start
		}
	}
	if len(order) > 0 {
		order[0], order[longest] = order[longest], order[0]
	}
	return order
}

// Targets returns the positions of the packed rows whose next token is
// predicted, those tokens, and the first position of each row with the end of
// the last (cu_seqlens). No row predicts a token of another.
func (r *Rows) Targets(indices []int32) (ids, read, next, cu []int32) {
	cu = make([]int32, 1, len(indices)+1)
	for _, i := range indices {
		row, predicted := r.At(int(i))
		for t := 1; t < len(row); t++ {
			if predicted[t] {
				read, next = append(read, int32(len(ids)+t-1)), append(next, row[t])
			}
		}
		ids = append(ids, row...)
		cu = append(cu, int32(len(ids)))
	}
	return ids, read, next, cu
}
