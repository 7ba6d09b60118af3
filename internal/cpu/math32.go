package cpu

import "math"

const (
	// expLimit is so small that its exponential is 0 in float32.
	expLimit = -200
	// expParts is the number of entries of expTable per octave.
	expParts = 64
)

// expTable has the powers 2^(k/expParts).
var expTable = func() (t [expParts]uint64) {
	for k := range t {
		t[k] = math.Float64bits(math.Exp2(float64(k) / expParts))
	}
	return t
}()

// expPoly returns exp(x) for expLimit <= x <= 700 with a relative error of at most 2.7e-8, half the rounding of
// float32. It is 2^(n + k/expParts) times the series of the rest of x. The arithmetic is float64, which is as fast as
// float32 in scalar code.
func expPoly(x float64) float64 {
	// Adding 1.5 2^52 leaves the nearest integer in the low bits.
	const shift, unit = 3 << 51, math.Ln2 / expParts
	y := x * (1 / unit)
	t := y + shift
	r := y - (t - shift)
	n := math.Float64bits(t)
	return (1 + r*(unit+r*(unit*unit/2))) *
		math.Float64frombits(expTable[n%expParts]+n/expParts<<52)
}

// maxOf returns the largest element of x, which must not be empty. It may skip NaN, because the sum that is computed
// after the maximum is NaN in any case.
func maxOf[T Float](x []T) T {
	top := x[0]
	for _, v := range x[1:] {
		if v > top {
			top = v
		}
	}
	return top
}

// expSum replaces x by exp(x - top) and returns its sum.
func expSum[T Float](x []T, top T) T {
	if single[T]() {
		return T(expSum32(as32(x), float32(top)))
	}
	var sum T
	for i, v := range x {
		x[i] = T(math.Exp(float64(v - top)))
		sum += x[i]
	}
	return sum
}

// expSum32 processes two elements at a time, with a separate sum for each.
func expSum32(x []float32, top float32) float32 {
	var s0, s1 float64
	y := x
	for len(y) >= 2 {
		w0, w1 := float64(y[0]-top), float64(y[1]-top)
		if w0 < expLimit {
			w0 = expLimit
		}
		if w1 < expLimit {
			w1 = expLimit
		}
		e0, e1 := expPoly(w0), expPoly(w1)
		y[0], y[1] = float32(e0), float32(e1)
		s0 += e0
		s1 += e1
		y = y[2:]
	}
	for i := range y {
		e0 := expPoly(max(float64(y[i]-top), expLimit))
		y[i] = float32(e0)
		s0 += e0
	}
	return float32(s0 + s1)
}

const (
	// Beyond gateLimit a gate rounds to 0 or 1 in float32, and so does its slope.
	gateLimit = 6.5
	gateParts = 16 // pieces per unit of x
)

// cubics is a function on [-gateLimit, gateLimit) in cubic pieces. Its length is a power of two, so that a masked
// index needs no bounds check.
type cubics [256][4]float64

// newCubics interpolates f in each piece at the Chebyshev nodes of degree 4. If the fourth derivative is at most 5
// the error is below 5 h^4/3072 = 2.5e-8; rounding to float32 has 6e-8.
func newCubics(f func(x float64) float64) *cubics {
	c := &cubics{}
	for i := range int(2 * gateLimit * gateParts) {
		var t, d [4]float64
		for j := range t {
			t[j] = (1 - math.Cos((float64(j)+0.5)*math.Pi/4)) / 2
			d[j] = f((float64(i)+t[j])/gateParts - gateLimit)
		}
		// Compute Newton's divided differences, and expand the Newton form into powers.
		for k := 1; k < 4; k++ {
			for j := 3; j >= k; j-- {
				d[j] = (d[j] - d[j-1]) / (t[j] - t[j-k])
			}
		}
		p := [4]float64{d[3]}
		for j := 2; j >= 0; j-- {
			for k := 3; k > 0; k-- {
				p[k] = p[k-1] - t[j]*p[k]
			}
			p[0] = d[j] - t[j]*p[0]
		}
		c[i] = p
	}
	return c
}

// multiply computes dst = y c(x). Outside of its pieces c is unitStep.
func (c *cubics) multiply(dst, y, x []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i, v := range x {
		w := float64(v)
		t := (w + gateLimit) * gateParts
		if !(t >= 0 && t < 2*gateLimit*gateParts) {
			dst[i] = float32(float64(y[i]) * unitStep(w))
			continue
		}
		k := int(t)
		r := t - float64(k)
		p := &c[k&255]
		dst[i] = float32(float64(y[i]) * (((p[3]*r+p[2])*r+p[1])*r + p[0]))
	}
}

// unitStep returns 0 for x below 0, 1 for x above 0, and NaN for NaN.
func unitStep(x float64) float64 {
	if x < 0 {
		return 0
	}
	if x > 0 {
		return 1
	}
	return x
}
