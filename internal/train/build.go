package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
)

// read reads both splits of the data and finds what the run is made from.
func (r *run) read(ctx context.Context) (err error) {
	s := r.session
	if err := s.checkWeights(); err != nil {
		return place.Given(err)
	}
	if r.train, err = s.load(ctx, "train", true); err != nil {
		return err
	}
	if r.test, err = s.load(ctx, "dev", true); err != nil {
		return err
	}
	r.identity, err = s.identify(map[string]*dataset.Split{"train": r.train.split, "dev": r.test.split})
	return err
}

// build creates model, method and optimizer on the device. If from is not "", it
// restores their values from that checkpoint. It returns the plan of the memory, and
// an error that wraps compute.ErrOutOfMemory if the run does not fit.
func (r *run) build(from string) (plan Plan, err error) {
	c := r.session.Config
	var saved *adapter.Saved
	settings := r.settings(nil, nil)
	if from != "" {
		if saved, err = adapter.Open(from); err != nil {
			return plan, err
		}
		defer saved.Close()
		settings = r.settings(saved.Structure, r.state.Schedule)
		settings.From = saved.Described()
	} else if r.init != nil {
		if err := r.checkInit(); err != nil {
			return plan, err
		}
		settings.Structure, settings.From = r.init.Structure, r.init.Described()
	}
	if plan, err = r.session.plan(r.dev, r.train, r.test, settings); err != nil {
		return plan, err
	}
	if err := r.session.fit(r.dev, r.train, r.test, settings, plan); err != nil {
		return plan, err
	}
	m, method, err := r.session.attach(r.dev, settings)
	if err != nil {
		return plan, err
	}
	base := adapter.Base{
		Path: c.Model, Dir: r.session.Dir, SHA256: r.identity.Base.Weights,
		Type: r.session.Model.kind, Width: m.HiddenSize(), Layers: m.HiddenLayers(),
	}
	task := r.session.Set.Task
	r.description = adapter.Description{
		Method: c.Method, Base: base,
		Task: adapter.Task{Name: task.Name, Labels: task.Labels, Kind: task.Kind, Threshold: task.Threshold,
			Separator: task.Separator, Text: task.Text, Template: r.session.template},
		MaxLength: r.session.MaxLength, Tokenizer: r.session.Tokenizer.Files(),
	}
	r.stepper = NewStepper(r.dev, m, method, c.Optim, c.Seed, r.session.objective(r.dev, m, r.weights),
		r.reportSlots())
	r.stepper.Steps = r.ends[0]
	r.dev.Reserve(plan.Arena)
	if c.Train.LogGradients {
		r.gradients = newGradientSums(r.stepper)
	}
	if from != "" {
		if err := r.restore(from, saved); err != nil {
			return plan, err
		}
		r.movement = r.continueMovementCheck()
		return plan, r.dev.Err()
	}
	if r.init != nil {
		if err := r.begin(); err != nil {
			return plan, err
		}
	}
	r.movement = r.startMovementCheck(0)
	return plan, r.dev.Err()
}

// openSchedule returns an error if the run is too short, or the model too small, for
// the schedule of merges and injections.
func (r *run) openSchedule() error {
	c := r.session.Config
	r.size = schedule.Run{
		Epochs: r.planned, Steps: r.ends[0], StepsPerEpoch: r.perEpoch,
		Layers: r.session.Model.Layers, Rank: c.Method.Rank(),
	}
	if c.Schedule.Active() {
		faults := c.Schedule.Check(r.size)
		for i, fault := range faults {
			faults[i] = fmt.Errorf("train: plan the schedule: %w", fault)
		}
		if faults != nil {
			return place.Mistake(errors.Join(faults...))
		}
	}
	return nil
}

// settings returns the settings of the run's method, with the structure and the
// progress that the method returned when it was saved.
func (r *run) settings(structure, progress json.RawMessage) adapter.Settings {
	c := r.session.Config
	return adapter.Settings{
		Config: c.Method, Schedule: c.Schedule, Run: r.size, Seed: c.Seed, Structure: structure, Progress: progress,
	}
}

