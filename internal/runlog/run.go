// Package runlog writes everything of a training run that people and other
// tools read, checkpoints apart:
//
//	metrics.jsonl  one JSON object a record, for pandas and jq
//	metrics.csv    the same table, for spreadsheets
//	timing.jsonl   seconds and rates of the same steps
//	events.out.tfevents.<unix>.<host>  the same curves for TensorBoard
//	log.txt        every line of the console, with the time
//	env.json, all_results.json, eval_results.json, timing.json
//
// A run that is killed at any moment and resumed ends with the metrics.jsonl,
// metrics.csv and results of an unbroken run, byte for byte. Time of day and
// speed therefore go to the other files only. Each record is one unbuffered
// append, so that a killed process loses at most the line being written.
//
// Progress goes to stderr; stdout carries the records as JSON lines when that
// was asked for, and otherwise nothing. Nothing reads stdin.
package runlog

import (
	"cmp"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/terminal"
)

// MetricsFile holds the records of a run. What it has on a step is what resumes
// and reports go by.
const MetricsFile = "metrics.jsonl"

// The other files that are open during a run, and those of its end.
const (
	tableFile  = "metrics.csv"
	timingFile = "timing.jsonl"
	textFile   = "log.txt"

	evalResults = "eval_results.json"
	allResults  = "all_results.json"
	runtimeFile = "timing.json"
)

// IsResult reports whether a name is that of a file which Finish writes.
func IsResult(name string) bool {
	return name == evalResults || name == allResults || name == runtimeFile
}

// Options are what a run logs and where its console is.
type Options struct {
	Scores []string // names of evaluation scores, in column order
	Select string   // the score by which the best epoch is chosen
	Steps  int      // optimizer steps of the whole run, for progress
	Epochs int      // epochs of the whole run, for progress
	// StepsPerEpoch is how many of Steps an epoch has, for progress.
	StepsPerEpoch int

	Resume bool // continue the run in the directory, if there is one
	Step   int  // with Resume: the checkpoint's step; -1 if there is none

	JSON     bool              // also write each record to Stdout
	Terminal terminal.Terminal // what Stderr can show: a live one has a bar and a table instead of lines
	Stdout   io.Writer         // os.Stdout if nil
	Stderr   io.Writer         // os.Stderr if nil

	Now func() time.Time // time.Now if nil
}

// Misuse is the panic value for a wrong call of this package, which is a bug of the caller.
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
	loss, score                          string // last ones, for the bar
	step                                 int    // last one, for the bar
	doing                                string // what Progress drew last; "" for steps
	last                                 int    // step of the last record
	err                                  error
	lines                                int       // of metrics.jsonl
	sum                                  hash.Hash // of these lines
}

// Open starts the log of a run in dir, which it creates if it does not exist. It returns
// an error if dir has the log of a run, unless Options.Resume is set; then Open rewinds
// the log to Options.Step, as Rewind does. If the run has steps left, Open removes the
// files of Finish, which are from before the run was extended or started again.
func Open(dir string, o Options) (*Run, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("runlog: open %s: %w", dir, err)
	}
	r := &Run{dir: dir, o: o, step: max(o.Step, 0), last: math.MinInt}
	r.clock = newClock(o.Now, max(o.Step, 0))
	if err := r.openFiles(); err != nil {
		r.closeFiles()
		return nil, fmt.Errorf("runlog: open %s: %w", dir, err)
	}
	r.put(r.events, firstEvent(o.Now()))
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

// check sets defaults for fields that are zero. It returns an error if a score name
// cannot be a column of metrics.csv.
func (o *Options) check() error {
	for i, name := range o.Scores {
		if name == "" || slices.Contains(columns, name) || slices.Contains(o.Scores[:i], name) {
			return fmt.Errorf("score name %q is empty, repeated or one of %q; every column needs its own", name, columns)
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

// Err returns the first error of any file of the run, or of Stdout with
// Options.JSON; nil if all was written. Trouble with Stderr is not an error:
// training outlives its terminal.
func (r *Run) Err() error { return r.err }

// Sync makes all that was logged survive a power failure. The loop calls it
// before it publishes a checkpoint, and stops on its error, which is Err's.
func (r *Run) Sync() error {
	err := cmp.Or(r.replaced(), r.metrics.Sync(), r.table.Sync(), r.timing.Sync(), r.text.Sync(), r.events.Sync(), checkpoint.SyncDir(r.dir))
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
