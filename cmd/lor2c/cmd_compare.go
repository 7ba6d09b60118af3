package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/report"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/train"
)

type compareOptions struct {
	checkpoint, split, device string
	logged, json              bool
}

func newCompareCommand() *cobra.Command {
	var o compareOptions
	c := &cobra.Command{
		Use:   "compare A B",
		Short: "Compare two runs: scores, settings, records, parameters, time",
		Long: wrap("Compare evaluates the best adapters of two runs on the same split and prints what B has minus what A "+
			"has for the loss and every metric, each with a 95 % interval by a paired bootstrap over the examples, and with p, "+
			"the two-sided probability of such a difference if there were none. It also prints which settings and files "+
			"differ, the first record of each kind that differs in their logs, and the parameters and the time of both. A and "+
			"B are run directories, cells of a sweep, or adapters in run directories, such as runs/a/final. Runs with other "+
			"examples in the split are refused. --logged compares what the runs have logged, without the base model.", ""),
		Example: "  lor2c compare runs/lora runs/lor2c\n" +
			"  lor2c compare runs/a/best runs/a/final --split test\n" +
			"  lor2c compare runs/a runs/b --logged\n" +
			"  lor2c compare runs/a runs/b --json | jq .scores.accuracy",
		Annotations: exits(exitDevice, exitMismatch, exitNonFinite, exitLost),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{errors.New("lor2c: compare: name two run directories, or adapters in them")}
			}
			return checkPaths(named("a run", args)...)
		},
		ValidArgsFunction: runs,
		RunE:              func(c *cobra.Command, args []string) error { return runCompare(c, o, args) },
	}
	c.Flags().StringVar(&o.checkpoint, "checkpoint", "best", "checkpoint `NAME` of a run: best, final or checkpoint-N")
	_ = c.RegisterFlagCompletionFunc("checkpoint", words("best", "final"))
	c.Flags().StringVar(&o.split, "split", "dev", "split `NAME` to evaluate: dev or test")
	deviceFlag(c, &o.device)
	c.Flags().BoolVar(&o.logged, "logged", false, "evaluate nothing, and compare what the runs have logged")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return c
}

// compared is what lor2c compare prints.
type compared struct {
	A side `json:"a"`
	B side `json:"b"`
	// Split, Examples and Scores are those of the evaluation; without one Split is empty. Scores has the loss and the
	// metrics.
	Split         string                       `json:"split,omitempty"`
	Examples      int                          `json:"examples,omitempty"`
	Scores        map[string]metric.Difference `json:"scores,omitempty"`
	Configuration []report.Difference          `json:"configuration"`
	Divergence    []report.Divergence          `json:"divergence"`
}

// side is one of two runs.
type side struct {
	Run        string        `json:"run"`
	Adapter    string        `json:"adapter,omitempty"` // the directory that was evaluated
	Method     string        `json:"method"`
	Finished   bool          `json:"finished"`
	Step       int           `json:"step"`       // of the last record
	Parameters int           `json:"parameters"` // of the adapter at its end so far; 0 if they are not known
	Seconds    float64       `json:"seconds"`    // of training, in all processes of the run
	Metric     string        `json:"metric"`
	BestEpoch  metric.Number `json:"best_epoch"`
	Best       metric.Number `json:"best"`             // the logged value of the metric
	Scores     metric.Scores `json:"scores,omitempty"` // of the evaluation, with the loss

	config *config.Config
}

func runCompare(c *cobra.Command, o compareOptions, args []string) error {
	sides := [2]side{}
	for i, path := range args {
		run, dir, err := train.Containing(path, o.checkpoint)
		if o.logged && run != "" {
			err = nil // a run without an adapter has records
		}
		if err != nil {
			return usageError{err}
		}
		sides[i].Run, sides[i].Adapter = run, dir
	}
	r, err := report.Read([]string{sides[0].Run, sides[1].Run})
	if err != nil {
		return err
	}
	pair := r.Comparison.With[0]
	result := &compared{Configuration: pair.Configuration, Divergence: pair.Divergence}
	for i := range sides {
		if err := sides[i].read(r.Runs[i]); err != nil {
			return err
		}
	}
	if !o.logged {
		if err := result.evaluate(c, o, &sides); err != nil {
			return err
		}
	}
	result.A, result.B = sides[0], sides[1]
	if o.json {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetEscapeHTML(false)
		return e.Encode(result)
	}
	result.print(screenOfStdout(c))
	return nil
}

// read fills the side from the description and the files of its run.
func (s *side) read(r *report.Run) (err error) {
	s.Method, s.Finished, s.Step, s.Metric = r.Method, r.Finished, r.LastStep, r.Metric
	if n := len(r.Parameters); n > 0 {
		s.Parameters = r.Parameters[n-1].Count
	}
	s.Best, s.BestEpoch = metric.Number(math.NaN()), metric.Number(math.NaN())
	if r.Best != nil {
		s.BestEpoch = metric.Number(r.Best.Epoch)
		if v, ok := r.Best.Scores[r.Metric]; ok {
			s.Best = v
		}
	}
	timing, err := runlog.ReadTiming(s.Run)
	s.Seconds = runlog.Elapsed(timing).Seconds()
	return err
}

// evaluate evaluates both adapters and compares them example by example.
func (r *compared) evaluate(c *cobra.Command, o compareOptions, sides *[2]side) error {
	var made [2]identity.Split
	for i := range sides {
		var err error
		if sides[i].config, err = config.LoadContext(c.Context(), filepath.Join(sides[i].Run, train.ConfigFile), nil,
			nil); err != nil {
			return err
		}
		m, err := identity.Read(sides[i].Adapter)
		if err != nil {
			return err
		}
		if m != nil {
			made[i] = m.Data[o.split]
		}
	}
	// What the runs recorded is compared before anything is loaded.
	if err := train.SameSplit(o.split, made[0], made[1]); err != nil {
		return err
	}
	endsItself(c.Context())
	var found [2]*train.SplitEvaluation
	for i := range sides {
		e, err := sides[i].evaluate(c, o)
		if err != nil {
			return err
		}
		found[i], sides[i].Scores = e, metric.Scores{"loss": e.Loss}
		for name, v := range e.Scores {
			sides[i].Scores[name] = v
		}
	}
	differences, err := found[1].Against(found[0])
	r.Split, r.Examples, r.Scores = o.split, found[0].Examples, differences
	return err
}

// evaluate evaluates the adapter of the side on a device of its own, because the two runs may differ in precision.
func (s *side) evaluate(c *cobra.Command, o compareOptions) (*train.SplitEvaluation, error) {
	var dev compute.Device
	dev, err := openTrainer(o.device, s.config.Train.Precision)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	screen := screenOfStderr()
	defer screen.Close()
	e, err := train.Evaluate(c.Context(), s.config, dev, s.Adapter, o.split, evaluating(screen, time.Now))
	if err != nil {
		return nil, fmt.Errorf("lor2c: compare %s: %w", s.Adapter, err)
	}
	return e, nil
}
