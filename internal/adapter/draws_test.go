package adapter_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// TestBounds: the mini LoRAs of MELoRA are drawn by the width of a slice, 12/4, and the matrices of VeRA by He's bound
// for the number of columns, as in PEFT.
func TestBounds(t *testing.T) {
	dev := cpu.Open[float32](1)
	for _, c := range []struct {
		config adapter.Config
		of     string
		bound  float64
	}{
		{adapter.Configure("melora", adapter.Values{"rank": 8, "groups": 4}), "lora_A.weight", 1 / math.Sqrt(3)},
		{adapter.Configure("vera", adapter.Values{"rank": 32}), "vera_A", math.Sqrt(6.0 / 12)},
		{adapter.Configure("vera", adapter.Values{"rank": 32}), "vera_B", math.Sqrt(6.0 / 32)},
	} {
		n := attach(t, dev, "bert", c.config, nil)
		for _, p := range slices.Concat(n.Method.Params(), n.Method.Buffers()) {
			if !strings.HasSuffix(p.Name, c.of) {
				continue
			}
			size := 0.0
			for _, x := range p.Values(dev) {
				size = math.Max(size, math.Abs(float64(x)))
			}
			if size > c.bound || size < 0.9*c.bound {
				t.Errorf("%s: the largest element is %g; want at most %g, and nearly that", p.Name, size, c.bound)
			}
		}
	}
}

// TestMixedDraws: AdaMix draws its copies for each micro-batch of a step.
func TestMixedDraws(t *testing.T) {
	dev, b := cpu.Open[float32](1), batch(5, 1, 3)
	n := attach(t, dev, "bert", adapter.Configure("adamix", adapter.Values{"bottleneck": 3}), nil)
	n.leaveStart()
	at := adapter.At{Step: 1, Train: true, Seed: 1}
	first := logits(dev, n.Model, n.Method.Hook(at), b, false)
	if again := logits(dev, n.Model, n.Method.Hook(at), b, false); !sameBits(again, first) {
		t.Error("the same micro-batch has other draws when it is computed again")
	}
	at.Pass = 1
	if second := logits(dev, n.Model, n.Method.Hook(at), b, false); sameBits(second, first) {
		t.Error("the second micro-batch has the draws of the first in all layers")
	}
}

// TestRouterDropout: the weights of experts are those of the input without dropout. Expert i writes to column i, so
// that the columns of the output are to each other as the weights, whatever dropout leaves of the input.
func TestRouterDropout(t *testing.T) {
	for _, name := range []string{"hydralora", "loramoe"} {
		dev := cpu.Open[float64](1)
		w := worked{weight: make([]float64, 9), x: [][]float64{nil}, config: workedConfig(name, adapter.Values{
			"rank": 1, "experts": 2, "dropout": 0.5, "exclude_modules": []string{},
		})}
		method, sites, m := w.attach(t, dev)
		for _, p := range method.Params() {
			values := map[bool][]float64{true: {.3, -.1, .2, -.2, .4, .1}, false: {1, 0, 0, 1}}
			switch {
			case strings.HasSuffix(p.Name, "lora_A.weight"):
				copy(cpu.Data[float64](p.Value), []float64{1, 1, 1, 1, 1, 1})
			default:
				copy(cpu.Data[float64](p.Value), values[strings.HasSuffix(p.Name, "lora_route.weight")])
			}
		}
		at := adapter.At{Step: 1, Steps: 10, Train: true, Seed: 1}
		p := &model.Pass{Tape: &tape.Tape{Dev: dev, Train: true, Seed: 1, Step: 1}}
		x := input(dev, p, slices.Repeat([]float64{1, 2, -.5}, 8), 3)
		y := p.Linear(x.Var, m.Linear(sites[0]).W, nil, compute.Identity)
		method.Hook(at).Linear(p, sites[0], x.Var, y)
		sums := map[float64]bool{}
		for row := range slices.Chunk(cpu.Data[float64](y.Value), 3) {
			// The scores are 0.3 - 0.2 - 0.1 and -0.2 + 0.8 - 0.05.
			if want := 1 / (1 + math.Exp(.55)); math.Abs(row[0]-want*(row[0]+row[1])) > 1e-9 {
				t.Errorf("%s: the first expert has %g of %g; want a share of %g", name, row[0], row[0]+row[1], want)
			}
			sums[math.Round(1e6*(row[0]+row[1]))] = true
		}
		if len(sums) < 2 {
			t.Errorf("%s: every row is the same, so that there is no dropout", name)
		}
	}
}
