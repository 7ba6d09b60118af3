package adapter_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/tape"
)

// TestRobustDrop: an adapter that was trained with robust_drop, evaluated without its first layers, computes what one
// with drop_first computes that has the same values in the other layers. A step of the training leaves out a number of
// layers that all its micro-batches share, and each number is drawn.
func TestRobustDrop(t *testing.T) {
	dev, b := cpu.Open[float32](1), batch(5, 1, 3)
	values := adapter.Values{"bottleneck": 3, "robust_drop": true}
	n := attach(t, dev, "bert", adapter.Configure("adapter", values), nil)
	views := n.Method.(adapter.Viewer).Views()
	if want := "without the adapters of 3 layers"; len(views) != 4 || views[3] != want {
		t.Fatalf("views are %q; want 4, of which the last is %q", views, want)
	}
	plain := make([][]float32, len(views))
	for l := range views {
		other := attach(t, dev, "bert", adapter.Configure("adapter", adapter.Values{"bottleneck": 3, "drop_first": l}), nil)
		for _, p := range other.Method.Params() {
			i := slices.IndexFunc(n.Method.Params(), func(q *tape.Param) bool { return q.Name == p.Name })
			p.Upload(dev, n.Method.Params()[i].Values(dev))
		}
		plain[l] = logits(dev, n.Model, other.Method.Hook(adapter.At{}), b, false)
		if got := logits(dev, n.Model, n.Method.Hook(adapter.At{View: l + 1}), b, false); !sameBits(got, plain[l]) {
			t.Errorf("%s: outputs differ from those of an adapter with drop_first", views[l])
		}
	}
	drawn := map[int]int{}
	for step := 1; step <= 40; step++ {
		var of [2]int
		for pass := range of {
			at := adapter.At{Step: step, Pass: pass, Train: true, Seed: 1}
			of[pass] = slices.IndexFunc(plain, func(want []float32) bool {
				return sameBits(logits(dev, n.Model, n.Method.Hook(at), b, false), want)
			})
		}
		if drawn[of[0]]++; of[0] != of[1] {
			t.Errorf("step %d leaves out %d and %d layers; want one number", step, of[0], of[1])
		}
	}
	if len(drawn) != 4 || drawn[-1] > 0 {
		t.Errorf("the numbers of layers that steps leave out are %s; want 0 to 3", fmt.Sprint(drawn))
	}
}
