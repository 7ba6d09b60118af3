package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// lowRankRows is the number of rows in a chunk. Its input, mask and gradient stay in L2 at C = 768.
const lowRankRows = 64

// lowRankChunks is the largest number of partial gradients.
const lowRankChunks = 32

// LowRankDown computes u = dropout(x) AT.
func (d *Device[T]) LowRankDown(u, x, a compute.Tensor, drop compute.Dropout) {
	if d.err != nil {
		return
	}
	out, in, down := Data[T](u), Data[T](x), Data[T](a)
	k, r := x.Shape.Cols(), u.Shape.Cols()
	mask := vector.NewDropMask[T](drop)
	d.each(x.Shape.Rows(), lowRankRows, func(w, lo, hi int) {
		xs := in[lo*k : hi*k]
		if mask.Active() {
			xs = sized(&d.scratch[w].a, (hi-lo)*k)
			d.maskRows(w, &mask, xs, in[lo*k:hi*k], lo, k)
		}
		d.multiply(w, product[T]{
			m: hi - lo, n: r, k: k, alpha: 1, a: matrix[T]{xs, k, false}, b: matrix[T]{down, k, true},
			dst: matrix[T]{out[lo*r:], r, false},
		})
	})
}

// maskRows computes dst = mask x / (1-p) for rows of which the first has index first.
func (d *Device[T]) maskRows(w int, mask *vector.DropMask[T], dst, x []T, first, cols int) {
	mul := d.maskOf(w, cols)
	for i := 0; i < len(dst); i += cols {
		mask.Row(mul, first+i/cols)
		vector.Mul(dst[i:i+cols], x[i:i+cols], mul)
	}
}

// LowRankUp computes dst += scale u BT.
func (d *Device[T]) LowRankUp(dst, u, b compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	out, in, up := Data[T](dst), Data[T](u), Data[T](b)
	m, r := dst.Shape.Cols(), u.Shape.Cols()
	d.each(dst.Shape.Rows(), lowRankRows, func(w, lo, hi int) {
		d.multiply(w, product[T]{
			m: hi - lo, n: m, k: r, alpha: T(scale), a: matrix[T]{in[lo*r:], r, false}, b: matrix[T]{up, r, true},
			dst: matrix[T]{out[lo*m:], m, false}, accumulate: true,
		})
	})
}

// LowRankUpGrad computes the gradient of LowRankUp.
func (d *Device[T]) LowRankUpGrad(du, db, u, b, dy compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	gu, gb := Data[T](du), Data[T](db)
	in, up, g := Data[T](u), Data[T](b), Data[T](dy)
	m, r := dy.Shape.Cols(), b.Shape.Cols()
	d.factorGrad(gb, dy.Shape.Rows(), m*r, func(w int, sum []T, accumulate bool, lo, rows int) {
		gy := g[lo*m : (lo+rows)*m]
		if gu != nil {
			d.multiply(w, product[T]{
				m: rows, n: r, k: m, alpha: T(scale), a: matrix[T]{gy, m, false}, b: matrix[T]{up, r, false},
				dst: matrix[T]{gu[lo*r:], r, false},
			})
		}
		if sum != nil {
			d.multiply(w, product[T]{
				m: m, n: r, k: rows, alpha: T(scale), a: matrix[T]{gy, m, true}, b: matrix[T]{in[lo*r:], r, false},
				dst: matrix[T]{sum, r, false}, accumulate: accumulate,
			})
		}
	})
}

// LowRankDownGrad computes the gradient of LowRankDown. The mask is drawn once for da and dx.
func (d *Device[T]) LowRankDownGrad(dx, da, x, a, du compute.Tensor, drop compute.Dropout, add bool) {
	if d.err != nil {
		return
	}
	gx, ga, gu := Data[T](dx), Data[T](da), Data[T](du)
	in, down := Data[T](x), Data[T](a)
	k, r := a.Shape.Cols(), a.Shape.Rows()
	mask := vector.NewDropMask[T](drop)
	d.factorGrad(ga, du.Shape.Rows(), r*k, func(w int, sum []T, accumulate bool, lo, rows int) {
		s := &d.scratch[w]
		var mul []T
		if mask.Active() {
			// The multipliers of a row are drawn eight at a time, so the last ones may overwrite the start of the
			// next row, which is drawn later.
			mul = sized(&s.mask, rows*k+8)[:rows*k]
			for n := range rows {
				mask.Row(mul[n*k:(n+1)*k], lo+n)
			}
		}
		if sum != nil {
			xs := in[lo*k : (lo+rows)*k]
			if mul != nil {
				masked := sized(&s.a, rows*k)
				vector.Mul(masked, xs, mul)
				xs = masked
			}
			d.multiply(w, product[T]{
				m: r, n: k, k: rows, alpha: 1, a: matrix[T]{gu[lo*r:], r, true}, b: matrix[T]{xs, k, false},
				dst: matrix[T]{sum, k, false}, accumulate: accumulate,
			})
		}
		if gx != nil {
			d.lowRankInput(w, gx[lo*k:(lo+rows)*k], gu[lo*r:], down, mul, rows, k, r, add)
		}
	})
}

// factorGrad runs f on chunks of n rows. Each chunk has a separate sum, which f overwrites, or adds to if accumulate
// is set. The sums are added to dst in the order of the chunks. If dst is absent the sums are nil.
func (d *Device[T]) factorGrad(dst []T, n, size int, f func(w int, sum []T, accumulate bool, lo, rows int)) {
	span := max(1, (n+lowRankChunks*lowRankRows-1)/(lowRankChunks*lowRankRows)) * lowRankRows
	var partial []T
	if dst != nil {
		partial = sized(&d.partial, (n+span-1)/span*size)
	}
	d.each(n, span, func(w, lo, hi int) {
		var sum []T
		if dst != nil {
			sum = partial[lo/span*size:][:size]
		}
		for i := lo; i < hi; i += lowRankRows {
			f(w, sum, i > lo, i, min(lowRankRows, hi-i))
		}
	})
	d.each(len(dst), chunkElems, func(_, lo, hi int) {
		for p := 0; p < len(partial); p += size {
			vector.Add(dst[lo:hi], dst[lo:hi], partial[p+lo:p+hi])
		}
	})
}

// lowRankInput computes dx = mul (du A) for some rows, or adds it to dx. mul is nil without dropout.
func (d *Device[T]) lowRankInput(w int, dx, du, down, mul []T, rows, k, r int, accumulate bool) {
	p := product[T]{
		m: rows, n: k, k: r, alpha: 1, a: matrix[T]{du, r, false}, b: matrix[T]{down, k, false}, dst: matrix[T]{dx, k, false},
		accumulate: accumulate,
	}
	if mul == nil {
		d.multiply(w, p)
		return
	}
	masked := sized(&d.scratch[w].a, rows*k)
	p.dst, p.accumulate = matrix[T]{masked, k, false}, false
	d.multiply(w, p)
	if !accumulate {
		vector.Mul(dx, masked, mul)
		return
	}
	vector.AddMul(dx, dx, masked, mul)
}
