// Package watch shows a run or a sweep in a terminal while it is trained, or afterwards. It only reads the files of run
// directories, so it works from any shell and changes nothing.
package watch

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/train"
)

// ErrGone is wrapped by the error of a directory that was moved or removed while it was watched.
var ErrGone = errors.New("it was moved or removed")

// view is what a run has written so far.
type view struct {
	dir    string
	tail   runlog.Tail
	config *config.Config
	file   os.FileInfo // of the run file when config was read

	timing   []runlog.Timing
	finished bool
	pid      int    // of the process that trains; 0 if this machine shows none, or unknown
	seen     int    // the last process that was found
	grew     bool   // records were written since the first call of read
	resident int64  // bytes of the process in main memory; 0 if not known
	memory   string // the plan of the memory, as the run logged it
	damage   error  // of metrics.jsonl or, while it is watched, of the run file
}

// openView reads the settings of a run.
func openView(dir string) (*view, error) {
	v := &view{dir: dir, tail: runlog.Tail{Dir: dir}}
	return v, v.settings()
}

// settings reads the run file, unless it is the one that was read before. A run that is extended replaces it.
func (v *view) settings() error {
	path := filepath.Join(v.dir, train.ConfigFile)
	info, err := os.Stat(path)
	if err == nil && v.file != nil && os.SameFile(info, v.file) && info.Size() == v.file.Size() &&
		info.ModTime().Equal(v.file.ModTime()) {
		return nil
	}
	cfg, err := config.Load(path, nil, nil)
	if err != nil {
		return err
	}
	v.config, v.file = cfg, info
	return nil
}

// read reads what was written since the last call.
func (v *view) read() error {
	if err := there(v.dir); err != nil {
		return err
	}
	before := v.tail.Written()
	v.damage = cmp.Or(v.tail.Read(), v.settings())
	if after := v.tail.Written(); before != nil && after != nil && after.ModTime().After(before.ModTime()) {
		v.grew = true
	}
	var err error
	if v.timing, err = runlog.ReadTiming(v.dir); err != nil {
		return err
	}
	v.finished = runlog.Finished(v.dir)
	if v.pid, v.resident = trainer(v.dir); v.pid > 0 {
		v.seen = v.pid
	}
	if v.memory == "" {
		v.memory = plannedMemory(v.dir)
	}
	return nil
}

// there returns an error that wraps ErrGone if a directory does not exist.
func there(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("watch: read %s: %w", dir, ErrGone)
	}
	return nil
}

// plannedMemory returns the line about memory that the run logged before its first step, or "".
func plannedMemory(dir string) string {
	text, err := infile.Read(filepath.Join(dir, "log.txt"), infile.Log)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if _, plan, ok := strings.Cut(line, " memory: "); ok {
			return strings.TrimSpace(plan)
		}
	}
	return ""
}

// state says whether the run is trained, and for how long nothing was written if it is not.
func (v *view) state(now time.Time) (text string, running bool) {
	info := v.tail.Written()
	switch {
	case v.pid > 0:
		return fmt.Sprintf("running, process %d", v.pid), true
	case v.finished:
		return "finished", false
	case v.seen > 0:
		return fmt.Sprintf("process %d has ended; the same command continues the run", v.seen), false
	case info == nil:
		return "no record yet", false
	}
	// The files of a run that was killed and copied look new, so that their time alone does not show that it runs.
	quiet := max(0, now.Sub(info.ModTime()))
	if quiet < recently && (v.grew || v.pid == unknown) {
		return "running", true // in another container, on another machine, or this system does not name its process
	}
	ago := quiet.Round(time.Second).String()
	if quiet > time.Hour {
		ago = fmt.Sprintf("%.0f hours", quiet.Hours())
	}
	return "stopped, or no record for " + ago, false
}

// recently is how long after its last record a run counts as running if its process is not found.
const recently = 30 * time.Second

// unknown is the process of a run on a system that does not say which processes hold a lock.
const unknown = -1

// train returns the training records.
func (v *view) train() (all []runlog.Train) {
	for _, r := range v.tail.Records {
		if t, ok := r.(runlog.Train); ok {
			all = append(all, t)
		}
	}
	return all
}

// evals returns the evaluations of the dev split.
func (v *view) evals() (all []runlog.Eval) {
	for _, r := range v.tail.Records {
		if e, ok := r.(runlog.Eval); ok && e.Split == "dev" {
			all = append(all, e)
		}
	}
	return all
}

