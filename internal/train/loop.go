package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"lor2c/internal/adapter"
	"lor2c/internal/checkpoint"
	"lor2c/internal/compute"
	"lor2c/internal/config"
	"lor2c/internal/metric"
	"lor2c/internal/optim"
	"lor2c/internal/runlog"
)

// Options says how a run meets the world.
type Options struct {
	Device compute.Device
	BLAS   string // for env.json
	// Resume is auto (continue the run in the output directory if there is
	// one), never (the output directory must hold none) or a checkpoint
	// directory to continue from.
	Resume   string
	JSON     bool // records as JSON lines on Stdout
	Terminal bool // Stderr is a terminal
	Stdout   io.Writer
	Stderr   io.Writer
}

// Outcome is what a finished run achieved.
type Outcome struct {
	Out       string
	BestEpoch int
	BestStep  int
	Dev       Evaluation // of the best epoch; without predictions when it was evaluated before a resume
	Trainable int        // scalars of the adapter, head not counted
}

// Errors by which a caller chooses an exit code.
var (
	// ErrInterrupted is wrapped when the context ended; the state is saved.
	ErrInterrupted = errors.New("interrupted")
	// ErrOtherRun is wrapped when the output directory holds another run.
	ErrOtherRun = errors.New("the output directory holds another run")
)

// run is one training run.
type run struct {
	out         string
	dev         compute.Device
	session     *Session
	stepper     *Stepper
	description adapter.Description
	schedule    optim.LRSchedule
	log         *runlog.Run
	records     []runlog.Record
	state       state
	train, test data // test is the dev split
	steps       int  // of the whole run
	motion      *motion
}

// Run trains as c says until it is done, the context ends or something goes
// wrong. Whatever happens, the last checkpoint stays valid, and a later Run of
// the same configuration continues from it to files equal to those of an
// unbroken run, byte for byte.
func Run(ctx context.Context, c *config.Config, o Options) (*Outcome, error) {
	s, err := OpenSession(c)
	if err != nil {
		return nil, err
	}
	r := &run{out: c.Out, dev: o.Device, session: s, state: state{Format: stateFormat, Seed: c.Seed}}
	if r.train, err = s.load("train", true); err != nil {
		return nil, err
	}
	if r.test, err = s.load("dev", true); err != nil {
		return nil, err
	}
	unlock, err := lock(r.out)
	if err != nil {
		return nil, err
	}
	defer unlock()
	from, err := r.resumeFrom(o.Resume)
	if err != nil {
		return nil, err
	}
	perEpoch := stepsPerEpoch(r.train.Len(), c.Train.BatchSize)
	r.steps = c.Train.Epochs * perEpoch
	r.schedule = c.Optim.LRSchedule(r.steps)
	plan, err := s.plan(r.train, r.test)
	if err != nil {
		return nil, err
	}
	if err := r.build(plan, from); err != nil {
		return nil, err
	}
	if err := r.open(o, from, plan); err != nil {
		return nil, err
	}
	err = r.loop(ctx)
	if err == nil {
		err = r.finish()
	}
	if closing := r.log.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	return r.outcome(), nil
}

// resumeFrom returns the checkpoint to continue from, "" to begin.
func (r *run) resumeFrom(resume string) (string, error) {
	path := filepath.Join(r.out, ConfigFile)
	_, err := os.Stat(path)
	exists := err == nil
	if !exists {
		if entries, err := os.ReadDir(r.out); err == nil && len(entries) > 1 { // the lock is there
			return "", fmt.Errorf("train: open %s: it holds files but no %s; want a directory of this run, an empty one or none: %w", r.out, ConfigFile, ErrOtherRun)
		}
	}
	switch {
	case exists && resume == "never":
		return "", fmt.Errorf("train: open %s: it holds a run and --resume is never; name another with --out, or remove it: %w", r.out, ErrOtherRun)
	case exists:
		old, err := config.Load(path, nil, nil)
		if err != nil {
			return "", err
		}
		if d := config.Differences(old, r.session.Config); d != nil {
			return "", fmt.Errorf("train: open %s: it holds a run of another configuration (%s); name another with --out: %w", r.out, strings.Join(d, "; "), ErrOtherRun)
		}
		if err := checkpoint.CleanTemp(r.out); err != nil {
			return "", err
		}
	}
	if resume != "auto" && resume != "never" && resume != "" {
		return resume, checkpoint.VerifyDir(resume)
	}
	if !exists {
		return "", nil
	}
	dir, _, err := checkpoint.Latest(r.out, checkpointPrefix)
	if errors.Is(err, checkpoint.ErrNone) {
		return "", nil
	}
	return dir, err
}

