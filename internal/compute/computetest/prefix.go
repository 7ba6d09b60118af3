package computetest

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
)

// prefixCases have sequences of several lengths, one of them empty, and widths on both sides of wide loads.
func prefixCases() []testCase {
	var all []testCase
	for _, c := range []int{1, 17, 64, 257, 1032} {
		for _, p := range []int{1, 5} {
			for _, lengths := range [][]int{{3}, {4, 0, 7, 1}, {0, 0, 2}, {40, 1, 33, 2, 9, 9, 9, 9, 9}} {
				all = append(all, testCase{
					name: fmt.Sprintf("op=PrependRows/c=%d/p=%d/lengths=%v", c, p, lengths),
					run:  func(s *suite) { checkPrepend(s, c, p, lengths) },
				})
			}
		}
	}
	return all
}

func checkPrepend(s *suite, c, p int, lengths []int) {
	cu, n := []int32{0}, 0
	for _, l := range lengths {
		n += l
		cu = append(cu, int32(n))
	}
	x, data := s.working.random("x", n, c)
	prefix, first := s.working.random("prefix", p, c)
	all := n + len(lengths)*p
	dy, g := s.working.random("dy", all, c)
	dprefix, start := s.exact.adds("dprefix", p, c)
	want, wantX := make([]float64, 0, all*c), make([]float64, 0, n*c)
	sum, plain := in[float64](start), in[float32](start)
	add, addPlain := make([]float64, p*c), make([]float32, p*c)
	for b := range lengths {
		at := len(want)
		want = append(append(want, first...), data[int(cu[b])*c:int(cu[b+1])*c]...)
		wantX = append(wantX, g[at+p*c:len(want)]...)
		for i := range add {
			add[i] += g[at+i]
			addPlain[i] += float32(g[at+i])
		}
	}
	for i := range sum {
		sum[i] += add[i]
		plain[i] += addPlain[i]
	}

	starts, dst := s.ints(cu), s.working.output("dst", all, c)
	s.dev.PrependRows(dst.Tensor, prefix, x, starts)
	s.same(dst, want)
	var none compute.Tensor
	dx := s.working.output("dx", n, c)
	s.dev.PrependRowsGrad(dx.Tensor, dprefix.Tensor, dy, starts)
	s.same(dx, wantX)
	s.near(dprefix, sum, out(plain), root(len(lengths)))
	alone := s.working.output("dx alone", n, c)
	s.dev.PrependRowsGrad(alone.Tensor, none, dy, starts)
	s.same(alone, wantX)
	dprefix = s.exact.inout("dprefix alone", start, p, c)
	s.dev.PrependRowsGrad(none, dprefix.Tensor, dy, starts)
	s.near(dprefix, sum, out(plain), root(len(lengths)))
}