// last returns the last record of a type, and whether there is one.
func last[T runlog.Record](records []runlog.Record) (found T, ok bool) {
	for _, r := range records {
		if rec, is := r.(T); is {
			found, ok = rec, true
		}
	}
	return found, ok
}

// selecting returns the metric by which the best epoch is chosen, or "" if it is not known.
func (v *view) selecting() string {
	if name := v.config.Data.Metric; name != "" {
		return name
	}
	for _, e := range v.evals() {
		if len(e.Scores) == 1 {
			for name := range e.Scores {
				return name
			}
		}
	}
	return ""
}

// score returns the selecting metric of an evaluation.
func (v *view) score(e runlog.Eval) metric.Number {
	if value, ok := e.Scores[v.selecting()]; ok {
		return metric.Number(value)
	}
	return metric.Number(math.NaN())
}

// extent returns the steps and epochs of the whole run, which follow from the settings and the first record; 0 before
// it.
func (v *view) extent() (steps, epochs int) {
	perEpoch := v.perEpoch()
	if perEpoch == 0 {
		return v.config.Train.MaxSteps, 0
	}
	steps, epochs = v.config.Train.Extent(perEpoch)
	added := v.config.Train.AddedEpochs()
	return steps + added*perEpoch, epochs + added
}

// perEpoch returns the steps of an epoch; 0 if they are not known yet.
func (v *view) perEpoch() int {
	for _, r := range v.tail.Records {
		var step int
		var epoch float64
		switch rec := r.(type) {
		case runlog.Train:
			step, epoch = rec.Step, rec.Epoch
		case runlog.Eval:
			step, epoch = rec.Step, rec.Epoch
		default:
			continue
		}
		if step < 1 || !(epoch > 0) {
			continue
		}
		if epoch < 1 {
			// The fraction counts examples, and the last batch of an epoch may be smaller.
			examples := int(math.Round(float64(step*v.config.Train.BatchSize) / epoch))
			return (examples + v.config.Train.BatchSize - 1) / v.config.Train.BatchSize
		}
		return int(math.Round(float64(step) / epoch))
	}
	return 0
}

// step returns the step of the last record.
func (v *view) step() int {
	if n := len(v.tail.Records); n > 0 {
		return v.tail.Records[n-1].At()
	}
	return 0
}

// events returns a letter for each change of structure, by step.
func (v *view) events() (marks []mark) {
	for _, r := range v.tail.Records {
		switch rec := r.(type) {
		case schedule.Event:
			letter := 'M'
			if rec.Action == string(schedule.Inject) {
				letter = 'I'
			}
			marks = append(marks, mark{rec.Step, letter})
		case schedule.Tie:
			marks = append(marks, mark{rec.Step, 'T'})
		}
	}
	return marks
}

// mark is an event at a step: M for a merge, I for an injection, T for factors that layers share from then on.
type mark struct {
	step   int
	letter rune
}

// parameters returns the number of scalars of the adapter, or 0 if the log has none.
func (v *view) parameters() (n int) {
	for _, r := range v.tail.Records {
		switch rec := r.(type) {
		case schedule.Plan:
			n = rec.Parameters
		case schedule.Event:
			n = rec.ParametersAfter
		case schedule.Tie:
			n = rec.ParametersAfter
		case schedule.Ranks:
			n = rec.Parameters
		}
	}
	return n
}

// planned returns how many merges and injections were carried out, of how many, and what is due next.
func (v *view) planned() string {
	plan, ok := last[schedule.Plan](v.tail.Records)
	if !ok {
		return ""
	}
	merged, injected := 0, 0
	for _, m := range v.events() {
		switch m.letter {
		case 'M':
			merged++
		case 'I':
			injected++
		}
	}
	var parts []string
	part := func(what string, done, most int, times []schedule.Time) {
		if most == 0 {
			return
		}
		text := fmt.Sprintf("%d of %s", done, place.Count(most, what, what+"s"))
		for _, t := range times {
			if t.Step > v.step() {
				text += fmt.Sprintf(", next after step %d", t.Step)
				break
			}
		}
		parts = append(parts, text)
	}
	part("merge", merged, plan.MaxMerges, plan.Merges)
	part("injection", injected, plan.MaxInjects, plan.Injects)
	return strings.Join(parts, "; ")
}