// build puts model, method and optimizer on the device, and the checkpoint's
// values into them.
func (r *run) build(plan Plan, from string) error {
	c := r.session.Config
	m, method, err := r.session.attach(r.dev, c.Method)
	if err != nil {
		return err
	}
	base, err := adapter.BaseOf(m, c.Model)
	if err != nil {
		return err
	}
	task := r.session.Set.Task
	r.description = adapter.Description{
		Method: c.Method, Base: base, Task: adapter.Task{Name: task.Name, Labels: task.Labels}, MaxLength: r.session.MaxLength,
	}
	r.stepper = NewStepper(r.dev, m, method, c.Optim, c.Seed, task.Labels == nil, c.Train.LogEvery)
	r.dev.Reserve(plan.Arena)
	if from != "" {
		return r.restore(from)
	}
	trained := r.stepper.Opt.Params()
	if c.Optim.HeadLRRatio == 0 {
		trained = method.Params()
	}
	r.motion = watchMotion(r.stepper, trained)
	return r.dev.Err()
}

// open starts or continues the log, and says what is about to happen.
func (r *run) open(o Options, from string, plan Plan) (err error) {
	c, task := r.session.Config, r.session.Set.Task
	step := -1
	if from != "" {
		step = r.state.Step
	}
	r.log, err = runlog.Open(r.out, runlog.Options{
		Scores: task.Metrics, Steps: r.steps, Epochs: c.Train.Epochs, Resume: true, Step: step,
		JSON: o.JSON, Terminal: o.Terminal, Stdout: o.Stdout, Stderr: o.Stderr,
	})
	if err != nil {
		return err
	}
	if r.records, err = runlog.ReadMetrics(r.out); err != nil {
		return err
	}
	if err := checkpoint.WriteFile(filepath.Join(r.out, ConfigFile), func(w io.Writer) error {
		_, err := w.Write(c.YAML())
		return err
	}); err != nil {
		return err
	}
	hashes, err := hashFiles(r.train.split.Path, r.test.split.Path)
	if err != nil {
		return err
	}
	if err := r.log.WriteEnv(runlog.Env{Device: o.Device.Name(), BLAS: o.BLAS, DataSHA256: hashes}); err != nil {
		return err
	}
	method := r.stepper.Method
	r.log.Printf("%s on %s with %s: %d adapter scalars in %d tensors, head %d; %d train and %d dev examples, %d tokens a batch at most",
		c.Method.Name, task.Name, o.Device.Name(), adapter.Count(method.Params()), len(method.Params()), adapter.Count(r.stepper.Model.Head()),
		r.train.Len(), r.test.Len(), plan.Tokens)
	r.log.Printf("memory: weights %s, trained state %s, activations %s", mib(plan.Weights), mib(plan.Trained), mib(plan.Arena))
	if n := r.train.Truncated; n > 0 {
		r.log.Printf("%d of %d train examples were truncated to %d tokens", n, r.train.Len(), r.session.MaxLength)
	}
	if from != "" {
		r.log.Printf("resuming from %s at step %d of %d", from, r.state.Step, r.steps)
	}
	return r.linkBest()
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// epochs returns the passes over the training data after a step.
func (r *run) epochs(step int) float64 {
	n, size := r.train.Len(), r.session.Config.Train.BatchSize
	perEpoch := stepsPerEpoch(n, size)
	return float64(step/perEpoch) + float64(step%perEpoch*size)/float64(n)
}

func (r *run) loop(ctx context.Context) error {
	t := r.session.Config.Train
	perEpoch := stepsPerEpoch(r.train.Len(), t.BatchSize)
	for step := r.state.Step + 1; step <= r.steps; step++ {
		indices := r.session.step(r.train.Len(), step)
		micro := r.train.micro(indices, t.MicroBatchSize)
		if err := r.stepper.Step(step, micro, r.schedule.Factor(step)); err != nil {
			return err
		}
		tokens := 0
		for _, b := range micro {
			tokens += len(b.IDs)
		}
		r.log.Advance(step, len(indices), tokens)

		epochEnds := step%perEpoch == 0
		save := epochEnds || t.SaveEvery > 0 && step%t.SaveEvery == 0 || ctx.Err() != nil
		if save || step <= 2 || step%t.LogEvery == 0 {
			if err := r.readBack(step); err != nil {
				return err
			}
		}
		if epochEnds {
			if err := r.evaluate(ctx, step/perEpoch); err != nil {
				return err
			}
		}
		if save {
			if err := r.save(); err != nil {
				return err
			}
		}
		if ctx.Err() != nil && step < r.steps {
			return fmt.Errorf("train: step %d of %d: %w; the state is in %s, the same command continues", step, r.steps, ErrInterrupted, r.out)
		}
	}
	return nil
}

// readBack waits for the device, checks the steps since the last read-back and
// logs the window that ends at step, if one does.
func (r *run) readBack(step int) error {
	reports, err := r.stepper.Reports(r.state.Step+1, step)
	if err != nil {
		return err
	}
	for _, p := range reports {
		if p.Halted {
			indices := r.session.step(r.train.Len(), p.Step)
			return r.stepper.diagnose(p.Step, r.train.micro(indices, r.session.Config.Train.MicroBatchSize), r.where(indices))
		}
		r.state.WindowLoss += p.Loss
		r.state.TotalLoss += p.Loss
		r.state.WindowSteps++
	}
	if r.motion != nil && step <= 2 {
		if err := r.motion.check(step); err != nil {
			return err
		}
	}
	if step >= 2 {
		r.motion = nil
	}
	r.advance(step)
	if step%r.session.Config.Train.LogEvery == 0 || step == r.steps {
		rec := runlog.Train{
			Step: step, Epoch: r.epochs(step), Loss: r.state.WindowLoss / float64(r.state.WindowSteps),
			LearningRate: r.session.Config.Optim.LR * r.schedule.Factor(step), GradNorm: reports[len(reports)-1].GradNorm,
		}
		r.log.Train(rec)
		r.records = append(r.records, rec)
		r.state.WindowLoss, r.state.WindowSteps = 0, 0
	}
	return r.log.Err()
}

// advance moves the state's position behind step.
func (r *run) advance(step int) {
	n, size := r.train.Len(), r.session.Config.Train.BatchSize
	perEpoch := stepsPerEpoch(n, size)
	r.state.Step, r.state.Epoch, r.state.Index = step, step/perEpoch, step%perEpoch*size
}

// where names the examples of the given indices by file and line.
func (r *run) where(indices []int32) []string {
	names := make([]string, len(indices))
	for i, x := range indices {
		names[i] = fmt.Sprintf("%s:%d", r.train.split.Path, r.train.split.Examples[x].Line)
	}
	return names
}

// evaluate scores the dev split after an epoch and remembers the best.
func (r *run) evaluate(ctx context.Context, epoch int) error {
	task := r.session.Set.Task
	// An interrupt lets the evaluation finish: the epoch's record belongs
	// before its checkpoint.
	e, err := r.stepper.evaluate(context.WithoutCancel(ctx), r.test, task.Metrics, r.session.Config.Train.EvalBatchSize)
	if err != nil {
		return err
	}
	score := e.Scores[task.Select]
	rec := runlog.Eval{Step: r.state.Step, Epoch: epoch, Split: "dev", Loss: e.Loss, Scores: e.Scores}
	if b := r.state.Best; b.Step == 0 || metric.Better(score, b.value()) {
		rec.Best = true
		r.state.Best = newBest(r.state.Step, epoch, score)
	}
	r.log.Eval(rec)
	r.records = append(r.records, rec)
	return r.log.Err()
}

// finish writes final/ and the results.
func (r *run) finish() error {
	err := checkpoint.WriteDir(filepath.Join(r.out, finalDir), func(tmp string) error {
		return adapter.Save(tmp, r.dev, r.description, r.stepper.Method, r.stepper.Model.Head())
	})
	if err != nil {
		return err
	}
	return r.log.Finish(runlog.Results{
		Epoch: r.epochs(r.steps), TrainLoss: r.state.TotalLoss / float64(r.steps), TrainSamples: r.train.Len(), Evals: []runlog.Eval{r.bestEval()},
	})
}

// bestEval returns the record of the best evaluation.
func (r *run) bestEval() (found runlog.Eval) {
	for _, rec := range r.records {
		if e, ok := rec.(runlog.Eval); ok && e.Best {
			found = e
		}
	}
	return found
}

func (r *run) outcome() *Outcome {
	e := r.bestEval()
	return &Outcome{
		Out: r.out, BestEpoch: r.state.Best.Epoch, BestStep: r.state.Best.Step, Trainable: adapter.Count(r.stepper.Method.Params()),
		Dev: Evaluation{Loss: e.Loss, Scores: e.Scores},
	}
}
