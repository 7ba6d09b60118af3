package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/place"
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
		settings = r.settings(nil, r.state.Schedule).Like(saved)
	} else if r.init != nil {
		if err := r.checkInit(); err != nil {
			return plan, err
		}
		settings = settings.Like(r.init)
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

// openInit opens the adapter that init_adapter names, if it names one. closeInit
// closes it.
func (r *run) openInit() (err error) {
	if dir := r.session.Config.InitAdapter; dir != "" {
		r.init, err = adapter.Open(dir)
	}
	return err
}

// closeInit closes the adapter that openInit opened.
func (r *run) closeInit() {
	if r.init != nil {
		r.init.Close()
	}
}

// checkInit returns an error, which wraps adapter.ErrMismatch, if the adapter of
// init_adapter has another method or base model than the run. Settings of dropout
// may differ. Settings of injection may differ too if nothing was injected into the
// adapter.
func (r *run) checkInit() error {
	c := r.session.Config
	was, now := config.Default(), config.Default()
	was.Method, now.Method = r.init.Method, c.Method
	methods := func(c *config.Config) map[string]string {
		settings := map[string]string{}
		for key, value := range c.Settings() {
			of, ok := strings.CutPrefix(key, "method.")
			injection := strings.HasPrefix(of, "inject_") && !r.init.Injected()
			if ok && !injection && !strings.Contains(of, "dropout") {
				settings[key] = value
			}
		}
		return settings
	}
	before := identity.Manifest{Settings: methods(&was)}
	if r.init.Identity != nil {
		before.Base = outcome(r.init.Identity.Base).Base
	} else if err := r.init.CheckBase(adapter.Base{Path: r.session.Dir, SHA256: r.identity.Base.Weights}); err != nil {
		return err
	}
	differences := identity.Compare(before, identity.Manifest{Base: r.identity.Base, Settings: methods(&now)})
	if differences == nil {
		return nil
	}
	headline := fmt.Sprintf("train: begin with %s: it does not fit the run; "+
		"name an adapter of the same method on the same base model:", c.InitAdapter)
	return &refusal{identity.List(headline, "adapter", differences), adapter.ErrMismatch}
}

// begin copies the values of the adapter of init_adapter into the method's
// parameters and, if the labels match, into the head.
func (r *run) begin() error {
	task := r.session.Set.Task
	took, err := r.init.Begin(r.dev, r.stepper.Method, r.stepper.Model.Head(), task.Labels)
	if err != nil {
		return err
	}
	head := "its head is used too, with outputs matched by label"
	if !took {
		head = "the head is new, because the outputs of the adapter's head do not have these labels"
	}
	r.note("beginning with the values of %s; %s", r.session.Config.InitAdapter, head)
	return nil
}
