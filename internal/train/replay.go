package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/terminal"
)

// Replayed is an optimizer step of a run, computed again.
type Replayed struct {
	Run      string  `json:"run"`
	Step     int     `json:"step"`
	Steps    int     `json:"steps"` // of the run
	Epoch    float64 `json:"epoch"` // after the step
	From     string  `json:"from"`  // the checkpoint it was computed from; empty for the beginning of the run
	FromStep int     `json:"from_step"`
	// Examples are the batch in the order of the step.
	Examples     []Shown       `json:"-"`
	Where        []string      `json:"examples"` // file:line of each
	LearningRate float64       `json:"learning_rate"`
	Loss         metric.Number `json:"loss"`
	GradNorm     metric.Number `json:"grad_norm"`
	Layers       []LayerNorms  `json:"layers"`
	// NonFinite names the first tensor of the step that is not finite; nil if there is none.
	NonFinite *NonFiniteError `json:"non_finite,omitempty"`
	// Check compares the record of the steps around this one with the log; nil if the log has none.
	Check *LossCheck `json:"check"`
}

// LossCheck is the mean loss of the steps First to Last, which the run logged after Last, beside that of the replay.
type LossCheck struct {
	First    int           `json:"first"`
	Last     int           `json:"last"`
	Recorded metric.Number `json:"recorded"`
	Replayed metric.Number `json:"replayed"`
	Equal    bool          `json:"equal"` // bit by bit
	// Device is the device of the run's log, if it is another one than that of the replay.
	Device string `json:"other_device,omitempty"`
}

// Replay computes step number step of the run in a directory again, from the nearest checkpoint before it or from the
// beginning, with the loop that trained it. c is the content of the run file there. Replay writes nothing into the
// directory. watch, if not nil, is called with the number of steps that are done and to do.
func Replay(ctx context.Context, c *config.Config, dir string, step int, dev compute.Device,
	watch func(done, steps int)) (*Replayed, error) {
	r := &run{out: dir, dev: dev, replays: true}
	defer r.closeInit()
	if err := r.prepare(ctx, c); err != nil {
		return nil, err
	}
	if step < 1 || step > r.steps {
		return nil, place.Mistake(fmt.Errorf("train: replay %s: there is no step %d; want 1 to %d", dir, step, r.steps))
	}
	from, err := r.before(step)
	if err != nil {
		return nil, err
	}
	if _, err := r.build(from); err != nil {
		return nil, err
	}
	// The loop writes a log, which nobody reads.
	aside, err := os.MkdirTemp("", "lor2c-replay-")
	if err != nil {
		return nil, fmt.Errorf("train: replay %s: %w", dir, err)
	}
	defer os.RemoveAll(aside)
	r.log, err = runlog.Open(aside, runlog.Options{
		Scores: r.session.Set.Task.Metrics, Select: r.session.Set.Task.Select, Terminal: terminal.Terminal{},
		Stdout: io.Discard, Stderr: io.Discard,
	})
	if err != nil {
		return nil, err
	}
	defer r.log.Close()
	if err := r.stepper.Method.Start(methodRun{r, ctx}, from == ""); err != nil {
		return nil, err
	}
	return r.replay(ctx, step, from, watch)
}

// before finds the newest valid checkpoint of the run before a step, or returns "" if there is none, and reads its
// state. It returns an error if the run was made from other inputs.
func (r *run) before(step int) (from string, err error) {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return "", fmt.Errorf("train: replay %s: %w", r.out, err)
	}
	newest, valid := 0, ""
	for _, e := range entries {
		n, ok := checkpoint.Step(e.Name(), checkpointPrefix)
		if !ok || checkpoint.VerifyDir(checkpointAt(r.out, n)) != nil {
			continue
		}
		valid = checkpointAt(r.out, n)
		if n < step && n > newest {
			newest = n
		}
	}
	switch {
	case newest > 0:
		return checkpointAt(r.out, newest), r.check(checkpointAt(r.out, newest))
	case valid != "":
		return "", r.same(valid)
	}
	return "", nil
}

