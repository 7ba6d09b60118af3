package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// SymmetricKL adds the scaled symmetric divergence of two softmaxes to loss.
func (d *Device[T]) SymmetricKL(loss, dx, dz, x, z compute.Tensor, scale float32, detach bool) {
	if d.err != nil {
		return
	}
	a, b, ga, gb := Data[T](x), Data[T](z), Data[T](dx), Data[T](dz)
	rows, cols := x.Shape.Rows(), x.Shape.Cols()
	chunk := rowsOf(cols)
	sums := sized(&d.sums, ceil(rows, chunk))
	d.each(rows, chunk, func(w, lo, hi int) {
		p, q := sized(&d.scratch[w].a, cols), sized(&d.scratch[w].b, cols)
		total := 0.0
		for n := lo; n < hi; n++ {
			i, j := n*cols, (n+1)*cols
			shift := logSoftmax(p, a[i:j]) - logSoftmax(q, b[i:j])
			// The divergences of the two distributions from each other.
			var pq, qp float64
			for c := range p {
				l := float64(a[i+c]-b[i+c]) - shift
				pq += float64(p[c]) * l
				qp -= float64(q[c]) * l
			}
			total += pq + qp
			if detach {
				gradKL(ga, p, q, i, func(int) T { return 0 }, T(scale)/2)
				gradKL(gb, q, p, i, func(int) T { return 0 }, T(scale)/2)
				continue
			}
			gradKL(ga, p, q, i, func(c int) T { return T(float64(a[i+c]-b[i+c]) - shift - pq) }, T(scale)/2)
			gradKL(gb, q, p, i, func(c int) T { return T(float64(b[i+c]-a[i+c]) + shift - qp) }, T(scale)/2)
		}
		sums[lo/chunk] = total / 2
	})
	addScaled(Data[T](loss), sums, scale)
}

// gradKL writes scale (p - q + p own(c)) to row elements of dst from index at on, unless dst is nil.
func gradKL[T Float](dst, p, q []T, at int, own func(c int) T, scale T) {
	if dst == nil {
		return
	}
	for c, v := range p {
		dst[at+c] = scale * (v - q[c] + v*own(c))
	}
}

// logSoftmax writes the softmax of x to p and returns the logarithm of the sum of exponentials.
func logSoftmax[T Float](p, x []T) float64 {
	copy(p, x)
	top := vector.Max(p)
	sum := vector.ExpSum(p, top)
	vector.Scale(p, 1/sum, p)
	return float64(top) + math.Log(float64(sum))
}

// Balance adds the scaled squared coefficient of variation of q f to loss.
func (d *Device[T]) Balance(loss, dq, q, f compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	in, factor, out := Data[T](q), Data[T](f), Data[T](dq)
	n := float64(len(in))
	if n < 2 {
		clear(out)
		return
	}
	mean, spread := 0.0, 0.0
	for i, v := range in {
		mean += float64(v) * float64(factor[i]) / n
	}
	for i, v := range in {
		e := float64(v)*float64(factor[i]) - mean
		spread += e * e / (n - 1)
	}
	below := mean*mean + 1e-10
	Data[T](loss)[0] += T(float64(scale) * spread / below)
	for i := range out {
		e := float64(in[i])*float64(factor[i]) - mean
		slope := 2*e/((n-1)*below) - 2*mean*spread/(n*below*below)
		out[i] = T(float64(scale) * float64(factor[i]) * slope)
	}
}

// Orthogonality adds the scaled distance of c from the identity to loss, and replaces c by its gradient.
func (d *Device[T]) Orthogonality(loss, c compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	x, r := Data[T](c), c.Shape.Cols()
	square := 0.0
	for i := range x {
		if i%(r+1) == 0 {
			x[i]--
		}
		square += float64(x[i]) * float64(x[i])
	}
	norm := math.Sqrt(square)
	Data[T](loss)[0] += T(float64(scale) * norm)
	if norm == 0 {
		return
	}
	by := T(float64(scale) / norm)
	for i := range x {
		x[i] *= by
	}
}
