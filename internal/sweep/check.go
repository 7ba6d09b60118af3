package sweep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/train"
)

// Check checks every cell before any is trained: its configuration, its files,
// whether its schedule fits into the run, and that its directory does not
// contain another run. It returns all faults together, as a *config.Error.
// environ is os.Environ(), from which run files may take values as in lor2c
// train. Check must be called before the other methods.
func (s *Sweep) Check(environ []string) error {
	c := checker{environ: environ, reported: map[string]bool{}, opened: map[string]*opened{}}
	if s.Parallel < 1 {
		c.faults = append(c.faults,
			fmt.Errorf("sweep: parallel: is %d; want the number of cells that run at the same time, 1 or more", s.Parallel))
	}
	for i := range s.Cells {
		if cell := &s.Cells[i]; c.load(cell, s.Dir(*cell)) {
			c.open(cell)
		}
	}
	if c.faults != nil {
		return &config.Error{Faults: c.faults}
	}
	return nil
}

// opened is a model and a data set that cells share.
type opened struct {
	session  *train.Session
	examples int // of the training split
	err      error
	made     *identity.Manifest // what a run is made from; nil until identify is called
}

// identify returns what a run of one of the cells is made from.
func (o *opened) identify(c *config.Config) (identity.Manifest, error) {
	if o.made == nil {
		m, err := o.session.Identify(context.Background())
		if err != nil {
			return m, err
		}
		o.made = &m
	}
	return o.session.With(c, *o.made)
}

type checker struct {
	environ  []string
	faults   []error
	reported map[string]bool    // cells share most of their mistakes
	opened   map[string]*opened // by model and data
}

func (c *checker) fault(text string, cause error) {
	if !c.reported[text] {
		c.reported[text] = true
		c.faults = append(c.faults, located{text, cause})
	}
}

// located is a fault of a cell with a text that fits the sweep file.
type located struct {
	text  string
	cause error
}

func (l located) Error() string { return l.text }
func (l located) Unwrap() error { return l.cause }

// load reads the configuration of a cell and reports whether it has no fault.
func (c *checker) load(cell *Cell, dir string) bool {
	cfg, err := config.Load(cell.Base, append(cell.args(), "out="+dir), c.environ)
	if err == nil {
		cell.config = cfg
		return true
	}
	faults := []error{err}
	if all, ok := err.(*config.Error); ok {
		faults = all.Faults
	}
	for _, err := range faults {
		text := err.Error()
		var f *config.Fault
		if errors.As(err, &f) {
			text = cell.locate(f)
		}
		c.fault(text, err)
	}
	return false
}

// locate returns the text of f. A fault of a setting of the sweep file gets the
// setting's place there.
func (c *Cell) locate(f *config.Fault) string {
	for _, s := range c.Sets {
		if s.Place == "" || s.arg() != f.Set() {
			continue
		}
		subject := s.arg()
		if errors.Is(f, config.ErrUnknownKey) {
			subject = s.Key // reported once, whatever its values are
		}
		return fmt.Sprintf("sweep: %s: %s: %s", s.Place, subject, f.Text())
	}
	return f.Error()
}

// open checks the files of a cell, whether its schedule fits into the run, and
// whether its directory is free.
func (c *checker) open(cell *Cell) {
	cfg := cell.config
	key := fmt.Sprint(cfg.Model, "\n", cfg.Data)
	if _, isFraction := cfg.Data.Dev.Fraction(); isFraction {
		key += fmt.Sprint("\n", cfg.Seed) // which examples train keeps depends on it
	}
	o, ok := c.opened[key]
	if !ok {
		o = &opened{}
		o.session, o.err = train.OpenSession(context.Background(), cfg)
		if o.err == nil {
			o.examples, o.err = o.session.Examples(context.Background(), "train")
		}
		c.opened[key] = o
	}
	if o.err != nil {
		c.fault(o.err.Error(), o.err)
		return
	}
	cell.task, cell.metric = o.session.Set.Task.Name, o.session.Set.Task.Select
	perEpoch := (o.examples + cfg.Train.BatchSize - 1) / cfg.Train.BatchSize
	steps, epochs := cfg.Train.Extent(perEpoch)
	size := schedule.Run{
		Epochs: epochs, Steps: steps, StepsPerEpoch: perEpoch,
		Layers: o.session.Model.Layers, Rank: cfg.Method.Rank(),
	}
	for _, f := range cfg.Schedule.Check(size) {
		c.fault(fmt.Sprintf("sweep: plan %s: %v", cell.Name, f), f)
	}
	if _, err := os.Stat(filepath.Join(cfg.Out, train.ConfigFile)); err == nil {
		c.directory(cfg, o)
	}
}

// directory adds a fault if the directory of a cell contains results of another
// configuration or from other data, because they would be taken for the results
// of the cell. A cell that only adds epochs to its run is trained further.
func (c *checker) directory(cfg *config.Config, o *opened) {
	now, err := o.identify(cfg)
	if err == nil {
		err = train.CheckRun(cfg.Out, cfg, now)
	}
	if err != nil {
		c.fault(err.Error(), err)
	}
}
