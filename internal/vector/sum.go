package vector

import "math"

// Sum returns the sum of x.
func Sum[T Float](x []T) T {
	if vectorised[T](len(x)) {
		return T(sum32(len(x), first(x)))
	}
	var s [lanes]T
	for ; len(x) >= lanes; x = x[lanes:] {
		for i := range s {
			s[i] += x[i]
		}
	}
	for i, v := range x {
		s[i] += v
	}
	return total(&s)
}

// Deviations returns the sum of (x - mean)^2.
func Deviations[T Float](x []T, mean T) T {
	if vectorised[T](len(x)) {
		return T(deviations32(len(x), first(x), float32(mean)))
	}
	var s [lanes]T
	for ; len(x) >= lanes; x = x[lanes:] {
		for i := range s {
			s[i] += T((x[i] - mean) * (x[i] - mean))
		}
	}
	for i, v := range x {
		s[i] += T((v - mean) * (v - mean))
	}
	return total(&s)
}

// Dot returns the inner product of x and y.
func Dot[T Float](x, y []T) T {
	y = y[:len(x)]
	if vectorised[T](len(x)) {
		return T(dot32(len(x), first(x), first(y)))
	}
	var s [lanes]T
	for ; len(x) >= lanes; x, y = x[lanes:], y[lanes:] {
		for i := range s {
			s[i] += T(x[i] * y[i])
		}
	}
	for i, v := range x {
		s[i] += T(v * y[i])
	}
	return total(&s)
}

// Squares returns the sum of x^2. It adds in float64, because float32 would overflow at elements of 1e19.
func Squares[T Float](x []T) float64 {
	if vectorised[T](len(x)) {
		return squares32(len(x), first(x))
	}
	var s [lanes]float64
	for ; len(x) >= lanes; x = x[lanes:] {
		for i := range s {
			s[i] += float64(float64(x[i]) * float64(x[i]))
		}
	}
	for i, v := range x {
		s[i] += float64(float64(v) * float64(v))
	}
	return total(&s)
}

// Max returns the largest element of x, and -Inf if there is none. It skips NaN.
func Max[T Float](x []T) T {
	if vectorised[T](len(x)) {
		return T(max32(len(x), first(x)))
	}
	top := T(math.Inf(-1))
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}
