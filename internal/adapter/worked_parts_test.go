package adapter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// fitted returns a parameter with a gradient that has values, or as many zeros as its shape needs behind them.
func fitted(dev compute.Device, p *tape.Param, values ...float64) *tape.Param {
	copy(cpu.Data[float64](p.Value), values)
	p.Grad = dev.Alloc(p.Value.Shape, compute.Exact)
	return p
}

// TestWorkedStarts compares the factors of PiSSA and OLoRA at the start, and what they leave of the weight, with those
// of PEFT for the weight W and rank 1.
func TestWorkedStarts(t *testing.T) {
	for _, c := range []struct {
		method     string
		a, b, left []float64
	}{
		{"pissa", []float64{.269289, .632235, -.405274}, []float64{-.269410, .750935, 0},
			[]float64{.272549, .070330, .290815, .097781, .025232, .104334, 0, 0, 0}},
		{"olora", []float64{-.360555, -.360555, -.055470}, []float64{-.554700, -.832050, 0},
			[]float64{0, -.3, .369231, 0, .2, -.246154, 0, 0, 0}},
	} {
		t.Run(c.method, func(t *testing.T) {
			dev := cpu.Open[float64](1)
			w := worked{weight: workedW, x: [][]float64{nil}, config: workedConfig(c.method, adapter.Values{
				"rank": 1, "alpha": 1.0, "svd_iterations": 0,
			})}
			method, sites, m := w.attach(t, dev)
			near(t, "the residual", cpu.Data[float64](m.Linear(sites[0]).W.Value), c.left)
			for i, want := range [][]float64{c.a, c.b} {
				p := method.Params()[i]
				near(t, p.Name, cpu.Data[float64](p.Value), want)
				for j := range cpu.Data[float64](p.Value)[:len(want)-i] { // the third row of B stays zero
					cpu.Data[float64](p.Value)[j] += []float64{.1, -.05}[i]
				}
			}
			if c.method != "pissa" {
				return
			}
			// The LoRA on the untouched base adds what A and B have moved away from the start.
			updates, err := method.(adapter.Folder).Fold(dev)
			if err != nil {
				t.Fatal(err)
			}
			u := updates[0]
			if u.Rank != 2 {
				t.Errorf("the LoRA has rank %d; want 2", u.Rank)
			}
			near(t, "the product of the LoRA", sumOf(u), []float64{
				-.045405, -.063553, -.011677, .056629, .038482, .090357, 0, 0, 0,
			})
		})
	}
}

// sumOf returns scale B A of an update.
func sumOf(u adapter.Update) []float64 {
	out := make([]float64, u.Out*u.In)
	for o := range u.Out {
		for k := range u.Rank {
			for i := range u.In {
				out[o*u.In+i] += float64(u.Scale) * float64(u.B[o*u.Rank+k]) * float64(u.A[k*u.In+i])
			}
		}
	}
	return out
}

