package runlog

import (
	"errors"
	"syscall"

	"github.com/lor2c/lor2c/internal/metric"
)

// Start is the first record on Stdout with Options.JSON. It is not written to a
// file, because the run file, env.json and the checkpoints contain its values.
type Start struct {
	Step          int      `json:"step"` // optimizer steps so far
	Steps         int      `json:"steps"`
	Epochs        int      `json:"epochs"`
	Out           string   `json:"out"`
	ResumedFrom   string   `json:"resumed_from,omitempty"` // checkpoint directory
	Method        string   `json:"method"`
	Task          string   `json:"task"`
	Labels        []string `json:"labels"` // null in regression
	Metric        string   `json:"metric"` // selects the best epoch
	TrainExamples int      `json:"train_examples"`
	DevExamples   int      `json:"dev_examples"`
	Trainable     int      `json:"trainable_parameters"` // of the adapter
	Head          int      `json:"head_parameters"`
	Device        string   `json:"device"`
}

// Result is the last record on Stdout with Options.JSON, even if the run was
// already finished. It is not written to a file.
type Result struct {
	Step      int           `json:"step"` // optimizer steps of the run
	Out       string        `json:"out"`
	BestStep  int           `json:"best_step"`
	BestEpoch float64       `json:"best_epoch"`
	Metric    string        `json:"metric"`
	Loss      metric.Number `json:"loss"` // dev loss of the best epoch
	Scores    metric.Scores `json:"scores"`
	Adapter   string        `json:"adapter"` // directory of the best epoch
	Final     string        `json:"final"`   // directory of the last step
	Trainable int           `json:"trainable_parameters"`
}

// Start writes s to Stdout with Options.JSON.
func (r *Run) Start(s Start) { r.announce("start", s) }

// Result writes res to Stdout with Options.JSON.
func (r *Run) Result(res Result) { r.announce("result", res) }

func (r *Run) announce(kind string, v any) {
	if r.o.JSON && r.err == nil {
		r.stream(encode(kind, v))
	}
}

// stream writes a line to Stdout. If the reader, such as head, closes the pipe,
// the run continues, because metrics.jsonl has the records.
func (r *Run) stream(line []byte) {
	_, err := r.o.Stdout.Write(line)
	switch {
	case errors.Is(err, syscall.EPIPE):
		r.o.JSON = false
		r.say("standard output was closed by its reader; further records are in " + MetricsFile)
	case err != nil:
		r.fail(err)
	}
}
