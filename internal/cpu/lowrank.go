package cpu

import (
	"gonum.org/v1/gonum/blas"

	"lor2c/internal/compute"
)

// lowRankRows is the rows of a chunk: its input, mask and gradient stay in L2
// at C = 768.
const lowRankRows = 64

// lowRankChunks bounds how many partial gradients there are to add.
const lowRankChunks = 32

// LowRank computes dst += scale (dropout(x) AT) BT.
func (d *Device[T]) LowRank(dst, u, x, a, b compute.Tensor, scale float32, drop compute.Dropout) {
	if d.err != nil {
		return
	}
	out, mid, in := Data[T](dst), Data[T](u), Data[T](x)
	down, up := Data[T](a), Data[T](b)
	k, m, r := x.Shape.Cols(), dst.Shape.Cols(), u.Shape.Cols()
	mask := newDropMask[T](drop)
	d.each(x.Shape.Rows(), lowRankRows, func(w, lo, hi int) {
		rows := hi - lo
		xs := in[lo*k : hi*k]
		if mask.active() {
			xs = sized(&d.scratch[w].a, rows*k)
			d.maskRows(w, &mask, xs, in[lo*k:hi*k], lo, k)
		}
		gemm(blas.NoTrans, blas.Trans, rows, r, k, 1, xs, k, down, k, 0, mid[lo*r:], r)
		gemm(blas.NoTrans, blas.Trans, rows, m, r, T(scale), mid[lo*r:], r, up, r, 1, out[lo*m:], m)
	})
}

// maskRows computes dst = mask x / (1-p) for the rows from first on.
func (d *Device[T]) maskRows(w int, mask *dropMask[T], dst, x []T, first, cols int) {
	mul := d.maskOf(w, cols)
	for i := 0; i < len(dst); i += cols {
		mask.row(mul, mask.drop.Row+uint32(first+i/cols))
		mulRow(dst[i:i+cols], x[i:i+cols], mul)
	}
}

// LowRankGrad is the gradient of LowRank. Every chunk of rows has its own sums
// for the two factors; they are added in the order of the chunks.
func (d *Device[T]) LowRankGrad(dx, da, db, x, u, a, b, dy compute.Tensor, scale float32, drop compute.Dropout, accumulate bool) {
	if d.err != nil {
		return
	}
	gx, ga, gb := Data[T](dx), Data[T](da), Data[T](db)
	in, mid, g := Data[T](x), Data[T](u), Data[T](dy)
	down, up := Data[T](a), Data[T](b)
	n, k, m, r := x.Shape.Rows(), x.Shape.Cols(), dy.Shape.Cols(), u.Shape.Cols()
	mask := newDropMask[T](drop)
	span := max(1, (n+lowRankChunks*lowRankRows-1)/(lowRankChunks*lowRankRows)) * lowRankRows
	each := (k + m) * r
	partial := sized(&d.partial, (n+span-1)/span*each)
	d.each(n, span, func(w, lo, hi int) {
		sumA := partial[lo/span*each:][:k*r]
		sumB := partial[lo/span*each+k*r:][:m*r]
		beta := T(0)
		for i := lo; i < hi; i += lowRankRows {
			rows := min(lowRankRows, hi-i)
			s := &d.scratch[w]
			du := sized(&s.b, rows*r)
			gy := g[i*m : (i+rows)*m]
			gemm(blas.NoTrans, blas.NoTrans, rows, r, m, T(scale), gy, m, up, r, 0, du, r)
			gemm(blas.Trans, blas.NoTrans, m, r, rows, T(scale), gy, m, mid[i*r:], r, beta, sumB, r)
			d.lowRankInput(w, &mask, gx, in, du, down, sumA, beta, i, rows, k, r, accumulate)
			beta = 1
		}
	})
	d.addPartials(ga, partial, each)
	d.addPartials(gb, tail(partial, k*r), each)
}

// lowRankInput does what needs the mask of rows [i, i+rows): da += duT
// dropout(x) and dx = dropout(du A). The mask is drawn once for both.
func (d *Device[T]) lowRankInput(w int, mask *dropMask[T], gx, in, du, down, sumA []T, beta T, i, rows, k, r int, accumulate bool) {
	xs := in[i*k : (i+rows)*k]
	var mul []T
	if mask.active() {
		s := &d.scratch[w]
		// Each row of multipliers is drawn in eights and may run over into
		// the next, which is drawn later.
		mul = sized(&s.mask, rows*k+8)[:rows*k]
		masked := sized(&s.a, rows*k)
		for n := range rows {
			mask.row(mul[n*k:(n+1)*k], mask.drop.Row+uint32(i+n))
		}
		mulRow(masked, xs, mul)
		xs = masked
	}
	gemm(blas.Trans, blas.NoTrans, r, k, rows, 1, du, r, xs, k, beta, sumA, k)
	if gx == nil {
		return
	}
	gxs := gx[i*k : (i+rows)*k]
	if mul == nil {
		keep := T(0)
		if accumulate {
			keep = 1
		}
		gemm(blas.NoTrans, blas.NoTrans, rows, k, r, 1, du, r, down, k, keep, gxs, k)
		return
	}
	gemm(blas.NoTrans, blas.NoTrans, rows, k, r, 1, du, r, down, k, 0, xs, k)
	if !accumulate {
		mulRow(gxs, xs, mul)
		return
	}
	xs, mul = xs[:len(gxs)], mul[:len(gxs)]
	for j := range gxs {
		gxs[j] += xs[j] * mul[j]
	}
}

// addPartials computes dst += the chunks' sums, one every step elements of
// partial, in the order of the chunks.
func (d *Device[T]) addPartials(dst, partial []T, step int) {
	d.each(len(dst), chunkElems, func(_, lo, hi int) {
		for p := 0; p < len(partial); p += step {
			axpy(dst[lo:hi], 1, partial[p+lo:p+hi])
		}
	})
}
