package adapter

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/lor2c/lor2c/internal/compute"
)

// Spectra returns the singular values of B A, without the scale and largest
// first, of every module. SFS is computed from them (arXiv:2503.00572, eq. 5).
// The device computes the r x r Gram matrices A AT and BT B, and only these are
// downloaded. The eigenvalues of their product are the squares of the singular
// values. A value below about 1e-3 of the largest is a rounding error. Spectra
// waits for the device and overwrites its step arena.
func (m *LoR2C) Spectra(dev compute.Device) ([][]float64, error) {
	n := len(m.modules)
	if n == 0 {
		return nil, nil
	}
	r := m.modules[0].A.Value.Shape[0]
	dev.Reset()
	grams := dev.Temp(compute.Shape{n, 2, r, r}, compute.Exact)
	square := compute.Shape{r, r}
	for i, d := range m.modules {
		a, b := d.A.Exact(), d.B.Exact()
		dev.Gemm(grams.Slice(2*i*r*r, square), 1, a, false, a, true, false)
		dev.Gemm(grams.Slice((2*i+1)*r*r, square), 1, b, true, b, false, false)
	}
	host := make([]float32, n*2*r*r)
	dev.Download(host, grams)
	if err := dev.Err(); err != nil {
		return nil, err
	}
	spectra := make([][]float64, n)
	for i := range spectra {
		g := host[2*i*r*r:]
		spectra[i] = singular(g[:r*r], g[r*r:2*r*r], r)
	}
	return spectra, nil
}

// singular returns the square roots of the eigenvalues of (BT B)(A AT), which
// are the eigenvalues of the symmetric matrix S (BT B) ST with STS = A AT.
func singular(aat, btb []float32, r int) []float64 {
	var eig mat.EigenSym
	if !eig.Factorize(symmetric(aat, r), true) {
		return notNumbers(r)
	}
	var v, s, left, product mat.Dense
	eig.VectorsTo(&v)
	roots := eig.Values(nil)
	for i, x := range roots {
		roots[i] = math.Sqrt(math.Max(x, 0))
	}
	s.Mul(mat.NewDiagDense(r, roots), v.T())
	left.Mul(&s, symmetric(btb, r))
	product.Mul(&left, s.T())
	whole := mat.NewSymDense(r, nil)
	for i := range r {
		for j := i; j < r; j++ {
			whole.SetSym(i, j, (product.At(i, j)+product.At(j, i))/2)
		}
	}
	if !eig.Factorize(whole, false) {
		return notNumbers(r)
	}
	values := eig.Values(nil)
	for i, x := range values {
		values[i] = math.Sqrt(math.Max(x, 0))
	}
	slices.SortFunc(values, func(a, b float64) int { return cmp.Compare(b, a) })
	return values
}

// symmetric returns a Gram matrix as a gonum matrix.
func symmetric(g []float32, r int) *mat.SymDense {
	s := mat.NewSymDense(r, nil)
	for i := range r {
		for j := i; j < r; j++ {
			s.SetSym(i, j, float64(g[i*r+j]))
		}
	}
	return s
}

// notNumbers returns the spectrum of a module whose parameters are not finite.
func notNumbers(r int) []float64 {
	v := make([]float64, r)
	for i := range v {
		v[i] = math.NaN()
	}
	return v
}
