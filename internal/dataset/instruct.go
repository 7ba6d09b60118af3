package dataset

import (
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/metric"
)

// instructExtensions are the extensions of the files of instruct.
var instructExtensions = []string{".json", ".jsonl", ".txt"}

// IsInstruct reports whether the task is instruct, whose files package instruct
// reads.
func (c Config) IsInstruct() bool { return taskName(c.Task) == Instruct }

// Rows returns the number of rows that s stands for, and reports whether it is a
// whole number of at least 1.
func (s Source) Rows() (int, bool) {
	f, ok := s.Fraction()
	return int(f), ok && f >= 1 && f == math.Trunc(f) && f <= math.MaxInt32
}

// checkInstruct checks the section of the task instruct.
func (c Config) checkInstruct(f *faults) {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"dir", c.Dir != ""}, {"text", len(c.Text) > 0}, {"label", c.Label != ""}, {"kind", c.Kind != ""},
		{"labels", len(c.Labels) > 0}, {"separator", c.Separator != ""}, {"threshold", c.Threshold != 0},
		{"metric", c.Metric != "" && c.Metric != metric.Perplexity},
	} {
		if k.set {
			f.add(k.key, "set, but task instruct has no such key; leave it out")
		}
	}
	if c.Train == "" {
		f.add("train", "not set; want a .json, .jsonl or .txt file")
	}
	_, isRows := c.Dev.Rows()
	fraction, isNumber := c.Dev.Fraction()
	switch {
	case c.Dev == "":
		f.add("dev", "not set; want a file, a fraction of data.train such as 0.05, or a number of rows such as 2000")
	case isNumber && !isRows && !(fraction > 0 && fraction < 1):
		f.add("dev", "the number is %s; want a fraction between 0 and 1, or a whole number of rows", c.Dev)
	}
	for _, file := range []struct{ key, path string }{{"train", c.Train}, {"dev", string(c.Dev)}, {"test", c.Test}} {
		if file.path == "" || file.key == "dev" && isNumber {
			continue
		}
		if ext := strings.ToLower(filepath.Ext(file.path)); !slices.Contains(instructExtensions, ext) {
			f.add(file.key, "%q has extension %q; want .json, .jsonl or .txt", file.path, ext)
		}
	}
}

// refuseInstruct reports keys of the task instruct in the section of another.
func (c Config) refuseInstruct(f *faults) {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"format", c.Format != ""}, {"template", c.Template != ""}, {"train_on_inputs", c.TrainOnInputs},
		{"parse_special", c.ParseSpecial},
		{"order", c.Order != ""},
	} {
		if k.set {
			f.add(k.key, "set, but only task instruct has it; leave it out")
		}
	}
}
