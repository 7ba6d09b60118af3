package train

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
)

// watched is a method on the demo's encoder. A test checks its training step by
// step.
type watched struct {
	*Stepper
	*movementCheck
	micro []model.Batch
}

// watch creates the method and the optimizer of c on the demo's encoder.
func watch(t *testing.T, s *Session, c *config.Config, deadline int) *watched {
	t.Helper()
	dev := cpu.Open[float32](1)
	t.Cleanup(func() { dev.Close() })
	own := *s
	own.Config = c
	m, method, err := own.attach(dev, adapter.Settings{Config: c.Method, Seed: own.Config.Seed})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.load(t.Context(), "train", true)
	if err != nil {
		t.Fatal(err)
	}
	st := NewStepper(dev, m, method, c.Optim, 1, s.objective(dev, m, nil), 1)
	micro := d.micro([]int32{0, 1, 2}, config.Train{MicroBatchSize: 3})
	return &watched{st, newMovementCheck(st, 0, deadline, st.Opt.Params()), micro}
}

// step trains one step with factor times the base learning rate and checks it.
func (w *watched) step(t *testing.T, step int, factor float64) error {
	t.Helper()
	if err := w.Step(step, w.micro, factor); err != nil {
		t.Fatal(err)
	}
	return w.check(step, factor)
}

func wantStuck(t *testing.T, when string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error is %v; want one with %q", when, err, want)
	}
}

// TestMovementCheck: a step that does not change a trainable parameter is an
// error.
func TestMovementCheck(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 16)
	s, err := OpenSession(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("stuck=none", func(t *testing.T) {
		w := watch(t, s, c, 2)
		if err := w.step(t, 1, 1); err != nil || w.done() {
			t.Errorf("after step 1: %v, done is %t; want every A unchecked yet", err, w.done())
		}
		if err := w.step(t, 2, 1); err != nil || !w.done() {
			t.Errorf("after step 2: %v, done is %t", err, w.done())
		}
	})
	t.Run("stuck=gradient", func(t *testing.T) {
		w := watch(t, s, c, 2)
		if err := w.step(t, 1, 1); err != nil {
			t.Fatal(err)
		}
		wantStuck(t, "check after step 1 as if after step 2", w.check(2, 1),
			"lora_A.weight; their gradients are 0, because optim.lr is too high")
	})
	t.Run("stuck=value", func(t *testing.T) {
		// One tensor gets its initial values again, as if AdamW had left it out.
		w := watch(t, s, c, 2)
		if err := w.Step(1, w.micro, 1); err != nil {
			t.Fatal(err)
		}
		for p, start := range w.unmoved {
			if strings.Contains(p.Name, "layer.1.lor2c.1_1.lora_B") {
				w.Dev.Upload(p.Exact(), start)
			}
		}
		wantStuck(t, "after step 1", w.check(1, 1), "1 of 12 trainable tensors have not changed, the first is "+
			"base_model.model.roberta.encoder.layer.1.lor2c.1_1.lora_B.weight; AdamW computed updates")
	})
	t.Run("stuck=rate", func(t *testing.T) {
		full := *c
		full.Method = adapter.NewConfig("full")
		w := watch(t, s, &full, 4)
		for step := 1; step < 4; step++ {
			if err := w.step(t, step, 1e-9); err != nil || w.done() {
				t.Fatalf("after step %d: %v, done is %t; want no error before the deadline", step, err, w.done())
			}
		}
		wantStuck(t, "at the deadline", w.step(t, 4, 1e-9),
			"token_type_embeddings.weight; since step 1 every update was too small to change a float32")
	})
}

// TestMovementCheckContinues: if the check has stopped a run, the same command
// fails with the same error. A checkpoint stores an unfinished check.
func TestMovementCheckContinues(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 24)
	c.Train.SaveEvery, c.Optim.LR, c.Optim.WarmupRatio = 1, 1000, 0
	var first error
	for range 2 {
		_, err := Run(context.Background(), c, quiet(1))
		wantStuck(t, "with optim.lr=1000", err, "their gradients are 0, because optim.lr is too high")
		if first == nil {
			first = err
		} else if err.Error() != first.Error() {
			t.Errorf("the second error is %v, the first was %v", err, first)
		}
	}
	raw, err := os.ReadFile(filepath.Join(c.Out, "checkpoint-1", stateFile))
	if err != nil || !bytes.Contains(raw, []byte(`"motion"`)) {
		t.Errorf("the state after step 1 has no unfinished check: %v\n%s", err, raw)
	}
	if _, _, err := checkpoint.Latest(c.Out, checkpointPrefix); err != nil {
		t.Error(err)
	}
}

// alpacaRows is the number of rows of Alpaca-Cleaned that Table II trains with, without the 2,000 of its dev split.
const alpacaRows = 51760 - 2000

// trainRows has the numbers of examples in GLUE's training splits (Wang et al.
// 2019, and the distributed files).
var trainRows = map[string]int{"cola": 8551, "sst2": 67349, "mrpc": 3668, "stsb": 5749, "qnli": 104743, "rte": 2490}

// TestShippedConfigs trains with every run file of the repository until every
// parameter has changed. It uses the demo's encoder or decoder, but the learning
// rates for the number of steps of the real data, because a warm-up over many
// thousand steps begins with rates that cannot change a weight near 1.
func TestShippedConfigs(t *testing.T) {
	encoder, err := OpenSession(t.Context(), demoConfig(t, t.TempDir(), 16))
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := OpenSession(t.Context(), instructConfig(t, t.TempDir(), "lora"))
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join("..", "..", "configs")
	seen := 0
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		seen++
		name, _ := filepath.Rel(root, path)
		t.Run("file="+name, func(t *testing.T) { testShipped(t, encoder, decoder, path) })
		return nil
	})
	if err != nil || seen < 30 {
		t.Errorf("%d run files in %s, %v; want those of the demo, GLUE and Table I", seen, root, err)
	}
}

func testShipped(t *testing.T, encoder, decoder *Session, path string) {
	c, err := config.Load(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, layers := encoder, 12
	rows, ok := trainRows[c.Data.Task]
	switch {
	case ok:
	case filepath.Base(filepath.Dir(path)) == "table2":
		s, rows, layers = decoder, alpacaRows, 32
	default:
		if c.Data.IsInstruct() {
			s = decoder
		}
		raw, err := os.ReadFile(filepath.Join("..", "..", c.Data.Train))
		if err != nil {
			t.Fatal(err)
		}
		rows = bytes.Count(raw, []byte("\n")) - 1
	}
	perEpoch := stepsPerEpoch(rows, c.Train.BatchSize)
	size := schedule.Run{Epochs: c.Train.Epochs, StepsPerEpoch: perEpoch, Layers: layers, Rank: c.Method.Rank()}
	if c.Schedule.Active() {
		if err := errors.Join(c.Schedule.Check(size)...); err != nil {
			t.Error(err)
		}
	}
	lr := c.Optim.LRSchedule(c.Train.Epochs * perEpoch)
	deadline := max(lr.Warmup(), perEpoch)
	c.Model = s.Config.Model
	w := watch(t, s, c, deadline)
	for step := 1; !w.done(); step++ {
		if err := w.step(t, step, lr.Factor(step)); err != nil {
			t.Fatal(err)
		}
		if step > 200 {
			t.Fatalf("%d tensors have not changed after %d steps", len(w.unmoved), step)
		}
	}
}
