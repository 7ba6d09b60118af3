// Package runlog writes the records of a training run that people and other
// programs read:
//
//	metrics.jsonl  one JSON object per record, for pandas and jq
//	metrics.csv    the same table, for spreadsheets
//	timing.jsonl   seconds and rates of the same steps
//	events.out.tfevents.<unix>.<host>  the same curves for TensorBoard
//	log.txt        every line of the console, with the time
//	env.json, all_results.json, eval_results.json, timing.json
//
// If a run is killed at any moment and resumed, its metrics.jsonl, metrics.csv
// and results are byte for byte those of an uninterrupted run. Time of day and
// speed are therefore written to the other files only. Each record is one
// unbuffered append, so that a killed process loses at most the line that is
// being written.
//
// Progress is written to stderr. stdout contains the records as JSON lines if
// Options.JSON is set, and otherwise nothing. This package does not read stdin.
package runlog

import (
	"cmp"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"time"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/terminal"
)

// MetricsFile contains the records of a run. Resuming a run and reports depend
// on it.
const MetricsFile = "metrics.jsonl"

// These are the other files that are open during a run, and those that are
// written at its end.
const (
	tableFile  = "metrics.csv"
	timingFile = "timing.jsonl"
	textFile   = "log.txt"

	evalResults = "eval_results.json"
	allResults  = "all_results.json"
	runtimeFile = "timing.json"
)

// IsResult reports whether Finish writes a file of the given name.
func IsResult(name string) bool {
	return name == evalResults || name == allResults || name == runtimeFile
}

// Options describe what a run logs and where its console is.
type Options struct {
	Scores []string // names of evaluation scores, in column order
	Select string   // the score that selects the best epoch
	Steps  int      // optimizer steps of the whole run, for progress
	Epochs int      // epochs of the whole run, for progress
	// StepsPerEpoch is the number of steps per epoch, for progress.
	StepsPerEpoch int

	Resume bool // continue the run in the directory, if there is one
	Step   int  // with Resume: the step of the checkpoint; -1 if there is none

	JSON     bool              // also write each record to Stdout
	Terminal terminal.Terminal // what Stderr supports: a terminal has a bar and a table instead of lines
	Stdout   io.Writer         // os.Stdout if nil
	Stderr   io.Writer         // os.Stderr if nil

	Now func() time.Time // time.Now if nil
}

// Misuse is the panic value if this package is called wrongly, which is a bug
// of the caller.
type Misuse struct{ Problem string }

// Error implements error.
func (m Misuse) Error() string { return "runlog: " + m.Problem }

// Run is the open log of one training run. Its methods are not safe for
// concurrent use.
type Run struct {
	dir                                  string
	o                                    Options
	metrics, table, timing, text, events *os.File
	clock                                clock
	console                              console
	loss, score                          string    // of the last records, for the bar
	step                                 int       // the last one, for the bar
	doing                                string    // what Progress drew last; "" during steps
	records                              []Record  // of metrics.jsonl
	sum                                  hash.Hash // of their lines
	err                                  error
}

// Open starts the log of a run in dir, which it creates if it does not exist.
// If dir already has a log, Open returns an error unless Options.Resume is set.
// With Resume, Open rewinds the log to Options.Step, as Rewind does. If the run
// has steps left, Open removes the files of Finish, which were written before
// the run was extended or started again.
func Open(dir string, o Options) (*Run, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("runlog: open %s: %w", dir, err)
	}
	r := &Run{dir: dir, o: o, step: max(o.Step, 0)}
	r.clock = newClock(o.Now, max(o.Step, 0))
	if err := r.openFiles(); err != nil {
		r.closeFiles()
		return nil, fmt.Errorf("runlog: open %s: %w", dir, err)
	}
	if _, err := r.events.Write(firstEvent(o.Now())); err != nil {
		r.closeFiles()
		return nil, fmt.Errorf("runlog: open %s: %w", dir, err)
	}
	if err := r.removeResults(); err != nil {
		r.closeFiles()
		return nil, fmt.Errorf("runlog: open %s: %w", dir, err)
	}
	if err := r.Rewind(o.Step); err != nil {
		r.closeFiles()
		return nil, err
	}
	r.console.open(o)
	return r, nil
}

// check sets defaults for fields that are zero. It returns an error if a
// score's name cannot be a column of metrics.csv.
func (o *Options) check() error {
	for i, name := range o.Scores {
		if name == "" || slices.Contains(columns, name) || slices.Contains(o.Scores[:i], name) {
			return fmt.Errorf("score name %q is empty, repeated or one of %q; want a different name for every column", name,
				columns)
		}
	}
	if !o.Resume {
		o.Step = -1
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// Records returns the records of metrics.jsonl in their order, with those from before a resume. The caller must not
// change them.
func (r *Run) Records() []Record { return r.records }

// Err returns the first error of any file of the run, or of Stdout with
// Options.JSON. It returns nil if everything was written. Failures of Stderr
// are not errors, because training may continue after its terminal is closed.
func (r *Run) Err() error { return r.err }

// Sync makes everything that was logged survive a power failure. The training
// loop calls it before it publishes a checkpoint and stops if it fails. It
// returns Err.
func (r *Run) Sync() error {
	err := cmp.Or(r.replaced(), r.metrics.Sync(), r.table.Sync(), r.timing.Sync(), r.text.Sync(), r.events.Sync(),
		checkpoint.SyncDir(r.dir))
	if err != nil {
		r.fail(err)
	}
	return r.err
}

// Close removes the progress bar from the terminal and closes the files. It returns Err.
func (r *Run) Close() error {
	r.console.screen.Close()
	if err := r.closeFiles(); err != nil {
		r.fail(err)
	}
	return r.err
}
