package cpu

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// Gather computes dst[n] = x[idx[n]].
func (d *Device[T]) Gather(dst, x, idx compute.Tensor) {
	if d.err != nil {
		return
	}
	out, in, id := Data[T](dst), Data[T](x), ints[T](idx)
	cols := dst.Shape.Cols()
	d.each(len(id), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			copy(out[n*cols:(n+1)*cols], rowAt(in, id[n], cols))
		}
	})
}

// ArgMax finds the largest element of each row.
func (d *Device[T]) ArgMax(dst, x compute.Tensor) {
	if d.err != nil {
		return
	}
	out, in, cols := Data[T](dst), Data[T](x), x.Shape.Cols()
	d.each(len(out), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			best, row := 0, in[n*cols:(n+1)*cols]
			for c, v := range row {
				if v != v {
					best = -1
					break
				}
				if v > row[best] {
					best = c
				}
			}
			out[n] = T(best)
		}
	})
}

// rowAt returns row i of a matrix with the given columns.
func rowAt[T Float](x []T, i int32, cols int) []T {
	return x[int(i)*cols : (int(i)+1)*cols]
}

// readRow copies row i of a matrix, which may be frozen weights, to dst.
func readRow[T Float](dst []T, x compute.Tensor, i int) {
	if w := frozen[T](x); w != nil {
		w.Row(as32(dst), i, 0)
		return
	}
	copy(dst, rowAt(Data[T](x), int32(i), len(dst)))
}

// Put computes dst[idx[n]] = x[n].
func (d *Device[T]) Put(dst, idx, x compute.Tensor) {
	if d.err != nil {
		return
	}
	out, in, id := Data[T](dst), Data[T](x), ints[T](idx)
	cols := x.Shape.Cols()
	d.each(len(id), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			copy(rowAt(out, id[n], cols), in[n*cols:(n+1)*cols])
		}
	})
}

// Scatter computes dst[idx[n]] += x[n], in the order of n.
func (d *Device[T]) Scatter(dst, idx, x compute.Tensor) {
	if d.err == nil {
		d.scatter(Data[T](dst), ints[T](idx), Data[T](x), x.Shape.Cols())
	}
}

// scatter divides the columns among the workers. Rows with equal indices then stay with one worker, which adds them
// in the order of n.
func (d *Device[T]) scatter(dst []T, idx []int32, x []T, cols int) {
	d.each(cols, chunkCols, func(_, lo, hi int) {
		for n, i := range idx {
			row := rowAt(dst, i, cols)[lo:hi]
			vector.Add(row, row, x[n*cols+lo:n*cols+hi])
		}
	})
}

// Embed computes dst[n] = word[ids[n]] + position[pos[n]] + tokenType[types[n]].
func (d *Device[T]) Embed(dst, ids, pos, types, word, position, tokenType compute.Tensor) {
	if d.err != nil {
		return
	}
	out, wi, cols := Data[T](dst), ints[T](ids), dst.Shape.Cols()
	p, k := Data[T](position), Data[T](tokenType)
	var pi, ki []int32
	if p != nil {
		pi = ints[T](pos)
	}
	if k != nil {
		ki = ints[T](types)
	}
	d.each(len(wi), rowsOf(cols), func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			o := out[n*cols : (n+1)*cols]
			readRow(o, word, int(wi[n]))
			if p != nil {
				vector.Add(o, o, rowAt(p, pi[n], cols))
			}
			if k != nil {
				vector.Add(o, o, rowAt(k, ki[n], cols))
			}
		}
	})
}

// EmbedGrad adds the rows of dy to the gradients of the rows that Embed read.
func (d *Device[T]) EmbedGrad(dword, dposition, dtokenType, ids, pos, types, dy compute.Tensor) {
	if d.err != nil {
		return
	}
	g, cols := Data[T](dy), dy.Shape.Cols()
	if dword.Present() {
		d.scatter(Data[T](dword), ints[T](ids), g, cols)
	}
	if dposition.Present() {
		d.scatter(Data[T](dposition), ints[T](pos), g, cols)
	}
	if dtokenType.Present() {
		d.scatter(Data[T](dtokenType), ints[T](types), g, cols)
	}
}
