package vector

import "math"

// AdamW has the scalars of an update (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2).
type AdamW[T Float] struct {
	Factor  T // of the gradient
	Keep    T // 1 - learning rate times weight decay
	B1, C1  T // beta1 and 1 - beta1
	B2, C2  T // the same for beta2
	Rate    T // learning rate with the bias correction of the first moment
	Root    T // square root of the bias correction of the second moment
	Epsilon T
}

// Update updates the parameters p and their moments m and v from the gradient g.
func (o *AdamW[T]) Update(p, m, v, g []T) {
	m, v, g = m[:len(p)], v[:len(p)], g[:len(p)]
	if vectorised[T](len(p)) {
		adamW32(len(p), first(p), first(m), first(v), first(g), float32(o.Factor), float32(o.Keep), float32(o.B1),
			float32(o.C1), float32(o.B2), float32(o.C2), float32(o.Rate), float32(o.Root), float32(o.Epsilon))
		return
	}
	for i := range p {
		gi := g[i] * o.Factor
		mi := T(o.B1*m[i]) + T(o.C1*gi)
		vi := T(o.B2*v[i]) + T(T(o.C2*gi)*gi)
		m[i], v[i] = mi, vi
		p[i] = T(p[i]*o.Keep) - o.Rate*mi/(T(T(math.Sqrt(float64(vi)))*o.Root)+o.Epsilon)
	}
}
