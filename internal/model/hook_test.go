package model_test

import (
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// recorder is a Hook that records which of its methods a pass calls.
type recorder struct {
	model.Base
	ints      []int32
	calls     []string
	longest   int
	inputs    []float32
	twice     bool // apply the norm of each half a second time, to a copy of the result of the half
	doubleEnd [][]float32
}

func (r *recorder) Inputs(model.Batch) [][]int32 { return [][]int32{r.ints, {7}} }

func (r *recorder) KV(p *model.Pass, l int, kv model.KV) model.KV {
	r.calls = append(r.calls, "kv")
	r.longest = kv.Longest
	for _, x := range p.Inputs {
		r.inputs = append(r.inputs, float32(x.Shape.Len()))
	}
	return kv
}

func (r *recorder) Sublayer(p *model.Pass, s model.Sublayer) *tape.Var {
	r.calls = append(r.calls, []string{"attention", "feed-forward"}[s.Half])
	if !r.twice {
		return s.Norm(s.Out, s.Drop)
	}
	copied := p.Dev.Temp(s.Out.Value.Shape, s.Out.Value.DType)
	p.Dev.Copy(copied, s.Out.Value)
	again := s.Norm(p.Const(copied), s.Drop)
	y := s.Norm(s.Out, s.Drop)
	r.doubleEnd = append(r.doubleEnd, slices.Clone(cpu.Data[float32](again.Value)),
		slices.Clone(cpu.Data[float32](y.Value)))
	return y
}

// TestHook: every layer calls the hook of its pass for keys and values and at
// the end of both halves, in this order. The integers of Inputs are on the
// device, in one tensor each. The norm of a half may be applied twice.
func TestHook(t *testing.T) {
	dev := cpu.Open[float32](1)
	c := model.Config{Type: "bert", Width: 8, Layers: 2, Heads: 2, FF: 4, Vocab: 9, Positions: 6, Types: 1, Eps: 1e-5,
		Activation: "gelu"}
	random := func(name string, s compute.Shape) ([]float32, bool, error) {
		values := make([]float32, s.Len())
		compute.Normal(values, 3, name, 0.5)
		return values, true, nil
	}
	m, err := model.New(dev, c, 2, 1, nil, random)
	if err != nil {
		t.Fatal(err)
	}
	b := model.Batch{IDs: []int32{1, 2, 3, 4, 5}, Types: make([]int32, 5), Cu: []int32{0, 3, 5}}
	pass := func(r *recorder) []float32 {
		dev.Reset()
		return slices.Clone(cpu.Data[float32](m.Forward(m.NewPass(&tape.Tape{Dev: dev}, b, r)).Value))
	}
	r := &recorder{ints: []int32{1, 2, 3}}
	plain := pass(r)
	var want []string
	for range m.Layers {
		want = append(want, "kv", "attention", "feed-forward")
	}
	if !slices.Equal(r.calls, want) {
		t.Errorf("the pass called %q; want %q", r.calls, want)
	}
	if r.longest != 3 {
		t.Errorf("the longest sequence has %d keys; want 3", r.longest)
	}
	if want := slices.Repeat([]float32{3, 1}, m.Layers); !slices.Equal(r.inputs, want) {
		t.Errorf("Inputs have %v elements; want %v", r.inputs, want)
	}
	double := &recorder{twice: true}
	if got := pass(double); !slices.Equal(got, plain) {
		t.Errorf("logits %v after a second norm; want %v", got, plain)
	}
	for i := 0; i < len(double.doubleEnd); i += 2 {
		if !slices.Equal(double.doubleEnd[i], double.doubleEnd[i+1]) {
			t.Errorf("norm %d: %v on a copy; want %v", i/2, double.doubleEnd[i], double.doubleEnd[i+1])
		}
	}
}
