package train

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// narrow is a CPU device that reports a Working type of 16 bits. If round is
// set, the parameters that forward passes read are rounded to bfloat16, so that
// a rounded value in a place where an exact one is needed is noticed.
type narrow struct {
	compute.Device
	round bool
}

func (n narrow) Bytes(d compute.DType) int64 {
	if d == compute.Working {
		return 2
	}
	return n.Device.Bytes(d)
}

// Reserve reserves twice the bytes, because the CPU's floats have twice the
// size.
func (n narrow) Reserve(bytes int64) { n.Device.Reserve(2 * bytes) }

// AllocFrozen returns an ordinary tensor, as a device does that stores weights in its own precision.
func (n narrow) AllocFrozen(s compute.Shape, _ compute.DType) tensor {
	return n.Alloc(s, compute.Working)
}

func (n narrow) Upload(dst tensor, src []float32) { n.Device.Upload(dst, src); n.cut(dst) }

func (n narrow) Copy(dst, src tensor) {
	n.Device.Copy(dst, src)
	if src.DType == compute.Exact {
		n.cut(dst)
	}
}

func (n narrow) AdamW(p, w, m, v, g, state tensor, o compute.AdamWOpts) {
	n.Device.AdamW(p, w, m, v, g, state, o)
	n.cut(w)
}

// cut rounds a Working tensor to bfloat16.
func (n narrow) cut(x tensor) {
	if !n.round || !x.Present() || x.DType != compute.Working {
		return
	}
	for i, v := 0, cpu.Data[float32](x); i < len(v); i++ {
		v[i] = bfloat16(v[i])
	}
}

// bfloat16 rounds x to 8 significant bits, to nearest with ties to even.
func bfloat16(x float32) float32 {
	b := math.Float32bits(x)
	return math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff)
}

func narrowly(round bool) Options {
	o := quiet(2)
	o.Device = narrow{o.Device, round}
	return o
}

// precisionRun returns a run of a method. The run of one method has events.
func precisionRun(t *testing.T, method string) *config.Config {
	c := eventConfig(t, t.TempDir())
	c.Train.LogGradients = true
	if method == "freeze" {
		c.Schedule.Changed = "freeze"
	} else if method != "lor2c" {
		c.Method, c.Schedule.MaxMerges, c.Schedule.MaxInjects = adapter.NewConfig(method), 0, 0
		if c.Train.Epochs = 1; method == "adalora" { // which gives up ranks in later steps
			c.Train.Epochs = 2
		}
	}
	c.Resolve()
	return c
}

// precisionMethods have every kind of parameter, buffer and state. Those of basedMethods also begin with values that
// are computed from the weights as the device has them, or keep tensors that no optimizer updates.
var (
	precisionMethods = slices.Concat(startMethods, basedMethods)
	startMethods     = []string{"lor2c", "freeze", "lora", "full", "head", "adalora"}
	basedMethods     = []string{"pissa", "vera", "dora"}
)

// TestWorkingCopies: if Working and Exact are two types of the same precision,
// a run has the same bytes as with one type. So nothing reads a working copy or
// an exact value that was not updated.
func TestWorkingCopies(t *testing.T) {
	for _, method := range precisionMethods {
		t.Run("method="+method, func(t *testing.T) {
			onlyLong(t, method != "lor2c")
			c := precisionRun(t, method)
			if _, err := Run(context.Background(), c, quiet(2)); err != nil {
				t.Fatal(err)
			}
			want := contents(t, c.Out)
			c.Out += ".narrow"
			if _, err := Run(context.Background(), c, narrowly(false)); err != nil {
				t.Fatal(err)
			}
			sameFiles(t, contents(t, c.Out), want)
		})
	}
}

// TestExactValues: if forward passes read bfloat16, saved values are exact, and
// a run that continues from them has the same bytes as an uninterrupted one.
func TestExactValues(t *testing.T) {
	for _, method := range precisionMethods {
		t.Run("method="+method, func(t *testing.T) {
			onlyLong(t, method != "lor2c")
			c := precisionRun(t, method)
			if _, err := Run(context.Background(), c, narrowly(true)); err != nil {
				t.Fatal(err)
			}
			want := contents(t, c.Out)
			for _, dir := range []string{finalDir, checkpointPrefix + "3"} {
				file := "adapter_model.safetensors"
				if method == "full" {
					file = "model.safetensors"
				}
				for name, v := range tensors(t, c.Out, dir, file) {
					// A B that was injected in the last step is zero.
					if zero := slices.Max(v) == 0 && slices.Min(v) == 0; !zero &&
						!slices.ContainsFunc(v, func(x float32) bool { return x != bfloat16(x) }) {
						t.Errorf("%s of %s is rounded", name, dir)
					}
				}
			}
			for _, step := range []int{4, 2} { // within an epoch, and before the first event
				if step >= c.Train.Epochs*3 {
					continue
				}
				keep(t, c.Out, step)
				if _, err := Run(context.Background(), c, narrowly(true)); err != nil {
					t.Fatal(err)
				}
				sameFiles(t, contents(t, c.Out), want)
			}
			if e, err := Evaluate(context.Background(), c, narrowly(true).Device, filepath.Join(c.Out, finalDir), "dev",
				nil); err != nil || !(e.Loss > 0) {
				t.Errorf("evaluation: loss %v, error %v", e.Loss, err)
			}
		})
	}
}

