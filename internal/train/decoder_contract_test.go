package train

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tape"
)

// holdingNorms is a device that keeps the norms of the rows of a weight, once held is set: the method that trains them
// treats them as constants in its gradient.
type holdingNorms struct {
	compute.Device
	held bool
}

func (h *holdingNorms) LowRankInvNorm(dst, w, a, b compute.Tensor, scale float32) {
	if !h.held {
		h.Device.LowRankInvNorm(dst, w, a, b, scale)
	}
}

// TestDecoderContract: for every method on a decoder, in float64 and with dropout, two steps change exactly the
// parameters of the method, and in the third the gradient of each of them agrees with differences of the loss.
func TestDecoderContract(t *testing.T) {
	cases := decoderCases(t)
	c := cases[slices.IndexFunc(cases, func(c decoderCase) bool { return c.name == "llama_bias" })]
	for _, name := range adapter.Names() {
		t.Run("method="+name, func(t *testing.T) {
			config := adapter.NewConfig(name).With(adapter.Values{"dropout": 0.2})
			config.Resolve()
			dev := &holdingNorms{Device: cpu.Open[float64](2)}
			m, err := model.LoadDecoder(dev, filepath.Join("../../testdata/golden_decoder", c.name), 40, config.Trains())
			if err != nil {
				t.Fatal(err)
			}
			method, err := adapter.Attach(dev, m, adapter.Settings{Config: config, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			o := optim.Default()
			o.LR = 1e-2
			s := NewStepper(dev, m, method, o, 1, NextToken(m.Vocabulary(), ReduceTokens), 3)
			s.Steps = 5
			b := []model.Batch{causal(c.sequences(t), 1000)}
			before := map[*tape.Param][]float64{}
			for _, p := range slices.Concat(m.Base(), method.Params()) {
				before[p] = values(dev, p.Value)
			}
			for step := 1; step <= 2; step++ {
				if err := s.Step(step, b, 1); err != nil {
					t.Fatal(err)
				}
			}
			for p, was := range before {
				trained := slices.Contains(method.Params(), p)
				if moved := !slices.Equal(was, values(dev, p.Value)); moved != trained && p.Idle != tape.OftenIdle {
					t.Errorf("%s: moved is %t, trained is %t", p.Name, moved, trained)
				}
			}
			loss := func() float64 {
				s.gradient(3, b, nil)
				return values(dev, s.loss)[0]
			}
			loss()
			dev.held = true
			grads := map[*tape.Param][]float64{}
			for _, p := range method.Params() {
				grads[p] = values(dev, p.Grad)
			}
			for _, p := range method.Params() {
				size, at := 0.0, 0
				for i, g := range grads[p] {
					if math.Abs(g) > size {
						size, at = math.Abs(g), i
					}
				}
				if size == 0 && p.Idle != tape.OftenIdle {
					t.Errorf("%s has no gradient", p.Name)
				}
				if size < 1e-9 { // a draw has left it out, or the loss does not depend on it
					continue
				}
				x := &cpu.Data[float64](p.Value)[at]
				was := *x
				value := func(h float64) float64 {
					*x = was + h
					defer func() { *x = was }()
					return loss()
				}
				const h = 3e-4
				near := func(want float64) bool { return math.Abs(grads[p][at]-want) <= 1e-6*size+1e-10 }
				one := value(h) - value(-h)
				want := one / (2 * h)
				if !near(want) { // with an error of the fourth order in h instead of the second
					want = (8*one - (value(2*h) - value(-2*h))) / (12 * h)
				}
				if !near(want) {
					t.Errorf("%s[%d]: gradient %.9g; differences give %.9g", p.Name, at, grads[p][at], want)
				}
			}
		})
	}
}
