package adapter

import (
	"encoding/json"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/tape"
)

// Change describes a change that a method made to its parameters.
type Change struct {
	// Reset has the parameters whose moments start at zero, as those of new
	// parameters do.
	Reset []*tape.Param
	// Log is the record of the change.
	Log schedule.Record
}

// Run is the interface to the run that trains a method. The method uses it
// between two steps.
type Run interface {
	// Losses evaluates the what-if sample of the dev split with the given hooks in place of the method's. It returns the
	// mean loss and the loss of each example. trial, counted from 1, is the number of the evaluation among trials.
	Losses(hook func(At) model.Hook, trial, trials int) (mean float64, each []float64, err error)
	// Log writes a record to the log of the run.
	Log(schedule.Record) error
	// Printf writes a line for people to the log of the run.
	Printf(format string, a ...any)
}

// Changing is the part of a Method that changes its parameters during a run.
// Plain implements it without changes.
type Changing interface {
	// Start is called before the first step of a process. fresh is false if the run was begun by an earlier process.
	Start(run Run, fresh bool) error
	// Finish is called after the last step of a run.
	Finish(run Run)
	// Due reports whether Change must be called after a step. If so, the loop
	// waits for the device.
	Due(At) bool
	// Change changes the parameters that the method trains. It is called
	// repeatedly until it returns nil. The loop plans the memory of the run again
	// afterwards.
	Change(At, Run) (*Change, error)
	// Structure returns what Attach needs besides the configuration to build the
	// method in its present structure, or nil if nothing is needed.
	Structure() json.RawMessage
	// Progress returns what a checkpoint needs besides Structure to continue with
	// the changes, or nil if nothing is needed.
	Progress() json.RawMessage
}

// Start does nothing.
func (Plain) Start(Run, bool) error { return nil }

// Finish does nothing.
func (Plain) Finish(Run) {}

// Due returns false.
func (Plain) Due(At) bool { return false }

// Change returns nil.
func (Plain) Change(At, Run) (*Change, error) { return nil, nil }

// Structure returns nil.
func (Plain) Structure() json.RawMessage { return nil }

// Progress returns nil.
func (Plain) Progress() json.RawMessage { return nil }
