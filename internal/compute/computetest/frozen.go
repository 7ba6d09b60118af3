package computetest

import (
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
)

func frozenCases() []testCase {
	var all []testCase
	for _, stored := range []compute.DType{compute.Working, compute.BFloat16, compute.Float16} {
		for _, size := range [][3]int{{1, 1, 1}, {3, 17, 33}, {8, 96, 65}, {16, 33, 257}, {65, 100, 129}} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=AllocFrozen/stored=%v/n=%d/m=%d/k=%d", stored, size[0], size[1], size[2]),
				run:  func(s *suite) { checkFrozen(s, stored, size[0], size[1], size[2]) }, own: true,
			})
		}
	}
	return all
}

// checkFrozen compares every op that reads frozen weights with the same op on an ordinary tensor of the same values.
// The values are at first exact in every way of storing. Both must have the same bits.
func checkFrozen(s *suite, stored compute.DType, n, m, k int) {
	values := make([]float32, m*k)
	for i := range values {
		values[i] = float32(s.rng.IntN(65)-32) / 8
	}
	before := s.dev.Stats().PersistentBytes
	w := s.dev.AllocFrozen(compute.Shape{m, k}, stored)
	if got := s.dev.Stats().PersistentBytes - before; got < s.dev.Bytes(stored)*int64(m*k) {
		s.Errorf("PersistentBytes grew by %d for %d elements", got, m*k)
	}
	if w.DType != compute.Working {
		s.Errorf("frozen weights are %v, want Working", w.DType)
	}
	zeros := make([]float32, m*k)
	s.dev.Download(zeros, w)
	if slices.Max(zeros) != 0 || slices.Min(zeros) != 0 {
		s.Errorf("new frozen weights are not all 0")
	}
	s.dev.Upload(w, values)
	// Frozen weights must not be in the arena.
	s.dev.Reset()
	s.dev.Fill(s.dev.Temp(compute.Shape{4 * m * k}, compute.Working), 5)
	s.dev.Reset()
	plain := s.dev.Temp(compute.Shape{m, k}, compute.Working)
	s.dev.Upload(plain, values)
	s.sameBits("Download", w, plain)

	ops := frozenOps(s, n, m, k)
	want := ops(plain)
	for op, got := range ops(w) {
		s.sameBits(op, got, want[op])
	}
	// Values that two bytes do not hold are kept like all others.
	for i := range values {
		values[i] /= 3
	}
	s.dev.Upload(w, values)
	s.dev.Upload(plain, values)
	s.sameBits("Download of other values", w, plain)
	s.dev.Free(w)
	if got := s.dev.Stats().PersistentBytes; got != before {
		s.Errorf("PersistentBytes = %d after Free, want %d", got, before)
	}
}

// sameBits compares a result with frozen weights, x, with that of others, y.
func (s *suite) sameBits(what string, x, y compute.Tensor) {
	a, b := make([]float32, x.Shape.Len()), make([]float32, y.Shape.Len())
	s.dev.Download(a, x)
	s.dev.Download(b, y)
	for i := range a {
		if a[i] != b[i] {
			s.Errorf("%s: element %d is %v with frozen weights, %v with others", what, i, a[i], b[i])
			return
		}
	}
}

// frozenOps returns a function that computes all ops that read weights [m,k], over n rows.
func frozenOps(s *suite, n, m, k int) func(w compute.Tensor) map[string]compute.Tensor {
	x, _ := s.working.random("x", n, k)
	bias, _ := s.working.random("bias", m)
	dy, _ := s.working.random("dy", n, m)
	a, _ := s.working.random("a", 2, k)
	b, _ := s.working.random("b", m, 2)
	ids := s.ints(s.below(n, m))
	temp := func(d compute.DType, shape ...int) compute.Tensor { return s.dev.Temp(shape, d) }
	return func(w compute.Tensor) map[string]compute.Tensor {
		out := map[string]compute.Tensor{
			"Linear": temp(compute.Working, n, m), "Gemm": temp(compute.Working, n, k),
			"Gemm transposed": temp(compute.Working, n, m),
			"Copy":            temp(compute.Working, m, k), "Embed": temp(compute.Working, n, k),
			"LowRankInvNorm": temp(compute.Exact, m), "Gemm added": temp(compute.Working, n, k),
		}
		s.dev.Linear(out["Linear"], compute.Tensor{}, x, w, bias, compute.GELU)
		s.dev.Gemm(out["Gemm"], 1, dy, false, w, false, false)
		s.dev.Copy(out["Gemm added"], x)
		s.dev.Gemm(out["Gemm added"], 0.5, dy, false, w, false, true)
		s.dev.Gemm(out["Gemm transposed"], 1, x, false, w, true, false)
		s.dev.Embed(out["Embed"], ids, compute.Tensor{}, compute.Tensor{}, w, compute.Tensor{}, compute.Tensor{})
		s.dev.Copy(out["Copy"], w)
		s.dev.LowRankInvNorm(out["LowRankInvNorm"], w, a, b, 0.5)
		return out
	}
}