// TestWorkedAdapters compares the end of a half of a layer, and every gradient, with examples for adapters of width 3
// with a bottleneck of 2. A decoder has no norm there.
func TestWorkedAdapters(t *testing.T) {
	none := map[string][]float64(nil)
	for _, c := range []struct {
		name, kind, activation string
		norm                   bool
		y                      []float64
		grads                  map[string][]float64
	}{
		{"pfeiffer", "pfeiffer", "relu", true, []float64{.111255, 1.165318, -1.276573, .568922, -1.405727, .836805},
			map[string][]float64{
				"adapter_down.0.weight": {.131835, -.527341, .395506, -.227675, -.441121, .668796},
				"adapter_down.0.bias":   {.388113, -.480873}, "adapter_up.bias": {1.171400, -.455429, -.715972},
				"adapter_up.weight": {.309910, .651205, -.037017, -.370110, -.272894, -.281095},
				"t":                 {.597887, -.314685, -.283202, .459082, -.053261, -.405821},
				"e":                 {.597887, -.314685, -.283202, .459082, -.053261, -.405821},
			}},
		{"houlsby", "houlsby", "silu", true, []float64{.105294, 1.168694, -1.273988, .700153, -1.414187, .714034}, none},
		{"gelu", "houlsby", "gelu", true, []float64{.074234, 1.185935, -1.260169, .721163, -1.414116, .692953}, none},
		{"decoder", "pfeiffer", "relu", false, []float64{.895, 2.35, -.825, 2.085, -.75, 2.01}, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			dev := cpu.Open[float64](1)
			w := worked{weight: workedW, x: [][]float64{nil}, config: adapter.Configure("adapter", adapter.Values{
				"kind": c.kind, "activation": c.activation, "bottleneck": 2,
			})}
			method, _, _ := w.attach(t, dev)
			params := map[string]*tape.Param{}
			for _, p := range method.Params() {
				for name, values := range map[string][]float64{
					"adapter_down.0.weight": workedA, "adapter_down.0.bias": {.05, -.05},
					"adapter_up.weight": {.5, -.3, .2, .6, -.4, .1}, "adapter_up.bias": {.01, .02, -.03},
				} {
					if strings.HasSuffix(p.Name, ".output."+name) {
						params[name] = fitted(dev, p, values...)
					}
				}
			}
			gamma := fitted(dev, tape.NewParam(dev, "gamma", false, 3), 1, 1, 1)
			beta := tape.NewParam(dev, "beta", false, 3)
			gamma.Grad = compute.Tensor{}
			at := adapter.At{Step: 1, Steps: 10, Train: true}
			method.Begin(at)
			p := &model.Pass{Tape: &tape.Tape{Dev: dev, Train: true}}
			out, residual := input(dev, p, workedX, 3), input(dev, p, []float64{.2, -.3, .1, 1, 0, -.5}, 3)
			y := method.Hook(at).Sublayer(p, model.Sublayer{
				Half: model.FeedForwardHalf, Out: out.Var, Residual: residual.Var,
				Norm: func(x *tape.Var, drop compute.Dropout) *tape.Var {
					if !c.norm {
						return p.Add(x, residual.Var, 1)
					}
					return p.AddNorm(x, residual.Var, gamma, beta, 1e-5, drop)
				},
			})
			near(t, "y", cpu.Data[float64](y.Value), c.y)
			weigh(dev, p, y, []float64{1, -1, .5, .5, 2, -1}, 2, dev.Alloc(compute.Shape{1}, compute.Exact))
			p.Backward()
			params["t"], params["e"] = out.of, residual.of
			for name, want := range c.grads {
				got := cpu.Data[float64](params[name].Grad)
				if name == "t" || name == "e" {
					got = transposed(got, 2)
				}
				near(t, "the gradient of "+name, got, want)
			}
		})
	}
}

// TestWorkedPrefix compares the attention of two tokens to a prefix of one row and to each other, and the gradients of
// the prefix, with an example with one head of width 2.
func TestWorkedPrefix(t *testing.T) {
	for _, causal := range []bool{false, true} {
		dev := cpu.Open[float64](1)
		w := worked{weight: make([]float64, 4), x: [][]float64{nil}, config: adapter.Configure("prefix", adapter.Values{
			"num_virtual_tokens": 1,
		})}
		method, _, _ := w.attach(t, dev)
		key, value := fitted(dev, method.Params()[0], .3, -.2), fitted(dev, method.Params()[1], .5, .25)
		p := &model.Pass{Tape: &tape.Tape{Dev: dev, Train: true}}
		ints := func(values ...int32) compute.Tensor {
			x := dev.Alloc(compute.Shape{len(values)}, compute.Int)
			dev.UploadInts(x, values)
			return x
		}
		cu, at := ints(0, 2), adapter.At{Step: 1, Steps: 10, Train: true}
		hook := method.Hook(at)
		p.Inputs = []compute.Tensor{ints(hook.Inputs(model.Batch{IDs: []int32{1, 2}, Cu: []int32{0, 2}})[0]...)}
		q := input(dev, p, []float64{1, .5, -.5, 1}, 2)
		k, v := input(dev, p, []float64{.2, -.1, .4, .3}, 2), input(dev, p, []float64{1, 2, 3, -1}, 2)
		kv := hook.KV(p, 0, model.KV{K: k.Var, V: v.Var, Cu: cu, Longest: 2})
		y := p.Attention(q.Var, kv.K, kv.V, compute.AttnOpts{
			Heads: 1, KVHeads: 1, HeadDim: 2, CuQ: cu, CuK: kv.Cu, MaxQ: 2, MaxK: kv.Longest, Causal: causal,
			Scale: 0.70710678,
		})
		want := []float64{1.635109, .277173, 1.645137, .315253}
		if causal {
			want = slices.Concat([]float64{.745581, 1.109534}, want[2:])
		}
		near(t, "y", cpu.Data[float64](y.Value), want)
		if causal {
			continue
		}
		weigh(dev, p, y, workedG, 2, dev.Alloc(compute.Shape{1}, compute.Exact))
		p.Backward()
		near(t, "the gradient of the key", cpu.Data[float64](key.Grad), []float64{-.170052, -.263264})
		near(t, "the gradient of the value", cpu.Data[float64](value.Grad), []float64{.451474, .265569})
	}
}
