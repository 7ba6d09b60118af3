package computetest

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/nf4"
)

func nf4Cases() []testCase {
	var all []testCase
	for _, n := range []int{1, 7, 63, 64, 65, 2049, 20003} {
		all = append(all, testCase{name: fmt.Sprintf("op=UploadNF4/n=%d", n), run: func(s *suite) { checkNF4(s, n) }})
	}
	for _, size := range [][3]int{{1, 1, 1}, {1, 33, 100}, {3, 17, 33}, {8, 96, 65}, {16, 40, 257}, {42, 32, 768},
		{65, 100, 129}, {130, 70, 400}} {
		all = append(all, testCase{
			name: fmt.Sprintf("op=ReadsNF4/n=%d/m=%d/k=%d", size[0], size[1], size[2]),
			run:  func(s *suite) { checkNF4Products(s, size[0], size[1], size[2]) }, own: true,
		})
	}
	return all
}

// checkNF4Products compares products that read an NF4 tensor with those of its copy. Both must have the same bits.
func checkNF4Products(s *suite, n, m, k int) {
	if !s.dev.ReadsNF4() {
		return
	}
	random := func(rows, cols int) []float32 {
		v := make([]float32, rows*cols)
		for i := range v {
			v[i] = float32(s.rng.NormFloat64())
		}
		return v
	}
	temp := func(rows, cols int, fill []float32) compute.Tensor {
		x := s.dev.Temp(compute.Shape{rows, cols}, compute.Working)
		s.dev.Upload(x, fill)
		return x
	}
	q := nf4.Quantize(random(m, k), []int{m, k}, true)
	packed := s.dev.Alloc(compute.Shape{m, k}, compute.NF4)
	defer s.dev.Free(packed)
	s.dev.UploadNF4(packed, q.Codes, q.Expanded())
	s.dev.Reset()
	dense := s.dev.Temp(compute.Shape{m, k}, compute.Working)
	s.dev.Copy(dense, packed)
	x, dy, bias := temp(n, k, random(n, k)), temp(n, m, random(n, m)), s.dev.Temp(compute.Shape{m}, compute.Working)
	s.dev.Upload(bias, random(1, m))
	start := random(n, k)
	results := map[string][2][]float32{}
	for i, w := range []compute.Tensor{packed, dense} {
		keep := func(what string, t compute.Tensor) {
			v := make([]float32, t.Shape.Len())
			s.dev.Download(v, t)
			both := results[what]
			both[i] = v
			results[what] = both
		}
		y, pre := temp(n, m, random(n, m)), temp(n, m, random(n, m))
		s.dev.Linear(y, pre, x, w, bias, compute.GELU)
		keep("Linear", y)
		dx := temp(n, k, start)
		s.dev.Gemm(dx, 0.5, dy, false, w, false, false)
		keep("Gemm", dx)
		sum := temp(n, k, start)
		s.dev.Gemm(sum, 1, dy, false, w, false, true)
		keep("Gemm that adds", sum)
	}
	for what, both := range results {
		for i, v := range both[0] {
			if v != both[1][i] {
				s.Errorf("%s: element %d is %v of four bits, %v of the copy", what, i, v, both[1][i])
				break
			}
		}
	}
}

// checkNF4 checks that a Copy of a quantised tensor has the values of package nf4, and that the tensor takes the bytes
// that are planned for it until it is freed.
func checkNF4(s *suite, n int) {
	before := s.dev.Stats().PersistentBytes
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(s.rng.NormFloat64())
	}
	m := nf4.Quantize(values, []int{n}, true)
	scales := m.Expanded()
	packed := s.dev.Alloc(compute.Shape{n}, compute.NF4)
	s.dev.UploadNF4(packed, m.Codes, scales)
	if got, want := s.dev.Stats().PersistentBytes-before, compute.NF4Bytes(int64(n)); got != want {
		s.Errorf("PersistentBytes grew by %d, want %d", got, want)
	}
	dst := s.working.output("dst", n)
	s.dev.Copy(dst.Tensor, packed)
	nf4.Dequantize(values, m.Codes, scales, 0)
	want := make([]float64, n)
	for i, v := range values {
		want[i] = s.working.round(float64(v))
	}
	s.same(dst, want)
	s.dev.Free(packed)
	if got := s.dev.Stats().PersistentBytes; got != before {
		s.Errorf("PersistentBytes is %d after Free, want %d", got, before)
	}
}
