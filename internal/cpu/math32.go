package cpu

import "math"

// maxOf returns the largest element of x, which is not empty.
func maxOf[T Float](x []T) T {
	top := x[0]
	for _, v := range x[1:] {
		top = max(top, v)
	}
	return top
}

// expSum replaces x by exp(x - top) and returns the sum.
func expSum[T Float](x []T, top T) T {
	var sum T
	for i, v := range x {
		x[i] = T(math.Exp(float64(v - top)))
		sum += x[i]
	}
	return sum
}
