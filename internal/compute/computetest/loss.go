package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// weights are the weights of a cross-entropy as plain numbers. rows and classes are nil if they are absent.
type weights struct {
	rows, classes []float64
	smoothing     float32
}

// crossEntropy computes start plus the loss, and its gradient, from the definition: a target distribution against the
// log of the softmax. A row with a label below 0 has no loss and no gradient.
func crossEntropy[F float](
	start float64, x []float64, labels []int32, c int, scale float32, o weights,
) (loss, grad []float64) {
	g := in[F](x)
	total := F(0)
	at := func(w []float64, i int) F {
		if w == nil {
			return 1
		}
		return F(w[i])
	}
	for n, label := range labels {
		row := g[n*c : (n+1)*c]
		if label < 0 {
			clear(row)
			continue
		}
		top, sum := F(math.Inf(-1)), F(0)
		for _, v := range row {
			top = max(top, v)
		}
		for _, v := range row {
			sum += F(math.Exp(float64(v - top)))
		}
		log, smooth := F(math.Log(float64(sum))), F(o.smoothing)
		target, all, own, part := make([]F, c), F(0), F(0), F(0)
		for j := range target {
			target[j] = at(o.rows, n) * smooth / F(c) * at(o.classes, j)
			if j == int(label) {
				target[j] += at(o.rows, n) * (1 - smooth) * at(o.classes, j)
			}
			all += target[j]
			if target[j] != 0 {
				part += target[j] * (log + (top - row[j]))
			}
			// Sum in parts: one float32 sum of 40,001 terms has a larger error than a device may have.
			if j%256 == 255 || j == c-1 {
				own, part = own+part, 0
			}
		}
		total += own
		for j, v := range row {
			row[j] = F(scale) * (all*(F(math.Exp(float64(v-top)))/sum) - target[j])
		}
	}
	return []float64{float64(F(start) + F(scale)*total)}, out(g)
}

// binaryCrossEntropy computes start plus the loss, and its gradient, from the definition: log(1 + exp(-x)) weighted by
// the target, and log(1 + exp(x)) by the rest.
func binaryCrossEntropy[F float](start float64, x, y []float64, scale float32) (loss, grad []float64) {
	g := in[F](x)
	total, part := F(0), F(0)
	softplus := func(v F) F {
		if v > 30 {
			return v
		}
		return F(math.Log1p(math.Exp(float64(v))))
	}
	for i, v := range g {
		part += F(y[i])*softplus(-v) + (1-F(y[i]))*softplus(v)
		if i%256 == 255 || i == len(g)-1 {
			total, part = total+part, 0
		}
		g[i] = F(scale) * (F(1/(1+math.Exp(-float64(v)))) - F(y[i]))
	}
	return []float64{float64(F(start) + F(scale)*total)}, out(g)
}

func squaredError[F float](start float64, x, y []float64, scale float32) (loss, grad []float64) {
	g := in[F](x)
	total := F(0)
	for i := range g {
		e := g[i] - F(y[i])
		total += e * e
		g[i] = 2 * F(scale) * e
	}
	return []float64{float64(F(start) + F(scale)*total)}, out(g)
}

func lossCases() []testCase {
	var all []testCase
	for _, size := range [][2]int{{1, 2}, {3, 1}, {17, 3}, {33, 257}, {3, 1025}, {257, 17}, {3, 40001}} {
		// Large logits overflow if the maximum is not subtracted.
		for _, std := range []float64{1, 100} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=CrossEntropy/b=%d/c=%d/std=%g", size[0], size[1], std),
				run:  func(s *suite) { checkCrossEntropy(s, size[0], size[1], std, weighing{}) },
			})
		}
		for _, w := range []weighing{
			{rows: true}, {classes: true}, {smoothing: 0.1}, {smoothing: 1}, {rows: true, classes: true, smoothing: 0.3},
		} {
			all = append(all, testCase{
				name: fmt.Sprintf(
					"op=CrossEntropy/b=%d/c=%d/rows=%t/classes=%t/smoothing=%g", size[0], size[1], w.rows, w.classes, w.smoothing,
				),
				run: func(s *suite) { checkCrossEntropy(s, size[0], size[1], 3, w) },
			})
		}
	}
	for _, size := range [][2]int{{1, 1}, {3, 2}, {17, 28}, {33, 257}, {257, 5}} {
		for _, std := range []float64{1, 100} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=BinaryCrossEntropy/b=%d/c=%d/std=%g", size[0], size[1], std),
				run:  func(s *suite) { checkBinaryCrossEntropy(s, size[0], size[1], std) },
			})
		}
	}
	for _, n := range []int{1, 3, 17, 257} {
		all = append(all, testCase{name: fmt.Sprintf("op=MSE/b=%d", n), run: func(s *suite) { checkMSE(s, n) }})
	}
	return all
}

