package train

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/group"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/terminal"
)

// Options are the device and the streams of a run, and how it treats a run in its
// output directory.
type Options struct {
	Device compute.Device
	BLAS   string // for env.json
	// Resume is one of the words ResumeAuto, ResumeNever and ResumeRestart, or a
	// checkpoint directory to continue from.
	Resume   string
	JSON     bool              // records as JSON lines on Stdout
	Terminal terminal.Terminal // what Stderr supports
	Stdout   io.Writer
	Stderr   io.Writer
	// Wait makes the run wait while another process writes to the output directory.
	// Without it that is an error.
	Wait bool
	// Group is the ranks that train the run together, nil for one process. Rank 0 writes the run directory, and the
	// others write no files. Their Stdout and Stderr are not used.
	Group group.Group
	// Began, if not nil, is called before the first step. From then on the run saves
	// its state when the context ends.
	Began func()
}

// Callers choose an exit code by these errors.
var (
	// ErrInterrupted is wrapped by the error of a run whose context ended. The run
	// has saved its state.
	ErrInterrupted = errors.New("interrupted")
	// ErrOtherRun is wrapped by the error for an output directory that belongs to
	// another run.
	ErrOtherRun = errors.New("the output directory has another run")
	// ErrDevice is wrapped by errors that the device's failure caused.
	ErrDevice = errors.New("the device failed")
)

// run is one training run.
type run struct {
	timetable
	dev         compute.Device
	group       group.Group // nil in one process
	stop        func() bool // with several ranks, whether this one was asked to stop
	log         *runlog.Run
	session     *Session
	train, test data // test is the dev split
	stepper     *Stepper
	state       state

	// What begins the run.
	init       *adapter.Saved // of init_adapter; nil if the initial values are random
	weights    []float64      // of the classes; nil without train.class_weights
	size       schedule.Run   // for the schedule of a method
	lengthened bool           // the run adds epochs to those of the checkpoint that it continues
	notes      []string       // lines for the log from before it was opened
	replays    bool           // nothing is evaluated or saved
	stepped    func()         // called after each step; nil if nobody waits for it

	// What is watched from step to step.
	movement  *movementCheck // nil after every parameter has changed
	gradients *gradientSums  // nil without train.log_gradients

	// The output directory and what checkpoints in it hold.
	out         string
	dir         *directory
	verified    map[int]bool // by step, whether the checkpoint is valid, for those checked
	description adapter.Description
	identity    identity.Manifest // data, base model, tokenizer and settings
}

// Run trains as c describes until the run is finished, ctx ends or an error
// occurs. In each case the last checkpoint remains valid. A later Run with the
// same configuration continues from it, and its files are byte for byte those
// of a run that was never interrupted.
func Run(ctx context.Context, c *config.Config, o Options) (*Outcome, error) {
	r := &run{out: c.Out, dev: o.Device}
	defer r.closeInit()
	if err := r.prepare(ctx, c); err != nil {
		return nil, err
	}
	leave, err := r.join(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer leave()
	if r.dir, err = openDirectory(r.out, o.busy(ctx, r.out)); err != nil {
		return nil, err
	}
	defer r.dir.close()
	from, err := r.claimed(o.Resume)
	if err != nil {
		return nil, err
	}
	plan, err := r.build(from)
	if err != nil {
		return nil, err
	}
	if err := r.open(o, from, plan); err != nil {
		return nil, err
	}
	if err := r.logBaseline(from == ""); err != nil {
		return nil, err
	}
	if err := r.stepper.Method.Start(methodRun{r, ctx}, from == ""); err != nil {
		return nil, err
	}
	if o.Began != nil {
		o.Began()
	}
	return r.trainAll(ctx, o.JSON)
}

// trainAll trains to the end of the run, finishes it and closes the log. json says that standard output has records
// instead of lines.
func (r *run) trainAll(ctx context.Context, json bool) (result *Outcome, err error) {
	if err = r.loop(ctx); err == nil {
		result, err = r.finish(ctx, json)
	}
	err = r.lost(err)
	if closing := r.log.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	return result, nil
}

// finished reports whether no step is left.
func (r *run) finished() bool {
	return r.state.Step >= r.steps || r.state.Waiting.over(r.session.Config.Train)
}

// blame returns err, or the device's failure instead of err if the device has
// failed, because then err is a consequence of it.
func blame(dev compute.Device, attempted string, err error) error {
	if err == nil {
		return nil
	}
	if failure := dev.Err(); failure != nil {
		return fmt.Errorf("train: %s: %w: %w", attempted, ErrDevice, failure)
	}
	return err
}

// lost adds to an error of a failed device from which checkpoint the run can
// continue. It returns other errors unchanged.
func (r *run) lost(err error) error {
	err = blame(r.dev, fmt.Sprintf("after step %d of %d", r.state.Step, r.steps), err)
	if !errors.Is(err, ErrDevice) {
		return err
	}
	if dir, _, none := checkpoint.Latest(r.out, checkpointPrefix); none == nil {
		return fmt.Errorf("%w; the same command continues from %s", err, dir)
	}
	return fmt.Errorf("%w; there is no checkpoint yet, so the same command starts from the beginning", err)
}
