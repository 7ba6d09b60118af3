package vector

import "math"

// The exponential of x is 2^n e^r with n the integer nearest to x/ln 2. ln2High has so few bits that its products with
// n are exact.
const (
	log2e   = 1.44269504088896340736
	ln2High = 0.693359375
	ln2Low  = -2.12194440e-4
	// Adding shift leaves the nearest integer in the low bits of a float32.
	shift = 3 << 22
	// Below expLeast the exponential is 0, and above expMost it is +Inf.
	expLeast, expMost = -88, 88.5
)

// Coefficients of (e^r - 1 - r)/r^2 by powers of r, which are minimax for |r| <= ln(2)/2 with an error of r^2 of
// 3.4e-9.
const exp0, exp1, exp2, exp3, exp4 = 0.5, 0.16666512, 0.041666187, 0.0083695985, 0.0013951717

// exp32 returns e^x with an error of at most one unit in the last place. It is +Inf from 88.38 on, and 0 below -87.69.
func exp32(x float32) float32 {
	if x < expLeast {
		x = expLeast
	}
	if x > expMost {
		x = expMost
	}
	t := float32(x*log2e) + shift
	n := t - shift
	r := x - float32(n*ln2High)
	r -= float32(n * ln2Low)
	q := float32(r*exp4) + exp3
	q = float32(q*r) + exp2
	q = float32(q*r) + exp1
	q = float32(q*r) + exp0
	p := r + float32(float32(r*r)*q) + 1
	return float32(p * math.Float32frombits(math.Float32bits(t)<<23+0x3f800000))
}

// ExpSum replaces x by exp(x - top) and returns the sum, which it adds in float64.
func ExpSum[T Float](x []T, top T) T {
	if vectorised[T](len(x)) {
		return T(expSum32(len(x), first(x), float32(top)))
	}
	var s [lanes]float64
	for i, v := range x {
		if single[T]() {
			x[i] = T(exp32(float32(v - top)))
		} else {
			x[i] = T(math.Exp(float64(v - top)))
		}
		s[i%lanes] += float64(x[i])
	}
	return T(total(&s))
}

// Softmax replaces x by its softmax and returns the logarithm of the sum of exponentials. For an empty x that is -Inf.
func Softmax[T Float](x []T) T {
	top := Max(x)
	sum := ExpSum(x, top)
	Scale(x, 1/sum, x)
	return top + T(math.Log(float64(sum)))
}

// SoftmaxGrad turns ds, the gradient of probabilities p, into that of the scores: p (ds - delta).
func SoftmaxGrad[T Float](ds, p []T, delta T) {
	p = p[:len(ds)]
	if vectorised[T](len(ds)) {
		softmaxGrad32(len(ds), first(ds), first(p), float32(delta))
		return
	}
	for i := range ds {
		ds[i] = p[i] * (ds[i] - delta)
	}
}

// SoftmaxGradMasked turns ds into p (ds mask - delta), and p into p mask.
func SoftmaxGradMasked[T Float](ds, p, mask []T, delta T) {
	p, mask = p[:len(ds)], mask[:len(ds)]
	if vectorised[T](len(ds)) {
		softmaxGradMasked32(len(ds), first(ds), first(p), first(mask), float32(delta))
		return
	}
	for i := range ds {
		ds[i] = p[i] * (T(ds[i]*mask[i]) - delta)
		p[i] *= mask[i]
	}
}
