package vector

import "math"

// GELU and its approximation are x gate(x). The loops below multiply by a gate or by the derivative of x gate(x). The
// error of both is at most 2e-7, less than two units in the last place of 1.

// The distribution function of the normal distribution at -a, for a >= 0, is exp(-a^2/2) times a polynomial of
// u = (a-3)/(a+3). The coefficients are minimax with an error of 8.8e-10.
var tail = [...]float32{
	0.12151398, -0.20640071, 0.12324928, -0.04607883, 0.006523034, 0.0035238108, -0.0004988912, -0.00025686482,
}

// normalLimit is where exp(-x^2/2) is 0 in float32.
const normalLimit = 20

// normal32 returns exp(-x^2/2), and the probability that a normal variable is below x.
func normal32(x float32) (density, below float32) {
	a := clamp32(math.Float32frombits(math.Float32bits(x)&^(1<<31)), 0, normalLimit)
	density = exp32(float32(a*-0.5) * a)
	u := (a - 3) / (a + 3)
	p := tail[len(tail)-1]
	for i := len(tail) - 2; i >= 0; i-- {
		p = float32(p*u) + tail[i]
	}
	if below = float32(density * p); !(x < 0) {
		below = 1 - below
	}
	return density, below
}

// clamp32 returns the number nearest to x in [low, high], and NaN for NaN.
func clamp32(x, low, high float32) float32 {
	if x < low {
		return low
	}
	if x > high {
		return high
	}
	return x
}

// MulGELU computes dst = y gate(x) for the gate of GELU, by erf. dst may be x or y.
func MulGELU(dst, y, x []float32) {
	y, x = y[:len(dst)], x[:len(dst)]
	if vectorised[float32](len(dst)) {
		gelu32(len(dst), first(dst), first(y), first(x))
		return
	}
	for i, v := range x {
		_, below := normal32(v)
		dst[i] = y[i] * below
	}
}

// MulGELUSlope computes dst = y gelu'(x). dst may be x or y.
func MulGELUSlope(dst, y, x []float32) {
	y, x = y[:len(dst)], x[:len(dst)]
	if vectorised[float32](len(dst)) {
		geluSlope32(len(dst), first(dst), first(y), first(x))
		return
	}
	const peak = 0.3989422804014327 // 1/sqrt(2 pi)
	for i, v := range x {
		density, below := normal32(v)
		dst[i] = y[i] * (below + float32(float32(clamp32(v, -normalLimit, normalLimit)*peak)*density))
	}
}

// sigmoid32 returns 1/(1 + exp(-x)) and 1/(1 + exp(x)).
func sigmoid32(x float32) (s, rest float32) {
	e := exp32(math.Float32frombits(math.Float32bits(x) | 1<<31))
	large := 1 / (e + 1)
	small := float32(e * large)
	if x < 0 {
		return small, large
	}
	return large, small
}

// The approximation of GELU by tanh (Hendrycks and Gimpel 2016, arXiv:1606.08415) has the gate
// sigmoid(tanhSlope x (1 + tanhCube x^2)). It is 0 or 1 beyond tanhLimit.
const (
	tanhSlope = 1.5957691216057308 // 2 sqrt(2/pi)
	tanhCube  = 0.044715
	tanhLimit = 100
)

// tanhGate returns x within the limits, the gate, and 1 - the gate.
func tanhGate(x float32) (inside, gate, rest float32) {
	x = clamp32(x, -tanhLimit, tanhLimit)
	gate, rest = sigmoid32(float32(x*tanhSlope) * (float32(float32(x*x)*tanhCube) + 1))
	return x, gate, rest
}

// MulTanhGate computes dst = y gate(x) for the gate of the approximation of GELU. dst may be x or y.
func MulTanhGate(dst, y, x []float32) {
	y, x = y[:len(dst)], x[:len(dst)]
	if vectorised[float32](len(dst)) {
		tanhGate32(len(dst), first(dst), first(y), first(x))
		return
	}
	for i, v := range x {
		_, gate, _ := tanhGate(v)
		dst[i] = y[i] * gate
	}
}

// MulTanhGateSlope computes dst = y f'(x) for f(x) = x gate(x), the approximation of GELU. dst may be x or y.
func MulTanhGateSlope(dst, y, x []float32) {
	y, x = y[:len(dst)], x[:len(dst)]
	if vectorised[float32](len(dst)) {
		tanhSlope32(len(dst), first(dst), first(y), first(x))
		return
	}
	for i, v := range x {
		v, gate, rest := tanhGate(v)
		inner := float32(v*tanhSlope) * (float32(float32(v*v)*(3*tanhCube)) + 1)
		dst[i] = y[i] * (gate + float32(inner*float32(gate*rest)))
	}
}

// SwiGLU computes dst = silu(gate) up.
func SwiGLU(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	if vectorised[float32](len(dst)) {
		swiGLU32(len(dst), first(dst), first(gate), first(up))
		return
	}
	for i, x := range gate {
		s, _ := sigmoid32(x)
		dst[i] = x * s * up[i]
	}
}

// SwiGLUGrad computes the gradient of SwiGLU: with s = sigmoid(gate),
//
//	dgate = dy up s (1 + gate (1 - s)),  dup = dy gate s
//
// dgate and dup may be any of the other three, but not the same.
func SwiGLUGrad(dgate, dup, gate, up, dy []float32) {
	dup, gate, up, dy = dup[:len(dgate)], gate[:len(dgate)], up[:len(dgate)], dy[:len(dgate)]
	if vectorised[float32](len(dgate)) {
		swiGLUGrad32(len(dgate), first(dgate), first(dup), first(gate), first(up), first(dy))
		return
	}
	for i, x := range gate {
		s, rest := sigmoid32(x)
		grad, silu := dy[i], x*s
		dgate[i], dup[i] = grad*up[i]*(s+float32(silu*rest)), grad*silu
	}
}
