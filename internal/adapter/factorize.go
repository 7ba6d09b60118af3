package adapter

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"github.com/lor2c/lor2c/internal/compute"
)

// oversampling is by how many columns the randomised factorisation is wider than the rank that it is to find.
const oversampling = 10

// principal returns the r largest singular values of w [M,K] with their left vectors U [M,r] and right vectors V [K,r].
// The elements of a column of U sum to at least 0, which fixes the sign. With no iterations it is exact; otherwise it
// is a randomised subspace iteration (Halko, Martinsson and Tropp 2011, arXiv:0909.4061, algorithms 4.4 and 5.1) that
// depends on seed and name.
func principal(
	w *mat.Dense, r, iterations int, seed uint64, name string,
) (u *mat.Dense, values []float64, v *mat.Dense) {
	u, v = &mat.Dense{}, &mat.Dense{}
	var svd mat.SVD
	if iterations == 0 {
		svd.Factorize(w, mat.SVDThin)
		svd.UTo(u)
	} else {
		q := frame(w, r, iterations, seed, name)
		var small, left mat.Dense
		small.Mul(q.T(), w)
		svd.Factorize(&small, mat.SVDThin)
		svd.UTo(&left)
		u.Mul(q, &left)
	}
	svd.VTo(v)
	rows, _ := w.Dims()
	columns, _ := v.Dims()
	u, v = mat.DenseCopyOf(u.Slice(0, rows, 0, r)), mat.DenseCopyOf(v.Slice(0, columns, 0, r))
	for j := range r {
		if column := mat.Col(nil, j, u); floats.Sum(column) < 0 {
			floats.Scale(-1, column)
			u.SetCol(j, column)
			column = mat.Col(nil, j, v)
			floats.Scale(-1, column)
			v.SetCol(j, column)
		}
	}
	return u, svd.Values(nil)[:r], v
}

// frame returns orthonormal columns that nearly span the r principal left vectors of w.
func frame(w *mat.Dense, r, iterations int, seed uint64, name string) *mat.Dense {
	rows, columns := w.Dims()
	width := min(r+oversampling, rows, columns)
	drawn, random := make([]float32, columns*width), mat.NewDense(columns, width, nil)
	compute.Normal(drawn, seed, name, 1)
	for i, x := range drawn {
		random.Set(i/width, i%width, float64(x))
	}
	q := &mat.Dense{}
	q.Mul(w, random)
	for range iterations {
		orthonormalize(q)
		var back mat.Dense
		back.Mul(w.T(), q)
		orthonormalize(&back)
		q.Mul(w, &back)
	}
	orthonormalize(q)
	return q
}

// orthonormalize replaces the columns of q by the orthonormal ones that Householder's QR factorisation makes of them.
func orthonormalize(q *mat.Dense) {
	a := q.RawMatrix()
	tau, need := make([]float64, a.Cols), make([]float64, 1)
	lapack64.Geqrf(a, tau, need, -1)
	work := make([]float64, int(need[0]))
	lapack64.Geqrf(a, tau, work, len(work))
	lapack64.Orgqr(a, tau, need, -1)
	work = make([]float64, int(need[0]))
	lapack64.Orgqr(a, tau, work, len(work))
}

// pissaStart returns B = U sqrt(S/s) [M,r] and A = sqrt(S/s) VT [r,K] of the principal part U S VT of w, where s is the
// scale of B A (Meng et al. 2024, arXiv:2404.02948, eq. 2 and 3).
func pissaStart(w *mat.Dense, r, iterations int, scale float64, seed uint64, name string) (a, b *mat.Dense) {
	u, values, v := principal(w, r, iterations, seed, name)
	for i := range values {
		values[i] = math.Sqrt(values[i] / scale)
	}
	root := mat.NewDiagDense(r, values)
	a, b = &mat.Dense{}, &mat.Dense{}
	b.Mul(u, root)
	a.Mul(root, v.T())
	return a, b
}

// oloraStart returns the first r columns of Q as B and the first r rows of R as A, where Q R is w (Buyukakyuz 2024,
// arXiv:2406.01775, algorithm 1).
func oloraStart(w *mat.Dense, r int) (a, b *mat.Dense) {
	rows, _ := w.Dims()
	// The first columns of Q are those of the first columns of w.
	b = mat.DenseCopyOf(w.Slice(0, rows, 0, r))
	orthonormalize(b)
	a = &mat.Dense{}
	a.Mul(b.T(), w)
	return a, b
}

// dense returns a matrix of float32 values.
func dense(rows, columns int, values []float32) *mat.Dense {
	d := mat.NewDense(rows, columns, nil)
	for i, x := range values {
		d.Set(i/columns, i%columns, float64(x))
	}
	return d
}

// single returns the elements of a matrix, row by row, as float32.
func single(d *mat.Dense) []float32 {
	raw := d.RawMatrix()
	out := make([]float32, 0, raw.Rows*raw.Cols)
	for i := range raw.Rows {
		for _, x := range d.RawRowView(i) {
			out = append(out, float32(x))
		}
	}
	return out
}
