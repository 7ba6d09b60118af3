package train

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// observer is a method that records when its methods are called. Its ops are
// those of the method that it wraps.
type observer struct {
	adapter.Method
	dev   *nulldev.Device
	calls []string
	train []bool
}

func (o *observer) note(what string, at adapter.At) {
	o.calls = append(o.calls, fmt.Sprintf("%s %d.%d of %d", what, at.Step, at.Pass, at.Steps))
	o.train = append(o.train, at.Train)
}

func (o *observer) Begin(at adapter.At) { o.note("begin", at) }
func (o *observer) Backward(at adapter.At) {
	o.note(fmt.Sprint("backward norm=", o.has("GradNorm")), at)
}
func (o *observer) Updated(at adapter.At) { o.note(fmt.Sprint("updated norm=", o.has("GradNorm")), at) }

func (o *observer) Hook(at adapter.At) model.Hook {
	o.note("hook", at)
	return &observerHook{o.Method.Hook(at), o}
}

// has reports whether an op has been queued.
func (o *observer) has(op string) bool { return slices.Contains(o.dev.Ops, op) }

type observerHook struct {
	model.Hook
	o *observer
}

func (h *observerHook) Loss(p *model.Pass, out *tape.Var, again func() *tape.Var, loss compute.Tensor, scale float32) {
	h.o.calls = append(h.o.calls,
		fmt.Sprintf("loss scale=%.3g out=%v again=%v", scale, out.Value.Shape, again().Value.Shape))
}

// TestMethodCalls: a method is called before each pass is uploaded, for the
// loss of each pass, once when all gradients have been queued and once when the
// update has been queued. In an evaluation it is called only before the pass.
func TestMethodCalls(t *testing.T) {
	dev := nulldev.Open(4)
	g := goldens(t)["roberta_lor2c"]
	s, b := g.stepper(t, dev), g.batch(t)
	o := &observer{Method: s.Method, dev: dev}
	s.Method, s.Steps = o, 9
	dev.Ops = nil
	if err := s.Step(3, []model.Batch{b, b}, 1); err != nil {
		t.Fatal(err)
	}
	shape := compute.Shape{b.Len(), s.Objective.size(b) / b.Len()}
	loss := fmt.Sprintf("loss scale=%.3g out=%v again=%v", 0.5/float64(b.Len()), shape, shape)
	want := []string{
		"begin 3.0 of 9", "hook 3.0 of 9", loss, "begin 3.1 of 9", "hook 3.1 of 9", loss,
		"backward norm=false 3.1 of 9", "updated norm=true 3.0 of 9",
	}
	if !slices.Equal(o.calls, want) {
		t.Errorf("a step calls\n%s\nwant\n%s", strings.Join(o.calls, "\n"), strings.Join(want, "\n"))
	}
	o.calls, o.train = nil, nil
	none := data{Encoded: &dataset.Encoded{}}
	if _, err := s.evaluate(context.Background(), none, nil, nil, config.Train{EvalBatchSize: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Results(b); err != nil {
		t.Fatal(err)
	}
	if want := []string{"begin 0.0 of 9", "hook 0.0 of 9"}; !slices.Equal(o.calls, want) ||
		slices.Contains(o.train, true) {
		t.Errorf("an evaluation calls %q, in training: %v; want %q", o.calls, o.train, want)
	}
}
