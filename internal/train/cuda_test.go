//go:build cuda && cgo && linux && amd64

package train

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/gpu"
	"github.com/lor2c/lor2c/internal/gpu/hostlib"
	"github.com/lor2c/lor2c/internal/model"
)

// card opens the first card in a precision.
func card(tb testing.TB, narrow bool) compute.Device {
	tb.Helper()
	dev, err := gpu.Open(gpu.Options{Narrow: narrow})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}

// inPrecisions runs a golden case in both precisions.
func inPrecisions(t *testing.T, name string, run func(t *testing.T, narrow bool)) {
	for dtype, narrow := range map[string]bool{"float32": false, "bfloat16": true} {
		t.Run("case="+name+"/dtype="+dtype, func(t *testing.T) { run(t, narrow) })
	}
}

// onCardOnly reports whether a case of TestGolden in a precision runs only on a
// card. Without a card RoBERTa runs in float32 and BERT in bfloat16. In this
// way every method uses the kernels of both precisions, and the encoders differ
// only in what is computed before a device is called. Regression, a case of
// RoBERTa only, and the full fine-tuning of MPNet, whose attention has kernels of
// its own, run in both.
func onCardOnly(name string, narrow bool) bool {
	if strings.HasPrefix(name, "mpnet") {
		return name != "mpnet_full"
	}
	return narrow != strings.HasPrefix(name, "bert") && name != "roberta_regression_lor2c"
}

// float32Error returns the tolerance of a golden test in float32. 1e-5 is that of a device whose operations err by up
// to half a unit in the last place, as the CPU's do. On a card, exponentials and quotients err by up to 2 units (CUDA
// C++ Programming Guide, "Mathematical Functions"). Errors propagate to first order linearly, so if every operation
// erred by as much, the result would err by four times as much.
func float32Error() float64 {
	const device, largest, rounded = 1e-5, 2, 0.5
	if _, simulated := hostlib.Loaded(); simulated && !hostlib.Card() {
		return device
	}
	return device * largest / rounded
}

// TestGoldenTokensCUDA is TestGoldenTokens in float32 on a card, or for one case with kernels that run on the CPU.
func TestGoldenTokensCUDA(t *testing.T) {
	if !hostlib.Under(t) {
		return
	}
	for name, g := range goldensIn(t, "../../testdata/golden_tokens") {
		t.Run("case="+name, func(t *testing.T) {
			if _, emulated := hostlib.Loaded(); emulated && name != "bert_lor2c" {
				t.Skip("kernels that run on the CPU take a hundred times as long")
			}
			testGolden(t, g, card(t, false), exactly(2*float32Error()))
		})
	}
}

// TestGoldenCUDA is TestGolden on a card, or with kernels that run on the CPU.
func TestGoldenCUDA(t *testing.T) {
	if !hostlib.Under(t) {
		return
	}
	for name, g := range goldens(t) {
		inPrecisions(t, name, func(t *testing.T, narrow bool) {
			if _, emulated := hostlib.Loaded(); emulated && onCardOnly(name, narrow) {
				t.Skip("kernels that run on the CPU take a hundred times as long")
			}
			near := exactly(float32Error())
			if narrow {
				near = g.narrow()
			}
			testGolden(t, g, card(t, narrow), near)
		})
	}
}

// TestDecodersCUDA compares the loss and the gradients of decoders on a card, or with kernels that run on the CPU, with
// those of PyTorch. Without a card each precision has the cases that use other kernels: heads of keys and values that
// are shared, biases, norms of heads, and a head of its own or tied.
func TestDecodersCUDA(t *testing.T) {
	if !hostlib.Under(t) {
		return
	}
	for _, c := range decoderCases(t) {
		inPrecisions(t, c.name, func(t *testing.T, narrow bool) {
			bfloat16 := c.name == "llama_bias" || c.name == "qwen3"
			if _, emulated := hostlib.Loaded(); emulated && narrow != bfloat16 && c.name != "llama" {
				t.Skip("kernels that run on the CPU take a hundred times as long")
			}
			near := bound{Worst: 5e-5}
			if narrow {
				near = bound{Worst: 0.1} // a value is rounded by up to 1/256, some fifty times on its way
			}
			dev := card(t, narrow)
			s := c.stepper(t, dev, ReduceTokens)
			s.gradient(1, []model.Batch{causal(c.sequences(t), 1000)}, nil)
			if got, want := download(dev, s.loss), c.floats(t, "loss.tokens"); !(relative(got, want) < near.Worst) {
				t.Errorf("the loss is %v; want %v", got, want)
			}
			for _, p := range s.Method.Params() {
				if e := relative(download(dev, p.Grad), c.floats(t, "grad.tokens."+p.Name)); !(e < near.Worst) {
					t.Errorf("the gradient of %s has a relative error of %.3g", p.Name, e)
				}
			}
		})
	}
}

