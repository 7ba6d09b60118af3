package tape_test

import (
	"fmt"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tape"
)

// step runs one pass through an encoder of three layers on a ledger. In training it computes the gradient too.
func step(t *testing.T, kind, method string, dropout float32, train bool) *ledger {
	dev := newLedger(t)
	c := model.Config{
		Type: kind, Width: 16, Layers: 3, Heads: 2, FF: 32, Vocab: 20, Positions: 12, Types: 1, Eps: 1e-5,
		Activation: "gelu", HiddenDropout: dropout, AttentionDropout: dropout,
	}
	m, err := model.New(dev, c, 3, 1, nil, model.NoValues)
	if err != nil {
		t.Fatal(err)
	}
	p := float64(dropout)
	a := adapter.Configure(method,
		adapter.Values{"rank": 4, "alpha": 8, "dropout": p,
			"target_modules": []string{"query", "value", "intermediate.dense"}})
	adapted, err := adapter.Attach(dev, m, adapter.Settings{Config: a, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	optim.New(dev, optim.Default(), adapted.Params(), m.Head())

	b := model.Batch{IDs: make([]int32, 9), Types: make([]int32, 9), Cu: []int32{0, 4, 9}}
	tp := &tape.Tape{Dev: dev, Train: train}
	logits := m.Forward(m.NewPass(tp, b, adapted.Hook(adapter.At{})))
	if train {
		loss := dev.Alloc(compute.Shape{1}, compute.Exact)
		tp.CrossEntropy(loss, logits, dev.Temp(compute.Shape{2}, compute.Int), 1, compute.CrossEntropyOpts{})
		tp.Backward()
	}
	return dev
}

// TestStepReleases checks what is left in the arena after a step's gradient: the integers of the batch (one block),
// its labels, and the values that a gradient read although they have no gradient themselves. No tensor may be
// released twice or read after its release.
func TestStepReleases(t *testing.T) {
	for _, c := range []struct {
		kind, method string
		kept         int
		what         string
	}{
		{"roberta", "full", 0, ""},
		{"bert", "full", 0, ""},
		{"roberta", "lor2c", 1, "the embeddings' output, read by the first A"},
		{"bert", "lor2c", 1, "the embeddings' output, read by the first A"},
		{"roberta", "lora", 2, "the embeddings' output, and the first layer's keys"},
		{"roberta", "head", 1, "the encoder's output"},
		{"bert", "head", 2, "the encoder's output and, after the frozen pooler, the head's input"},
	} {
		for _, dropout := range []float32{0, 0.1} {
			t.Run(fmt.Sprintf("type=%s/method=%s/dropout=%v", c.kind, c.method, dropout), func(t *testing.T) {
				want := c.kept
				if dropout > 0 && c.method == "head" {
					want++ // the same value with and without the head's dropout
				}
				dev := step(t, c.kind, c.method, dropout, true)
				if got := len(dev.live) - 2; got != want {
					t.Errorf("%d values are left, %v; want %d: %s", got, dev.shapes(), want, c.what)
				}
			})
		}
	}
}

// TestEvaluationReleases checks that without gradients only the integers and three values of the head are left after
// the pass.
func TestEvaluationReleases(t *testing.T) {
	const want = 4
	for _, method := range adapter.Names() {
		t.Run("method="+method, func(t *testing.T) {
			dev := step(t, "roberta", method, 0.1, false)
			if len(dev.live) != want {
				t.Errorf("%d values are left, %v; want %d", len(dev.live), dev.shapes(), want)
			}
		})
	}
}

// TestRetain checks that a retained value survives one Release and is freed by the next.
func TestRetain(t *testing.T) {
	dev := newLedger(t)
	tp := &tape.Tape{Dev: dev}
	frozen := &tape.Param{Value: dev.Alloc(compute.Shape{3, 3}, compute.Working)}
	y := tp.Linear(tp.Const(dev.Temp(compute.Shape{5, 3}, compute.Working)), frozen, nil, compute.Identity)
	tp.Retain(y)
	for i, want := range []int{2, 1, 1} {
		if tp.Release(y); len(dev.live) != want {
			t.Errorf("after Release %d: %d tensors are live; want %d", i+1, len(dev.live), want)
		}
	}
}

// TestConsumed checks that a value whose memory AddNorm has taken cannot be the operand of another op.
func TestConsumed(t *testing.T) {
	dev := newLedger(t)
	tp := &tape.Tape{Dev: dev}
	param := func(shape ...int) *tape.Param { return &tape.Param{Value: dev.Alloc(shape, compute.Working)} }
	value := func() *tape.Var { return tp.Const(dev.Temp(compute.Shape{5, 4}, compute.Working)) }
	cu := dev.Temp(compute.Shape{2}, compute.Int)
	for op, f := range map[string]func(x *tape.Var){
		"linear":        func(x *tape.Var) { tp.Linear(x, param(4, 4), nil, compute.Identity) },
		"activation":    func(x *tape.Var) { tp.Act(x, compute.GELU) },
		"low rank down": func(x *tape.Var) { tp.LowRankDown(x, param(2, 4), compute.Dropout{}) },
		"add norm":      func(x *tape.Var) { tp.AddNorm(value(), x, param(4), param(4), 1e-5, compute.Dropout{}) },
		"layer norm":    func(x *tape.Var) { tp.LayerNorm(x, param(4), param(4), 1e-5) },
		"rms norm":      func(x *tape.Var) { tp.RMSNorm(x, param(4), 1e-5) },
		"gather":        func(x *tape.Var) { tp.Gather(x, cu) },
		"scale columns": func(x *tape.Var) { tp.ScaleCols(x, param(4), compute.ScaleOpts{}) },
		"rescale":       func(x *tape.Var) { tp.Rescale(x, param(4), compute.ScaleOpts{}) },
		"add":           func(x *tape.Var) { tp.Add(value(), x, 1) },
		"add to":        func(x *tape.Var) { tp.AddTo(value(), x, 1) },
		"copy":          func(x *tape.Var) { tp.Copy(x) },
		"prepend rows":  func(x *tape.Var) { tp.PrependRows(x, param(2, 4), cu) },
		"swiglu":        func(x *tape.Var) { tp.SwiGLU(value(), x) },
		"attention": func(x *tape.Var) {
			tp.Attention(value(), value(), x, compute.AttnOpts{Heads: 1, KVHeads: 1, HeadDim: 4, CuQ: cu, CuK: cu})
		},
	} {
		t.Run("op="+op, func(t *testing.T) {
			x := value()
			tp.AddNorm(x, value(), param(4), param(4), 1e-5, compute.Dropout{})
			defer func() {
				if e, ok := recover().(*compute.ShapeError); !ok || e.Op != op {
					t.Errorf("the op panics with %v; want a ShapeError of %s", e, op)
				}
			}()
			f(x)
		})
	}
}

// TestRelease checks that Release frees only values that are not constant, not retained and not yet released.
func TestRelease(t *testing.T) {
	dev := newLedger(t)
	tp := &tape.Tape{Dev: dev, Train: true}
	param := func(frozen bool, shape ...int) *tape.Param {
		p := &tape.Param{Value: dev.Alloc(shape, compute.Working)}
		if !frozen {
			p.Grad = dev.Alloc(shape, compute.Exact)
		}
		return p
	}
	left := func(what string, want int) {
		t.Helper()
		if len(dev.live) != want {
			t.Errorf("%s: %d tensors are live, %v; want %d", what, len(dev.live), dev.shapes(), want)
		}
	}
	x := tp.Const(dev.Temp(compute.Shape{5, 3}, compute.Working))
	tp.Release(x)
	left("a constant is not the tape's", 1)
	y := tp.Linear(x, param(true, 4, 3), nil, compute.GELU)
	left("without gradient no pre-activation", 2)
	z := tp.Linear(y, param(true, 4, 4), nil, compute.Identity)
	tp.Release(z, z)
	tp.Release(z)
	left("done", 2)
	a := tp.Linear(y, param(false, 4, 4), param(false, 4), compute.GELU)
	left("with its pre-activation", 4)
	b := tp.Linear(a, param(true, 4, 4), nil, compute.Identity)
	tp.Release(a)
	left("neither a frozen layer nor the activation reads a", 4)
	logits := tp.Linear(b, param(false, 4, 4), nil, compute.Identity)
	tp.Release(b)
	left("b is read by the gradient of a weight", 5)
	tp.CrossEntropy(
		dev.Alloc(compute.Shape{1}, compute.Exact), logits, dev.Temp(compute.Shape{5}, compute.Int), 1,
		compute.CrossEntropyOpts{},
	)
	tp.Backward()
	left("after the gradient: x, y, labels", 3)
	tp.Backward()
	left("an empty tape", 3)
}

// TestDecoderReleases checks that a gated feed-forward layer and rotated rows leave only tensors that the tape does
// not own.
func TestDecoderReleases(t *testing.T) {
	dev := newLedger(t)
	tp := &tape.Tape{Dev: dev, Train: true}
	param := func(shape ...int) *tape.Param {
		return &tape.Param{Value: dev.Alloc(shape, compute.Working), Grad: dev.Alloc(shape, compute.Exact)}
	}
	x, pos := tp.Const(dev.Temp(compute.Shape{5, 4}, compute.Working)), dev.Temp(compute.Shape{5}, compute.Int)
	h := tp.Linear(x, param(4, 4), nil, compute.Identity)
	tp.RoPE(h, pos, dev.Alloc(compute.Shape{9, 2}, compute.Exact))
	y := tp.RMSNorm(h, param(4), 1e-5)
	tp.Release(h)
	gate, up := tp.Linear(y, param(6, 4), nil, compute.Identity), tp.Linear(y, param(6, 4), nil, compute.Identity)
	tp.Release(y)
	z := tp.SwiGLU(gate, up)
	tp.Release(gate, up)
	logits := tp.Linear(z, param(3, 6), nil, compute.Identity)
	tp.Release(z)
	tp.CrossEntropy(
		dev.Alloc(compute.Shape{1}, compute.Exact), logits, dev.Temp(compute.Shape{5}, compute.Int), 1,
		compute.CrossEntropyOpts{},
	)
	tp.Backward()
	if len(dev.live) != 3 {
		t.Errorf("%d tensors are live, %v; want x, pos and labels", len(dev.live), dev.shapes())
	}
}
