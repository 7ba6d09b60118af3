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
	return all
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