// weighing selects the weights of a case of cross-entropy.
type weighing struct {
	rows, classes bool
	smoothing     float32
}

func checkCrossEntropy(s *suite, n, c int, std float64, with weighing) {
	x := s.working.normal(n*c, std)
	labels := s.below(n, c)
	labels[0] = int32(c - 1)
	for i := 2; i < n; i += 3 {
		labels[i] = [2]int32{-100, -1}[i%2]
	}
	w, o := weights{smoothing: with.smoothing}, compute.CrossEntropyOpts{Smoothing: with.smoothing}
	draw := func(name string, n int) (compute.Tensor, []float64) {
		values := s.exact.normal(n, 1)
		for i, v := range values {
			values[i] = math.Abs(v)
		}
		values[n/2] = 0 // a row or class without weight
		return s.exact.input(name, values, n), values
	}
	if with.rows {
		o.Rows, w.rows = draw("rows", n)
	}
	if with.classes {
		o.Classes, w.classes = draw("classes", c)
	}
	const start, scale = 0.75, 0.3
	want, wantG := crossEntropy[float64](start, x, labels, c, scale, w)
	plain, plainG := crossEntropy[float32](start, x, labels, c, scale, w)
	logits, ids := s.working.input("logits", x, n, c), s.ints(labels)
	loss, grad := s.exact.inout("loss", []float64{start}, 1), s.working.output("dlogits", n, c)
	s.dev.CrossEntropy(loss.Tensor, grad.Tensor, logits, ids, scale, o)
	s.near(loss, want, plain, scale*std)
	s.near(grad, wantG, plainG, scale*max(1, std/10))
	inPlace := s.working.inout("dlogits=logits", x, n, c)
	again := s.exact.inout("loss in place", []float64{start}, 1)
	s.dev.CrossEntropy(again.Tensor, inPlace.Tensor, inPlace.Tensor, ids, scale, o)
	s.near(again, want, plain, scale*std)
	s.near(inPlace, wantG, plainG, scale*max(1, std/10))
	alone := s.exact.inout("loss alone", []float64{start}, 1)
	s.dev.CrossEntropy(alone.Tensor, compute.Tensor{}, logits, ids, scale, o)
	s.near(alone, want, plain, scale*std)
}

func checkBinaryCrossEntropy(s *suite, n, c int, std float64) {
	x, goal := s.working.normal(n*c, std), s.exact.normal(n*c, 1)
	for i, v := range goal {
		// A target is usually 0 or 1, and may be between.
		switch goal[i] = 0; {
		case i%5 == 4:
			goal[i] = 0.25
		case v > 0:
			goal[i] = 1
		}
	}
	const start, scale = 0.75, 0.3
	want, wantG := binaryCrossEntropy[float64](start, x, goal, scale)
	plain, plainG := binaryCrossEntropy[float32](start, x, goal, scale)
	logits, y := s.working.input("logits", x, n, c), s.exact.input("targets", goal, n, c)
	loss, grad := s.exact.inout("loss", []float64{start}, 1), s.working.output("dlogits", n, c)
	s.dev.BinaryCrossEntropy(loss.Tensor, grad.Tensor, logits, y, scale)
	s.near(loss, want, plain, scale*std)
	s.near(grad, wantG, plainG, scale)
	inPlace := s.working.inout("dlogits=logits", x, n, c)
	again := s.exact.inout("loss in place", []float64{start}, 1)
	s.dev.BinaryCrossEntropy(again.Tensor, inPlace.Tensor, inPlace.Tensor, y, scale)
	s.near(again, want, plain, scale*std)
	s.near(inPlace, wantG, plainG, scale)
	alone := s.exact.inout("loss alone", []float64{start}, 1)
	s.dev.BinaryCrossEntropy(alone.Tensor, compute.Tensor{}, logits, y, scale)
	s.near(alone, want, plain, scale*std)
}

func checkMSE(s *suite, n int) {
	x, data := s.working.random("x", n, 1)
	y, goal := s.exact.random("y", n)
	const start, scale = 0.75, 0.3
	want, wantG := squaredError[float64](start, data, goal, scale)
	plain, plainG := squaredError[float32](start, data, goal, scale)
	loss, grad := s.exact.inout("loss", []float64{start}, 1), s.working.output("dx", n, 1)
	s.dev.MSE(loss.Tensor, grad.Tensor, x, y, scale)
	s.near(loss, want, plain, 1)
	s.near(grad, wantG, plainG, scale)
	alone := s.exact.inout("loss alone", []float64{start}, 1)
	s.dev.MSE(alone.Tensor, compute.Tensor{}, x, y, scale)
	s.near(alone, want, plain, 1)
}
