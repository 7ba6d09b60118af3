// Package vector has the loops over vectors of floats: sums, exponentials, activations, normalisation, the update of
// parameters and dropout masks.
//
// Loops over float32 run in AVX-512 or AVX2 if the processor has them, and in Go elsewhere. All three have the same
// bits, except for the sign of a maximum of zeros and the payload of a NaN. So nothing is fused: every product and
// every sum is rounded. Sums have one part for each of 16 lanes, and element i belongs to lane i%16. At the end lane i
// and lane i+8 are added, then i and i+4, i+2, i+1.
//
// Loops over float64, which only gradient checks use, run in Go.
package vector

import "unsafe"

// Float has the element types.
type Float interface{ float32 | float64 }

// lanes is the number of parts of a sum.
const lanes = 16

// total adds the lanes of a sum.
func total[T Float](s *[lanes]T) T {
	for half := lanes / 2; half > 0; half /= 2 {
		for i := range half {
			s[i] += s[i+half]
		}
	}
	return s[0]
}

// single reports whether T is float32. The compiler evaluates it as a constant.
func single[T Float]() bool {
	var x T
	return unsafe.Sizeof(x) == 4
}

// vectorised reports whether a loop over n elements runs in vector instructions.
func vectorised[T Float](n int) bool { return single[T]() && enabled && n > 0 }

// first returns the address of the first element of x. T must be float32.
func first[T Float](x []T) *float32 { return (*float32)(unsafe.Pointer(unsafe.SliceData(x))) }
