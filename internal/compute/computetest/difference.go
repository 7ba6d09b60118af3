package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// differenceCases compare gradients with central differences of the device's own forward pass. They do not rely on
// the suite's formulas. They need a device in float64.
func differenceCases(cfg Config) []testCase {
	if !cfg.double() {
		return nil
	}
	all := []testCase{
		{name: "op=LayerNormGrad/difference=central", run: differenceLayerNorm},
		{name: "op=RMSNormGrad/difference=central", run: differenceRMSNorm},
		{name: "op=SwiGLUGrad/difference=central", run: differenceSwiGLU},
		{name: "op=RoPE/difference=central", run: differenceRoPE},
		{name: "op=AttentionGrad/difference=central/causal=false", run: func(s *suite) { differenceAttention(s, 2, false) }},
		{name: "op=AttentionGrad/difference=central/causal=true", run: func(s *suite) { differenceAttention(s, 2, true) }},
		{name: "op=AttentionGrad/difference=central/bias=true", run: func(s *suite) { differenceAttention(s, 4, false) }},
		{name: "op=LowRankDownGrad/difference=central", run: differenceLowRank},
		{name: "op=CrossEntropy/difference=central", run: differenceCrossEntropy},
		{name: "op=BinaryCrossEntropy/difference=central", run: differenceBinaryCrossEntropy},
		{name: "op=ScaleColsGrad/difference=central", run: differenceScale},
		{name: "op=GateGrad/difference=central", run: differenceGate},
		{name: "op=Penalty/difference=central", run: differencePenalty},
	}
	for _, a := range activations {
		if a.act == compute.ReLU {
			continue // is not differentiable at 0
		}
		all = append(all, testCase{
			name: fmt.Sprintf("op=ActGrad/difference=central/act=%s", a.name),
			run:  func(s *suite) { differenceAct(s, a.act) },
		})
	}
	return all
}

// coarse returns n values on a grid on which the steps of a difference are exact in float32, because Upload takes
// float32.
func (s *suite) coarse(n int) []float64 {
	x := s.working.normal(n, 1)
	for i := range x {
		x[i] = math.Round(x[i]*4096) / 4096
	}
	return x
}

// variable is an input whose gradient is checked.
type variable struct {
	*band
	data []float64
	grad *band
}

// variable returns a variable whose gradient has the given type and starts at zero.
func (s *suite) variable(grad kind, name string, shape ...int) *variable {
	n := compute.Shape(shape).Len()
	x := s.coarse(n)
	return &variable{s.working.inout(name, x, shape...), x, grad.inout("d"+name, make([]float64, n), shape...)}
}

// objective returns the sum of y times fixed weights. The weights are dL/dy.
func (s *suite) objective(y *band) (dy compute.Tensor, loss func() float64) {
	dy, w := s.working.random("dy", y.Shape...)
	return dy, func() float64 {
		sum := 0.0
		for i, v := range y.read(s) {
			sum += w[i] * v
		}
		return sum
	}
}

// difference compares the gradient of x, at up to 24 of its elements, with the
// five-point stencil of loss, which runs the forward pass.
func (s *suite) difference(x *variable, loss func() float64) {
	s.Helper()
	const h = 1.0 / 128
	got := x.grad.read(s)
	top := 0.0
	for _, g := range got {
		top = max(top, math.Abs(g))
	}
	at := func(i int, step float64) float64 {
		moved := make([]float32, len(x.data))
		for j, v := range x.data {
			moved[j] = float32(v)
		}
		moved[i] = float32(x.data[i] + step)
		s.dev.Upload(x.Tensor, moved)
		return loss()
	}
	for i := 0; i < len(got); i += 1 + len(got)/24 {
		want := (8*(at(i, h)-at(i, -h)) - (at(i, 2*h) - at(i, -2*h))) / (12 * h)
		if !(math.Abs(got[i]-want) <= 1e-6*max(top, 1)) {
			s.Errorf("%s[%d] = %v, central difference %v", x.grad.name, i, got[i], want)
			break
		}
	}
	at(0, 0)
}