// open opens the log, or continues it at the state's step, and logs what the
// run will do.
func (r *run) open(o Options, from string, plan Plan) (err error) {
	c, task := r.session.Config, r.session.Set.Task
	r.dir.begun = true
	step := -1
	if from != "" {
		step = r.state.Step
	}
	r.log, err = runlog.Open(r.out, runlog.Options{
		Scores: task.Metrics, Select: task.Select, Steps: r.steps, StepsPerEpoch: r.perEpoch,
		Epochs: r.allEpochs(), Resume: true, Step: step,
		JSON: o.JSON, Terminal: o.Terminal, Stdout: o.Stdout, Stderr: o.Stderr,
	})
	if err != nil {
		return err
	}
	r.log.Settings(c.Settings())
	if r.records, err = runlog.ReadMetrics(r.out); err != nil {
		return err
	}
	if from != "" {
		if err := r.checkBest(from); err != nil {
			return err
		}
	}
	hashes := map[string]string{}
	for _, file := range append(slices.Clone(r.train.split.Files), r.test.split.Files...) {
		hashes[file.Path] = file.SHA256
	}
	env := environment(o, hashes)
	if from != "" && !r.finished() {
		r.noteRounding(env, from)
	}
	if err := r.log.WriteEnv(env); err != nil {
		return err
	}
	r.logStart(from, plan)
	return errors.Join(r.linkBest(), r.prune())
}

// logStart logs what the run will do, and from which checkpoint it continues if from is not "".
func (r *run) logStart(from string, plan Plan) {
	c, task, method := r.session.Config, r.session.Set.Task, r.stepper.Method
	r.log.Start(runlog.Start{
		Step: r.state.Step, Steps: r.steps, Epochs: c.Train.Epochs, Out: r.out, ResumedFrom: from,
		Method: c.Method.Name(), Task: task.Name, Labels: task.Labels, Metric: task.Select,
		TrainExamples: r.train.Len(), DevExamples: r.test.Len(),
		Trainable: adapter.Count(method.Params()), Head: adapter.Count(r.stepper.Model.Head()), Device: r.dev.Name(),
	})
	for _, line := range r.header(plan) {
		r.log.Printf("%s", line)
	}
	if from == "" {
		for _, line := range r.session.lint(r.train, r.test) {
			r.log.Printf("%s", line)
		}
	}
	if r.session.Dir != c.Model {
		r.log.Printf("model: %s is %s", c.Model, r.session.Dir)
	}
	for _, line := range slices.Concat(r.notes, r.session.Tokenizer.Warnings()) {
		r.log.Printf("%s", line)
	}
	if from == "" && r.init == nil {
		for _, line := range r.stepper.Model.Notes() {
			r.log.Printf("%s", line)
		}
	} else if r.finished() {
		r.log.Printf("the run is finished: %d of %d steps are done, and the newest checkpoint is %s",
			r.state.Step, r.steps, from)
	} else if from != "" {
		r.log.Printf("resuming from %s at step %d of %d", from, r.state.Step, r.steps)
	}
	if b := r.state.Best.Step; b > 0 && !exists(checkpointAt(r.out, b)) && !exists(filepath.Join(r.out, bestLink)) {
		r.log.Printf("%s, the checkpoint of the best epoch so far, is missing; "+
			"best will point to the next epoch that is better", checkpointAt(r.out, b))
	}
}

// header returns three lines about the data, the method and the memory of the run.
func (r *run) header(plan Plan) []string {
	c, task := r.session.Config, r.session.Set.Task
	return []string{
		fmt.Sprintf("data: %s, %d train, %s, %s, best epoch by %s", task.Name, r.train.Len(),
			place.Count(r.test.Len(), "dev example", "dev examples"), r.session.source.predicts(), task.Select),
		fmt.Sprintf("method: %s on %s; %s, head %d", c.Method.Name(), r.dev.Name(),
			place.Count(adapter.Count(r.stepper.Method.Params()), "scalar", "scalars"),
			adapter.Count(r.stepper.Model.Head())),
		fmt.Sprintf("memory: weights %s, trained %s, activations %s (%s)",
			place.Bytes(plan.Weights), place.Bytes(plan.Trained), place.Bytes(plan.Arena),
			place.Count(plan.Tokens, "token", "tokens")),
	}
}

// writeConfig writes the run file, which identifies the run of the directory.
func (r *run) writeConfig() error {
	return checkpoint.WriteFile(filepath.Join(r.out, ConfigFile), func(w io.Writer) error {
		_, err := w.Write(r.session.Resolve(r.session.Config).RunFile(r.out))
		return err
	})
}
