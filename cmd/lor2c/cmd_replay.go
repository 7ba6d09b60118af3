package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

type replayOptions struct {
	run, device string
	step, n     int
	json        bool
}

func newReplayCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay --run DIR --step N",
		Short: "Compute one step of a run again and look at it",
		Long: wrap("Replay computes an optimizer step of a run again, from the nearest checkpoint before it or from the "+
			"beginning, with the data, the model and the settings of the run. It prints the texts of the batch, the size of "+
			"what each layer puts out, of its trained parameters and of their gradients, and the first tensor that is not "+
			"finite. It also compares the loss with the recorded one, bit by bit. Nothing is written into the run directory.",
			""),
		Example: "  lor2c replay --run runs/verdicts --step 120\n" +
			"  lor2c replay --run runs/verdicts --step 120 --json | jq .layers",
		Annotations: exits(exitDevice, exitMismatch, exitNonFinite, exitLost),
		Args:        noArgs,
		RunE:        func(c *cobra.Command, _ []string) error { return runReplay(c, o) },
	}
	c.Flags().StringVar(&o.run, "run", "", "run directory `DIR` that lor2c train wrote")
	c.Flags().IntVar(&o.step, "step", 0, "optimizer step `N`, counted from 1")
	c.Flags().IntVarP(&o.n, "number", "n", 8, "print the first `N` examples of the batch; 0 prints none")
	deviceFlag(c, &o.device)
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return c
}

func runReplay(c *cobra.Command, o replayOptions) error {
	if o.run == "" || o.step < 1 {
		return usageError{errors.New("lor2c: replay: name a run directory with --run DIR and a step from 1 on with --step N")}
	}
	if err := checkPath("--run", o.run); err != nil {
		return err
	}
	if err := train.CheckDirectory(o.run); err != nil {
		return usageError{err}
	}
	cfg, err := config.LoadContext(c.Context(), filepath.Join(o.run, train.ConfigFile), nil, nil)
	if err != nil {
		return err
	}
	dev, err := openTrainer(o.device, cfg.Train.Precision)
	if err != nil {
		return err
	}
	defer dev.Close()
	endsItself(c.Context())
	screen := screenOfStderr()
	defer screen.Close()
	r, err := train.Replay(c.Context(), cfg, o.run, o.step, dev, func(done, steps int) {
		screen.Status(done == 1, func(width int) []string {
			return []string{terminal.StatusLine(width, done, steps, []terminal.Part{
				{Text: fmt.Sprintf("replaying step %d of %d", done, steps)}})}
		})
	})
	screen.Close()
	if err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetEscapeHTML(false)
		if err := e.Encode(r); err != nil {
			return err
		}
	} else {
		printReplay(screenOfStdout(c), r, o.n)
	}
	if r.NonFinite != nil {
		return r.NonFinite
	}
	return nil
}

// printReplay writes a step as text, with its first n examples.
func printReplay(s *terminal.Screen, r *train.Replayed, n int) {
	line := func(format string, a ...any) { s.Print(terminal.Plain, fmt.Sprintf(format, a...), 2) }
	from := "the beginning of the run"
	if r.From != "" {
		from = r.From
	}
	line("step %d of %d, epoch %.4g, from %s", r.Step, r.Steps, r.Epoch, from)
	line("loss %v, learning rate %.3g, gradient norm %s", r.Loss, r.LearningRate, norm(r.GradNorm))
	line("batch: %s", place.Count(len(r.Examples), "example", "examples"))
	for _, e := range r.Examples[:min(max(n, 0), len(r.Examples))] {
		label := ""
		if e.Label != "" {
			label = "  label " + e.Label
		}
		line("  %s%s  %s", e.Where, label, place.Count(len(e.IDs), "token", "tokens"))
		if e.Runs != nil {
			line("    %s", marked(e.Runs, terminal.Terminal{}))
			continue
		}
		line("    %s", e.Text)
	}
	tty := s.Terminal
	if tty.Width == nil {
		tty.Width = func() int { return columns }
	}
	table := []terminal.Column{
		{Name: "layer", Width: 5}, {Name: "output", Width: 8, Rank: 1}, {Name: "largest", Width: 8, Rank: 2},
		{Name: "parameters", Width: 8, Rank: 4}, {Name: "gradient", Width: 8}, {Name: "trained", Width: 8, Rank: 5},
	}
	s.Row(tty.TableRow(table, nil))
	for _, l := range r.Layers {
		s.Row(tty.TableRow(table, []string{l.Layer, norm(l.Output), norm(l.Largest), norm(l.Parameters),
			norm(l.Gradient), fmt.Sprint(l.Trained)}))
	}
	if r.NonFinite == nil {
		line("every tensor of the step is finite")
	}
	printLossCheck(s, r.Check)
}

// printLossCheck writes how the loss compares with the recorded one.
func printLossCheck(s *terminal.Screen, c *train.LossCheck) {
	if c == nil {
		s.Print(terminal.Plain, "the run has not recorded a loss of this step", 2)
		return
	}
	text := fmt.Sprintf("mean loss of steps %d to %d: %s, equal bit by bit to the recorded one", c.First, c.Last,
		c.Recorded.Cell())
	if !c.Equal {
		text = fmt.Sprintf("mean loss of steps %d to %d: %s, recorded %s", c.First, c.Last, c.Replayed.Cell(),
			c.Recorded.Cell())
		if c.Device != "" {
			text += "; the run was trained on " + c.Device
		}
	}
	style := terminal.Good
	if !c.Equal {
		style = terminal.Warning
	}
	s.Print(style, text, 2)
}

// norm formats a norm.
func norm(v metric.Number) string {
	if !v.Defined() {
		return "-"
	}
	return fmt.Sprintf("%.3g", float64(v))
}