// replay trains up to the step, looks at it, and trains on to the next record.
func (r *run) replay(ctx context.Context, step int, from string, watch func(done, steps int)) (*Replayed, error) {
	p := &Replayed{Run: r.out, Step: step, Steps: r.steps, Epoch: r.epochs(step), From: from, FromStep: r.state.Step}
	every := r.session.Config.Train.LogEvery
	// The record that includes the step comes at the next multiple of train.log_every, or at the end of a part.
	end := step
	for end%every != 0 && !r.ended(end) {
		end++
	}
	start := end - 1
	for start > 0 && start%every != 0 && !r.ended(start) {
		start--
	}
	if watch != nil {
		total, done := end-r.state.Step, 0
		r.stepped = func() { done++; watch(done, total) }
	}
	if err := r.upTo(ctx, step-1); err != nil {
		return nil, err
	}
	if err := r.look(step, p); err != nil {
		return nil, blame(r.dev, "look at a step", err)
	}
	if p.NonFinite != nil {
		return p, nil
	}
	recorded, ok, err := recordedLoss(r.out, end)
	if err != nil || !ok {
		return p, err
	}
	if err := r.upTo(ctx, end); err != nil {
		return nil, err
	}
	for _, rec := range r.log.Records() {
		if t, is := rec.(runlog.Train); is && t.Step == end {
			p.Check = &LossCheck{First: start + 1, Last: end, Recorded: metric.Number(recorded), Replayed: metric.Number(t.Loss),
				Equal: math.Float64bits(recorded) == math.Float64bits(t.Loss)}
		}
	}
	env, ok := runlog.ReadEnv(r.out, end)
	if ok && p.Check != nil && compute.Rounding(env.Device) != compute.Rounding(r.dev.Name()) {
		p.Check.Device = env.Device
	}
	return p, nil
}

// upTo runs the loop from the step after the state's to a step, and reads its report.
func (r *run) upTo(ctx context.Context, step int) error {
	if r.state.Step >= step {
		return nil
	}
	whole := r.steps
	r.steps = step
	err := r.loop(ctx)
	r.steps = whole
	if err == nil && r.state.Step < step {
		err = r.readBack(step)
	}
	return err
}

// recordedLoss returns the loss that a run logged after a step; ok is false if it has not.
func recordedLoss(dir string, step int) (loss float64, ok bool, err error) {
	records, err := runlog.ReadMetrics(dir)
	for _, rec := range records {
		if t, is := rec.(runlog.Train); is && t.Step == step {
			loss, ok = t.Loss, true
		}
	}
	return loss, ok, err
}

// look fills p with what step has, and changes no parameter: it computes the gradients of the step, which the loop
// computes again.
func (r *run) look(step int, p *Replayed) error {
	indices := r.session.step(r.train.Len(), step)
	micro := r.train.micro(indices, r.session.Config.Train)
	for _, i := range indices {
		p.Examples = append(p.Examples, r.session.source.shown(r.train, int(i)))
	}
	p.Where = r.train.where(indices)
	p.LearningRate = r.session.Config.Optim.LR * r.factor(step)
	norms := newNorms(r.dev)
	if err := guard(func() error { return r.stepper.gradient(step, micro, norms.output) }); err != nil {
		return err
	}
	loss := make([]float32, 1)
	r.dev.Download(loss, r.stepper.loss)
	p.Loss = metric.Number(loss[0])
	sum := norms.parameters(r.stepper.Opt.Params())
	p.GradNorm, p.Layers = metric.Number(math.Sqrt(sum)), norms.layers()
	if err := r.dev.Err(); err != nil {
		return err
	}
	if norms.bad || notFinite(loss[0]) || math.IsNaN(sum) || math.IsInf(sum, 0) {
		if err := r.stepper.diagnose(step, micro, p.Where); !errors.As(err, &p.NonFinite) {
			return err
		}
	}
	return nil
}
