package train

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/model"
)

// build creates model, method and optimizer on the device and gives the parameters their values: those of the
// checkpoint from, or the initial ones if from is "". It returns the plan of the memory, and an error that wraps
// compute.ErrOutOfMemory if the run does not fit.
func (r *run) build(from string) (plan Plan, err error) {
	defer func() { err = blame(r.dev, "build "+r.out, err) }()
	var saved *adapter.Saved // nil if the run begins
	var settings adapter.Settings
	if from == "" {
		settings, err = r.initialSettings()
	} else if saved, err = adapter.Open(from); err == nil {
		defer saved.Close()
		settings = r.settings(nil, r.state.Schedule).Like(saved)
	}
	if err != nil {
		return plan, err
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
	c := r.session.Config
	r.description = r.describe(m)
	r.stepper = NewStepper(r.dev, m, method, c.Optim, c.Seed, r.session.objective(r.dev, m, r.weights),
		r.reportSlots())
	r.stepper.Steps = r.ends[0]
	r.stepper.shared = newSharing(r.dev, r.group, c.Train, r.stop)
	r.dev.Reserve(plan.Arena)
	if c.Train.LogGradients {
		r.gradients = newGradientSums(r.stepper)
	}
	switch {
	case from != "":
		err = r.restore(from, saved)
	case r.init != nil:
		err = r.begin()
	}
	if err != nil {
		return plan, err
	}
	r.movement = r.checkMovement(from != "")
	return plan, r.dev.Err()
}

// describe returns what a saved adapter of the run says of its base model m, its task and its tokenizer.
func (r *run) describe(m model.Network) adapter.Description {
	c, task := r.session.Config, r.session.Set.Task
	return adapter.Description{
		Method: c.Method,
		Base: adapter.Base{
			Path: c.Model, Dir: r.session.Dir, SHA256: r.identity.Base.Weights,
			Type: r.session.Model.kind, Width: m.HiddenSize(), Layers: m.HiddenLayers(),
		},
		Task: adapter.Task{Name: task.Name, Labels: task.Labels, Kind: task.Kind, Threshold: task.Threshold,
			Separator: task.Separator, Text: task.Text, Template: r.session.template},
		MaxLength: r.session.MaxLength, Tokenizer: r.session.Tokenizer.Files(),
	}
}

// initialSettings returns the settings of the method of a run that begins, with the structure of the adapter of
// init_adapter. It returns an error if that does not fit the run.
func (r *run) initialSettings() (adapter.Settings, error) {
	settings := r.settings(nil, nil)
	if r.init == nil {
		return settings, nil
	}
	if err := r.checkInit(); err != nil {
		return settings, err
	}
	return settings.Like(r.init), nil
}

// settings returns the settings of the run's method, with the structure and the
// progress that the method returned when it was saved.
func (r *run) settings(structure, progress json.RawMessage) adapter.Settings {
	c := r.session.Config
	return adapter.Settings{
		Config: c.Method, Schedule: c.Schedule, Run: r.size, Seed: c.Seed, Structure: structure, Progress: progress,
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
