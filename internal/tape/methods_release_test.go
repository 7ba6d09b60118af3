package tape_test

import (
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// TestMethodReleases checks that the ops of compute.Methods leave only tensors that the tape does not own, after a
// training step and after an evaluation.
func TestMethodReleases(t *testing.T) {
	for _, train := range []bool{true, false} {
		dev := newLedger(t)
		tp := &tape.Tape{Dev: dev, Train: train}
		param := func(frozen bool, shape ...int) *tape.Param {
			p := &tape.Param{Value: dev.Alloc(shape, compute.Working)}
			if !frozen {
				p.Grad = dev.Alloc(shape, compute.Exact)
			}
			return p
		}
		x := tp.Const(dev.Temp(compute.Shape{5, 4}, compute.Working))
		scaled := tp.ScaleCols(x, param(false, 4), compute.ScaleOpts{})
		y := tp.Linear(x, param(true, 6, 4), nil, compute.Identity)
		u := tp.LowRankDown(scaled, param(false, 2, 4), compute.Dropout{})
		tp.Release(scaled)
		tp.Rescale(u, param(false, 2), compute.ScaleOpts{})
		logit := tp.LowRankDown(x, param(false, 3, 4), compute.Dropout{})
		w := tp.Softmax(logit)
		tp.Release(logit)
		experts, each := tp.Gate(w, u), tp.GateEach(w, tp.LowRankDown(x, param(true, 6, 4), compute.Dropout{}))
		factors, one := dev.Alloc(compute.Shape{1, 3}, compute.Exact), dev.Temp(compute.Shape{5}, compute.Int)
		tp.Balance(factors, w, one, factors, 1)
		tp.Release(w, u)
		tp.LowRankUp(y, experts, param(true, 6, 6), 1)
		tp.LowRankUp(y, each, param(true, 6, 6), 1)
		tp.Release(experts, each)
		tp.Rescale(y, param(true, 6), compute.ScaleOpts{})
		tp.Rescale(y, param(false, 6), compute.ScaleOpts{})
		z := tp.Add(tp.Copy(y), y, 0.5)
		zero := tp.Zeros(x, 6)
		tp.AddTo(zero, z, 2)
		tp.Release(y, z)
		logits := tp.Linear(zero, param(false, 3, 6), nil, compute.Identity)
		tp.Release(zero)
		want := 4 // x, labels, the sequences of rows, and the ranks of a frozen A
		if !train {
			want = 7 // also two copies and ranks that nothing released, and the logits
		}
		labels := dev.Temp(compute.Shape{5}, compute.Int)
		tp.CrossEntropy(dev.Alloc(compute.Shape{1}, compute.Exact), logits, labels, 1, compute.CrossEntropyOpts{})
		tp.SymmetricKL(factors, logits, tp.Copy(logits), 1, true)
		tp.Backward()
		if len(dev.live) != want {
			t.Errorf("train=%t: %d tensors are live, %v; want %d", train, len(dev.live), dev.shapes(), want)
		}
	}
}