func differenceAct(s *suite, act compute.Act) {
	x, y := s.variable(s.working, "x", 33), s.working.output("y", 33)
	dy, sum := s.objective(y)
	s.dev.ActGrad(act, x.grad.Tensor, x.Tensor, dy)
	s.difference(x, func() float64 {
		s.dev.Act(act, y.Tensor, x.Tensor)
		return sum()
	})
}

func differenceLayerNorm(s *suite) {
	const n, c = 3, 17
	x, residual := s.variable(s.working, "x", n, c), s.variable(s.working, "residual", n, c)
	gamma, beta := s.variable(s.exact, "gamma", c), s.variable(s.exact, "beta", c)
	y, sum, stats := s.working.output("y", n, c), s.working.output("sum", n, c), s.exact.output("stats", n, 2)
	dy, total := s.objective(y)
	drop := someDropout(0.25)
	forward := func() float64 {
		s.dev.LayerNorm(compute.LayerNormArgs{
			Dst: y.Tensor, Sum: sum.Tensor, Stats: stats.Tensor, X: x.Tensor, Residual: residual.Tensor,
			Gamma: gamma.Tensor, Beta: beta.Tensor, Eps: normEps, Drop: drop,
		})
		return total()
	}
	forward()
	s.dev.LayerNormGrad(compute.LayerNormGradArgs{
		DX: x.grad.Tensor, DResidual: residual.grad.Tensor, DGamma: gamma.grad.Tensor, DBeta: beta.grad.Tensor,
		Sum: sum.Tensor, Gamma: gamma.Tensor, Stats: stats.Tensor, DY: dy, Drop: drop,
	})
	for _, v := range []*variable{x, residual, gamma, beta} {
		s.difference(v, forward)
	}
}

func differenceRMSNorm(s *suite) {
	const n, c = 3, 17
	x, gamma := s.variable(s.working, "x", n, c), s.variable(s.working, "gamma", c)
	y, rstd := s.working.output("y", n, c), s.exact.output("rstd", n)
	dy, total := s.objective(y)
	forward := func() float64 {
		s.dev.RMSNorm(compute.RMSNormArgs{
			Dst: y.Tensor, RStd: rstd.Tensor, X: x.Tensor, Gamma: gamma.Tensor, Eps: normEps,
		})
		return total()
	}
	forward()
	s.dev.RMSNormGrad(compute.RMSNormGradArgs{
		DX: x.grad.Tensor, DGamma: gamma.grad.Tensor, X: x.Tensor, Gamma: gamma.Tensor, RStd: rstd.Tensor, DY: dy,
	})
	s.difference(x, forward)
	s.difference(gamma, forward)
}

func differenceSwiGLU(s *suite) {
	gate, up, y := s.variable(s.working, "gate", 33), s.variable(s.working, "up", 33), s.working.output("y", 33)
	dy, total := s.objective(y)
	s.dev.SwiGLUGrad(gate.grad.Tensor, up.grad.Tensor, gate.Tensor, up.Tensor, dy)
	forward := func() float64 {
		s.dev.SwiGLU(y.Tensor, gate.Tensor, up.Tensor)
		return total()
	}
	s.difference(gate, forward)
	s.difference(up, forward)
}

// differenceRoPE copies x because the method works in place.
func differenceRoPE(s *suite) {
	const n, heads, dim = 5, 3, 6
	x, y := s.variable(s.working, "x", n, heads*dim), s.working.output("y", n, heads*dim)
	pos, table := s.ints(s.below(n, 100)), s.angles(101, dim)
	dy, total := s.objective(y)
	s.dev.Copy(x.grad.Tensor, dy)
	s.dev.RoPE(x.grad.Tensor, pos, table, true)
	s.difference(x, func() float64 {
		s.dev.Copy(y.Tensor, x.Tensor)
		s.dev.RoPE(y.Tensor, pos, table, false)
		return total()
	})
}

