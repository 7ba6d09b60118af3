package sweep

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/strictjson"
	"github.com/lor2c/lor2c/internal/train"
)

// Result is the result of a finished run.
type Result struct {
	Seed       uint64        `json:"seed"`
	Score      metric.Number `json:"score"` // on dev, in the best epoch; undefined if the metric is
	Loss       metric.Number `json:"loss"`  // on dev, in the same epoch
	Epoch      float64       `json:"epoch"` // the best one
	Parameters int           `json:"parameters"`
	Merges     Operations    `json:"merges"`
	Injects    Operations    `json:"injects"`
	Seconds    float64       `json:"seconds"` // wall-clock time of all parts of the run
	Device     string        `json:"device"`
}

// Operations is the number of merges or injections of a run.
type Operations struct {
	Planned  int `json:"planned"`
	Executed int `json:"executed"`
}

// readResult reads a finished run, whose best epoch was chosen by the metric
// called selecting.
func readResult(dir, selecting string) (r Result, err error) {
	records, err := runlog.ReadMetrics(dir)
	if err != nil {
		return r, err
	}
	found := false
	for _, record := range records {
		switch rec := record.(type) {
		case schedule.Plan:
			r.Merges.Planned, r.Injects.Planned = len(rec.Merges), len(rec.Injects)
		case schedule.Event:
			if rec.Action == "merge" {
				r.Merges.Executed++
			} else {
				r.Injects.Executed++
			}
		case runlog.Eval:
			if rec.Best {
				r.Score, r.Loss, r.Epoch = metric.Number(rec.Scores[selecting]), metric.Number(rec.Loss), rec.Epoch
				_, found = rec.Scores[selecting]
			}
		}
	}
	if !found {
		return r, fmt.Errorf("sweep: read %s: no evaluation is marked as the best by %s; remove the directory and run "+
			"the cell again", dir, selecting)
	}
	if r.Parameters, err = train.Scalars(dir); err != nil {
		return r, err
	}
	if r.Seconds, err = seconds(dir); err != nil {
		return r, err
	}
	var env runlog.Env
	if err := readJSON(filepath.Join(dir, "env.json"), &env); err != nil {
		return r, err
	}
	r.Device = env.Device
	if env.CPU != "" {
		r.Device += " (" + env.CPU + ")"
	}
	return r, nil
}

// seconds returns the duration of a run, which may have been interrupted. It
// adds up the parts, whose times each start at 0. The time of a killed part
// after its last line is not known and is not included.
func seconds(dir string) (total float64, err error) {
	text, err := infile.Read(filepath.Join(dir, "timing.jsonl"), infile.Log)
	if err != nil {
		return 0, fmt.Errorf("sweep: read timing: %w", err)
	}
	last := 0.0
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		var t struct {
			Seconds float64 `json:"seconds"`
		}
		if err := strictjson.Unmarshal([]byte(line), &t); err != nil {
			return 0, fmt.Errorf("sweep: read %s:%d: %w; restore the file or remove the run",
				filepath.Join(dir, "timing.jsonl"), n, strictjson.WithoutPlace(err))
		}
		if t.Seconds < last {
			total += last
		}
		last = t.Seconds
	}
	var whole struct {
		Runtime float64 `json:"train_runtime"` // of the last part, including its end
	}
	err = readJSON(filepath.Join(dir, "timing.json"), &whole)
	return total + whole.Runtime, err
}

func readJSON(path string, to any) error {
	text, err := infile.Read(path, infile.Log)
	if err == nil {
		err = strictjson.Unmarshal(text, to)
	}
	var at *strictjson.Error
	if errors.As(err, &at) {
		return fmt.Errorf("sweep: read %s:%w; restore the file or remove the run", path, err)
	}
	if err != nil {
		return fmt.Errorf("sweep: read %s: %w; restore the file or remove the run", path, bare(err))
	}
	return nil
}

// bare removes the path, which the message already contains.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
