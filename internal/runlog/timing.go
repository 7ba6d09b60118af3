package runlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/metric"
)

// Timing is a line of timing.jsonl: the time and the speed at a training record.
type Timing struct {
	Step     int           `json:"step"`
	Time     time.Time     `json:"time"`
	Seconds  float64       `json:"seconds"` // since the process that wrote the line began
	Examples metric.Number `json:"examples_per_second"`
	Tokens   metric.Number `json:"tokens_per_second"`
}

// ReadTiming returns the lines of dir/timing.jsonl, or none if the file does not exist. Lines that are damaged are left
// out, because nothing but the display of speed depends on them. Steps that a run repeated after an interruption occur
// more than once.
func ReadTiming(dir string) (all []Timing, err error) {
	data, err := infile.Read(filepath.Join(dir, timingFile), infile.Log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range bytes.Lines(data) {
		var t Timing
		if bytes.HasSuffix(line, []byte("\n")) && json.Unmarshal(line, &t) == nil {
			all = append(all, t)
		}
	}
	return all, err
}

// Elapsed returns how long the processes that wrote lines of timing.jsonl trained, from the start of each to its last
// line.
func Elapsed(all []Timing) (sum time.Duration) {
	for i, t := range all {
		if i+1 == len(all) || all[i+1].Seconds < t.Seconds {
			sum += time.Duration(t.Seconds * float64(time.Second))
		}
	}
	return sum
}