// TestGoldenEventsCUDA is TestGoldenEvents on a card, or with kernels that run
// on the CPU.
func TestGoldenEventsCUDA(t *testing.T) {
	if !hostlib.Under(t) {
		return
	}
	eachGoldenEvents(t, func(t *testing.T, name string, g *goldenEvents) {
		inPrecisions(t, name, func(t *testing.T, narrow bool) {
			near := exactlyEvents(float32Error())
			if narrow {
				near = g.narrow()
			}
			testGoldenEvents(t, g, card(t, narrow), near)
		})
	})
}

// TestStepsAreReplayed: once a shape class has occurred, a step consists of the
// uploads of a batch, of labels and of slots, and of one graph launch. It
// allocates no memory and does not wait.
func TestStepsAreReplayed(t *testing.T) {
	if !hostlib.Under(t) {
		return
	}
	driver, ok := hostlib.Loaded()
	if !ok {
		t.Skip("this test counts the calls of the simulated driver")
	}
	c := model.Config{
		Type: "roberta", Width: 16, Layers: 2, Heads: 2, FF: 32, Vocab: 50, Positions: 40, Types: 1, Eps: 1e-5,
		Activation: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1,
	}
	s := randomStepper(t, card(t, false), c, "lor2c", 8)
	batch := func(last int) model.Batch {
		b := model.Batch{Cu: []int32{0}, Labels: []float32{0, 1, 1, 0}}
		for _, n := range []int{17, 30, 25, last} {
			b.IDs, b.Types = append(b.IDs, make([]int32, n)...), append(b.Types, make([]int32, n)...)
			b.Cu = append(b.Cu, int32(len(b.IDs)))
		}
		return b
	}
	entries := []string{"cuLaunchKernel", "cuGraphLaunch", "cuMemcpyHtoDAsync_v2", "cuMemAlloc_v2", "cuStreamSynchronize",
		"cuMemcpyDtoHAsync_v2"}
	var before []uint64
	for step := 1; step <= 12; step++ {
		if step == 5 {
			for _, e := range entries {
				before = append(before, driver.Calls(e))
			}
		}
		// Batches of 97 to 100 tokens are in the same class.
		if err := s.Step(step, []model.Batch{batch(25 + step%4)}, 1/float64(step)); err != nil {
			t.Fatal(err)
		}
	}
	const steps = 8
	for i, want := range []uint64{0, steps, 3 * steps, 0, 0, 0} {
		if got := driver.Calls(entries[i]) - before[i]; got != want {
			t.Errorf("%s was called %d times in %d steps; want %d", entries[i], got, steps, want)
		}
	}
}

// TestFitCUDA: if a card is too small for a run, this is detected before
// anything is allocated on it. A card that is just large enough is sufficient.
func TestFitCUDA(t *testing.T) {
	if !hostlib.Under(t) {
		return
	}
	driver, ok := hostlib.Loaded()
	if !ok {
		t.Skip("this test sets the memory of the simulated card")
	}
	const ample = 1 << 30
	c := demoConfig(t, t.TempDir(), 8)
	c.Data.MaxLength, c.Train.Epochs = 8, 1
	driver.SetMemory(t, ample)
	dev := card(t, false)
	need := planned(t, c, dev).Total()
	own := ample - dev.Stats().Free
	dev.Close()

	driver.SetMemory(t, uint64(own+need/2))
	o := quiet(1)
	o.Device = card(t, false)
	before := driver.Calls("cuMemAlloc_v2")
	_, err := Run(context.Background(), c, o)
	if got := driver.Calls("cuMemAlloc_v2") - before; !errors.Is(err, compute.ErrOutOfMemory) || got != 0 {
		t.Errorf("on half of the memory: error %v after %d allocations; want ErrOutOfMemory before the first", err, got)
	}
	o.Device.Close()

	// The optimizer's state and the values that the log reads are not part of a
	// plan.
	driver.SetMemory(t, uint64(own+need+1<<16))
	o.Device = card(t, false)
	if _, err := Run(context.Background(), c, o); err != nil {
		t.Errorf("with the memory of the plan: %v", err)
	}
}

// narrow returns the tolerances for devices that compute in bfloat16: twice the
// error of PyTorch over several networks, and at least the error of one
// rounding.
func (g *golden) narrow() tolerances {
	t := tolerances{}
	for kind, e := range g.BFloat16 {
		t[kind] = bound{max(2*e.Worst, 1./256), max(2*e.Mean, 1./256)}
	}
	return t
}

// TestGoldenMethodsCUDA is TestGoldenMethods in float32 on a card, or on kernels that run on the CPU.
func TestGoldenMethodsCUDA(t *testing.T) {
	if !hostlib.Under(t) {
		return
	}
	eachGoldenMethod(t, func(t *testing.T, name string, g *goldenMethod) {
		t.Run("case="+name, func(t *testing.T) {
			steps := g.Steps
			if _, emulated := hostlib.Loaded(); emulated {
				var ok bool
				if steps, ok = emulatedMethods[name]; !ok {
					t.Skip("kernels that run on the CPU take a hundred times as long")
				}
			}
			g.test(t, card(t, false), 2e-5, steps)
		})
	})
}
