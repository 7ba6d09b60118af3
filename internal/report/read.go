package report

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/strictjson"
	"github.com/lor2c/lor2c/internal/train"
)

// readRun reads the run directory of `lor2c train`. Only the configuration must
// exist, so that a run can be looked at from its first step on.
func readRun(dir string) (*Run, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, train.ConfigFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s; want a directory that lor2c train wrote: %w", train.ConfigFile, ErrNoRun)
	}
	cfg, err := config.Load(path, nil, nil)
	if err != nil {
		return nil, err
	}
	records, err := runlog.ReadMetrics(dir)
	if err != nil {
		return nil, err
	}
	metrics := filepath.Join(dir, "metrics.jsonl")
	if err := check(metrics, records); err != nil {
		return nil, err
	}
	r := &Run{dir: abs, config: cfg}
	if r.lines, err = r.readLines(metrics); err != nil {
		return nil, err
	}
	if err := r.readResults(filepath.Join(dir, "all_results.json")); err != nil {
		return nil, err
	}
	if err := readOptional(filepath.Join(dir, "env.json"), &r.env); err != nil {
		return nil, err
	}
	r.build(records)
	return r, r.readBest(dir)
}

// readBest verifies the best adapter and reads what it was made from. For a run
// without a schedule, whose log has no number of parameters, it counts those of
// the adapter.
func (r *Run) readBest(dir string) error {
	n, err := train.Scalars(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no epoch is done yet
	}
	if err != nil {
		return err
	}
	if len(r.Parameters) == 0 {
		r.Parameters = append(r.Parameters, Count{0, 0, n})
	}
	r.made, err = identity.Read(filepath.Join(dir, "best"))
	return err
}

// ErrNoRun is wrapped by the error of a directory without a run.
var ErrNoRun = errors.New("no run there")

// readLines returns the complete lines of metrics.jsonl. It leaves out an
// incomplete last line, as ReadMetrics does, and adds a note on it.
func (r *Run) readLines(path string) ([][]byte, error) {
	data, err := infile.Read(path, infile.Log)
	if errors.Is(err, fs.ErrNotExist) {
		r.note("There is no metrics.jsonl: the run has logged nothing yet.")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(data, []byte("\n"))
	if rest := lines[len(lines)-1]; len(rest) > 0 {
		r.note("Line %d of metrics.jsonl, the last, is incomplete and was ignored: the run was killed there or is "+
			"still being written.", len(lines))
	}
	return lines[:len(lines)-1], nil
}

func (r *Run) readResults(path string) error {
	var values map[string]*float64
	if err := readOptional(path, &values); err != nil {
		return err
	}
	// A run that is being extended has the results of its first part until it
	// ends.
	epoch := values["epoch"]
	added := float64(r.config.Train.AddedEpochs())
	r.Finished = values != nil &&
		(added == 0 || r.config.Train.EarlyStopping > 0 || epoch != nil && *epoch >= float64(r.config.Train.Epochs)+added)
	r.Results = map[string]number{}
	for name, v := range values {
		r.Results[name] = pointed(v)
	}
	return nil
}

// readOptional reads a JSON file if it exists.
func readOptional(path string, to any) error {
	data, err := infile.Read(path, infile.Log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = strictjson.Unmarshal(data, to)
	}
	var at *strictjson.Error
	if errors.As(err, &at) {
		return fmt.Errorf("%s:%w; restore the file or remove it", path, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w; restore the file or remove it", path, err)
	}
	return nil
}
