package train

import (
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
)

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