// TestExactStart: trained parameters start with the values that they have on a
// float32 device, and their working copies with the rounded values.
func TestExactStart(t *testing.T) {
	for _, method := range startMethods {
		t.Run("method="+method, func(t *testing.T) {
			onlyLong(t, method != "lor2c")
			c := precisionRun(t, method)
			c.Model = unrounded(t, c.Model)
			s, err := OpenSession(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			attach := func(dev compute.Device) []*tape.Param {
				m, a, err := s.attach(dev, adapter.Settings{Config: c.Method, Seed: s.Config.Seed})
				if err != nil {
					t.Fatal(err)
				}
				return NewStepper(dev, m, a, c.Optim, c.Seed, s.objective(dev, m, nil), 1).Opt.Params()
			}
			dev := cpu.Open[float32](1)
			want := attach(dev)
			for i, p := range attach(narrow{dev, true}) {
				exact := download(dev, p.Exact())
				if !slices.Equal(exact, download(dev, want[i].Value)) {
					t.Errorf("%s does not start with its values in float32", p.Name)
				}
				for j, x := range download(dev, p.Value) {
					if x != bfloat16(exact[j]) {
						t.Fatalf("%s[%d] is read as %v; its value is %v", p.Name, j, x, exact[j])
					}
				}
			}
		})
	}
}

// unrounded returns a copy of a model directory whose weights have more bits
// than bfloat16.
func unrounded(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	base, err := checkpoint.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	var file bytes.Buffer
	var list []checkpoint.Tensor
	for name, v := range tensors(t, dir, "model.safetensors") {
		for i := range v {
			v[i] *= 1.0001
		}
		_, shape, _ := base.Info(name)
		list = append(list, checkpoint.Tensor{Name: name, Shape: shape, Data: v})
	}
	if err := checkpoint.Write(&file, nil, list); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "model.safetensors"), file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

// keep changes a run directory to that of a run that was killed after a
// checkpoint.
func keep(t *testing.T, dir string, step int) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, checkpointPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(paths, filepath.Join(dir, finalDir), filepath.Join(dir, "all_results.json"),
		filepath.Join(dir, bestLink)) {
		var n int
		if _, err := fmt.Sscanf(filepath.Base(p), checkpointPrefix+"%d", &n); err == nil && n <= step {
			continue
		}
		if err := os.RemoveAll(p); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNarrowPlan: the plan counts bytes by the element sizes of the device that
// will run, including working copies.
func TestNarrowPlan(t *testing.T) {
	for _, method := range startMethods {
		t.Run("method="+method, func(t *testing.T) {
			c := precisionRun(t, method)
			s, err := OpenSession(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			train, err := s.load(t.Context(), "train", true)
			if err != nil {
				t.Fatal(err)
			}
			dev := nulldev.Open(2)
			plan, err := s.plan(dev, train, train, adapter.Settings{Config: s.Config.Method, Seed: s.Config.Seed})
			if err != nil {
				t.Fatal(err)
			}
			wide, err := s.plan(nulldev.Open(4), train, train, adapter.Settings{Config: s.Config.Method, Seed: s.Config.Seed})
			if err != nil {
				t.Fatal(err)
			}
			m, a, err := s.attach(dev, adapter.Settings{Config: c.Method, Seed: s.Config.Seed})
			if err != nil {
				t.Fatal(err)
			}
			timetable := newTimetable(c, train.Len())
			st := NewStepper(dev, m, a, c.Optim, c.Seed, s.objective(dev, m, nil), timetable.reportSlots())
			sums := newGradientSums(st).sums
			if got, want := dev.Stats().PersistentBytes, plan.Weights+plan.Trained; got != want {
				t.Errorf("%d bytes are persistent; %d were planned", got, want)
			}
			dev.Reset()
			if err := st.Step(1, train.micro(s.step(train.Len(), 1), config.Train{MicroBatchSize: 8}), 1); err != nil {
				t.Fatal(err)
			}
			if got := dev.Stats().ArenaPeak; got > plan.Arena || plan.Arena > wide.Arena*3/4 {
				t.Errorf("%d bytes are used of %d planned, %d in float32", got, plan.Arena, wide.Arena)
			}
			// The optimizer's state, the loss, the ring and the sums of gradients have
			// the same size in every precision.
			small := 4 * int64(compute.StateLen+1+timetable.reportSlots()*ringWidth+sums.Shape.Len())
			if method != "full" && 2*plan.Weights != wide.Weights || (plan.Trained-small)*16 != (wide.Trained-small)*18 {
				t.Errorf("plans are %+v and %+v in float32", plan, wide)
			}
		})
	}
}

// TestUploadsFirst: all data of a micro-batch are on the device before its
// first op.
func TestUploadsFirst(t *testing.T) {
	for name, want := range map[string][]string{
		"roberta_lor2c": {"UploadInts", "UploadInts", "Fill"}, "roberta_regression_lor2c": {"UploadInts", "Upload", "Fill"},
	} {
		t.Run("case="+name, func(t *testing.T) {
			dev := nulldev.Open(4)
			g := goldens(t)[name]
			if err := g.stepper(t, dev).Step(1, []model.Batch{g.batch(t)}, 1); err != nil {
				t.Fatal(err)
			}
			if got := dev.Ops[:3]; !slices.Equal(got, want) {
				t.Errorf("a micro-batch begins with %v; want %v", got, want)
			}
			for _, op := range dev.Ops[3:] {
				if op == "Upload" || op == "UploadInts" {
					t.Errorf("%s is uploaded after an op", op)
				}
			}
		})
	}
}
