package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/schedule"
)

// prepare reads what the run of c is made from: base model, data and init_adapter. It plans the steps and checks what
// can be checked without the run's directory and without a device. The caller calls closeInit when the run has ended.
func (r *run) prepare(ctx context.Context, c *config.Config) (err error) {
	r.state, r.verified = state{Format: stateFormat, Seed: c.Seed}, map[int]bool{}
	if r.session, err = OpenSession(ctx, c); err != nil {
		return err
	}
	if err := r.read(ctx); err != nil {
		return err
	}
	if err := r.openInit(); err != nil {
		return err
	}
	if r.weights, err = r.session.classWeights(r.train); err != nil {
		return err
	}
	r.timetable = newTimetable(c, r.train.Len())
	return r.openSchedule()
}

// read reads both splits of the data and computes the identity of the run.
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
