package dataset

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
)

// SizeError is the panic value for a number of examples that no data set can
// have.
type SizeError struct{ N int }

// Error returns a line with the number.
func (e SizeError) Error() string {
	return fmt.Sprintf("dataset: order examples: count %d; want 0 to %d", e.N, math.MaxInt32)
}

// Order returns the order in which an epoch visits n examples: a permutation of
// 0..n-1 that depends on the arguments only, so that a resumed run can compute
// it again and continue at any position.
//
// It is a Fisher-Yates shuffle from the last element to the first. Element i is
// exchanged with element floor(u·(i+1) / 2^64), where u is the next 64-bit word
// of PCG-DXSM (math/rand/v2) seeded with (seed, epoch). The computation is
// written out here because the library guarantees the words of the generator
// but not its bounded integers; its bias is below n/2^64. Order panics with a
// SizeError if n is negative or above 2^31-1.
func Order(seed uint64, epoch, n int) []int32 {
	if n < 0 || n > math.MaxInt32 {
		panic(SizeError{N: n})
	}
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	words := rand.NewPCG(seed, uint64(epoch))
	for i := n - 1; i > 0; i-- {
		j, _ := bits.Mul64(words.Uint64(), uint64(i+1))
		order[i], order[j] = order[j], order[i]
	}
	return order
}