// differenceAttention gives attention a bias if it has as many heads of keys as of queries.
func differenceAttention(s *suite, kvHeads int, causal bool) {
	const heads = 4
	a := attnData{
		heads: heads, kvHeads: kvHeads, dim: 5, lenQ: []int{3, 0, 7}, lenK: []int{4, 2, 7}, causal: causal, scale: 0.5,
		drop: someDropout(0.25),
	}
	if kvHeads == heads {
		a.places, a.buckets = 8, s.below(15, biasRows-1)
	}
	o := a.options(s)
	wide := 5 * kvHeads
	q := s.variable(s.working, "q", 10, 20)
	k, v := s.variable(s.working, "k", 13, wide), s.variable(s.working, "v", 13, wide)
	variables := []*variable{q, k, v}
	grad := compute.AttentionGradArgs{DQ: q.grad.Tensor, DK: k.grad.Tensor, DV: v.grad.Tensor}
	if a.places > 0 {
		bias := s.variable(s.exact, "bias", biasRows, heads)
		o.Bias, grad.DBias, variables = bias.Tensor, bias.grad.Tensor, append(variables, bias)
	}
	y, lse := s.working.output("y", 10, 20), s.exact.output("lse", 10, 4)
	dy, total := s.objective(y)
	forward := func() float64 {
		s.dev.Attention(y.Tensor, lse.Tensor, q.Tensor, k.Tensor, v.Tensor, o)
		return total()
	}
	forward()
	grad.Q, grad.K, grad.V, grad.Y, grad.LSE, grad.DY = q.Tensor, k.Tensor, v.Tensor, y.Tensor, lse.Tensor, dy
	grad.AttnOpts = o
	s.dev.AttentionGrad(grad)
	for _, x := range variables {
		s.difference(x, forward)
	}
}

func differenceLowRank(s *suite) {
	const n, k, m, r = 5, 17, 9, 3
	x, a, b := s.variable(s.working, "x", n, k), s.variable(s.exact, "a", r, k), s.variable(s.exact, "b", m, r)
	y, u := s.working.output("y", n, m), s.exact.output("u", n, r)
	dy, total := s.objective(y)
	drop := someDropout(0.25)
	forward := func() float64 {
		s.dev.Fill(y.Tensor, 0)
		s.dev.LowRankDown(u.Tensor, x.Tensor, a.Tensor, drop)
		s.dev.LowRankUp(y.Tensor, u.Tensor, b.Tensor, 1.5)
		return total()
	}
	forward()
	du := s.exact.output("du", n, r)
	s.dev.LowRankUpGrad(du.Tensor, b.grad.Tensor, u.Tensor, b.Tensor, dy, 1.5)
	s.dev.LowRankDownGrad(x.grad.Tensor, a.grad.Tensor, x.Tensor, a.Tensor, du.Tensor, drop, false)
	for _, v := range []*variable{x, a, b} {
		s.difference(v, forward)
	}
}

func differenceCrossEntropy(s *suite) {
	const n, c = 5, 7
	x, loss := s.variable(s.working, "logits", n, c), s.exact.inout("loss", []float64{0}, 1)
	labels := s.ints(s.below(n, c))
	o := compute.CrossEntropyOpts{
		Rows:      s.exact.input("rows", []float64{1, 0.5, 2, 0, 1.5}, n),
		Classes:   s.exact.input("classes", []float64{0.5, 2, 1, 3, 0, 1, 0.25}, c),
		Smoothing: 0.2,
	}
	forward := func(grad compute.Tensor) float64 {
		s.dev.Fill(loss.Tensor, 0)
		s.dev.CrossEntropy(loss.Tensor, grad, x.Tensor, labels, 0.2, o)
		return loss.read(s)[0]
	}
	forward(x.grad.Tensor)
	s.difference(x, func() float64 { return forward(compute.Tensor{}) })
}

func differenceBinaryCrossEntropy(s *suite) {
	const n, c = 5, 3
	x, loss := s.variable(s.working, "logits", n, c), s.exact.inout("loss", []float64{0}, 1)
	targets := s.exact.input("targets", []float64{0, 1, 1, 1, 0, 0, 0.25, 1, 1, 0, 0, 1, 0.5, 0, 1}, n, c)
	forward := func(grad compute.Tensor) float64 {
		s.dev.Fill(loss.Tensor, 0)
		s.dev.BinaryCrossEntropy(loss.Tensor, grad, x.Tensor, targets, 0.2)
		return loss.read(s)[0]
	}
	forward(x.grad.Tensor)
	s.difference(x, func() float64 { return forward(compute.Tensor{}) })
}
