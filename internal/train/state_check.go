package train

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// mostState is the largest size of state.json in bytes. A sum of gradients for every
// parameter of an adapter needs much less.
const mostState = 16 << 20

// readState reads the state of a checkpoint directory whose checksums were verified. It
// returns an error that lists the faults if the state cannot be one of this run.
func (r *run) readState(dir string) error {
	path := filepath.Join(dir, stateFile)
	raw, err := infile.Read(path, mostState)
	if err != nil {
		return fmt.Errorf("train: resume %s: %w; want a checkpoint that lor2c train wrote", path, err)
	}
	s, err := parseState(path, raw)
	if err != nil {
		return err
	}
	// The name to compare is that of the checkpoint, also if dir is the link best.
	if to, err := filepath.EvalSymlinks(dir); err == nil {
		dir = to
	}
	if faults := s.faults(filepath.Base(dir), r); faults != nil {
		return fmt.Errorf("train: resume %s: %s; want a checkpoint of this run that lor2c train wrote",
			path, strings.Join(faults, "; "))
	}
	r.state = s
	return nil
}

// parseState parses raw, the content of the state.json at path. Errors name path.
func parseState(path string, raw []byte) (s state, err error) {
	if err := strictjson.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("train: resume %s:%w; want a checkpoint that lor2c train wrote", path, err)
	}
	if s.Format != stateFormat {
		return s, fmt.Errorf("train: resume %s: the checkpoint has format %d; this lor2c reads %d",
			path, s.Format, stateFormat)
	}
	return s, nil
}

// faults returns what is wrong with a state for run r, read from a directory with the
// given name. It checks everything except what depends on the method's parameters,
// which parameterFaults checks later.
func (s *state) faults(name string, r *run) (faults []string) {
	check := func(ok bool, format string, a ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, a...))
		}
	}
	check(s.Step >= 1 && s.Step <= r.steps, "step is %d; the run has the steps 1 to %d", s.Step, r.steps)
	if digits, ok := strings.CutPrefix(name, checkpointPrefix); ok {
		check(digits == strconv.Itoa(s.Step), "step is %d in a directory named %s", s.Step, place.Quote(name))
	}
	if faults != nil {
		return faults // the other values are compared with the step
	}
	c := r.session.Config
	check(s.Seed == c.Seed, "seed is %d; the run's is %d", s.Seed, c.Seed)
	epoch, index := r.position(s.Step)
	check(s.Epoch == epoch && s.Index == index, "epoch and index are %d and %d; step %d ends at %d and %d",
		s.Epoch, s.Index, s.Step, epoch, index)

	b := s.Best
	check(b.Step >= 0 && b.Step <= s.Step, "best.step is %d; want 0 to %d", b.Step, s.Step)
	check(b.Epoch == r.epochs(b.Step), "best.epoch is %v; step %d is at epoch %v", b.Epoch, b.Step, r.epochs(b.Step))
	check(b.Step > 0 || b.Score == nil, "best.score is set without a best.step")
	check(s.Waiting.Evaluations >= 0 && s.Waiting.Evaluations <= s.Step, "waiting.evaluations is %d; want 0 to %d",
		s.Waiting.Evaluations, s.Step)

	check(s.WindowSteps >= 0 && s.WindowSteps <= s.Step, "window_steps is %d; want 0 to %d", s.WindowSteps, s.Step)
	check(s.WindowLoss >= 0 && (s.WindowSteps > 0 || s.WindowLoss == 0), "window_loss is %g over %s",
		s.WindowLoss, place.Count(s.WindowSteps, "step", "steps"))
	check(s.TotalLoss >= s.WindowLoss*(1-1e-9), "total_loss is %g, less than window_loss, %g", s.TotalLoss, s.WindowLoss)

	faults = append(faults, c.Method.CheckProgress(s.Schedule, c.Schedule, s.Step)...)

	check(s.Gradients == nil || c.Train.LogGradients, "there are sums of gradients, and the run logs none")
	check(s.GradientSteps >= 0 && s.GradientSteps <= s.Step, "gradient_steps is %d; want 0 to %d", s.GradientSteps, s.Step)
	for i, g := range s.Gradients {
		if !(g >= 0) {
			check(false, "sum %d of gradients is %g; want 0 or more", i, g)
			break
		}
	}
	check(s.Log == nil || s.Log.Records >= 0, "log.records is negative")
	return faults
}

// parameterFaults returns what in a state does not fit the parameters of the method and
// the optimizer.
func (s *state) parameterFaults(r *run) (faults []string) {
	names := map[string]bool{}
	for _, p := range r.stepper.Opt.Params() {
		names[p.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(s.Born)) {
		if at := s.Born[name]; !names[name] || at < 0 || at > s.Step {
			faults = append(faults,
				fmt.Sprintf("born has %s after step %d; want a parameter of the method and a step from 0 to %d",
					place.Quote(name), at, s.Step))
			break
		}
	}
	if n := len(r.stepper.Method.Params()); r.gradients != nil && len(s.Gradients) != max(n, 1) {
		faults = append(faults, fmt.Sprintf("there are %d sums of gradients; the adapter has %d tensors",
			len(s.Gradients), n))
	}
	return faults
}

// restore copies adapter, head and optimizer state from a checkpoint to the device.
func (r *run) restore(dir string, saved *adapter.Saved) error {
	if faults := r.state.parameterFaults(r); faults != nil {
		return fmt.Errorf("train: resume %s: %s; want a checkpoint of this run that lor2c train wrote",
			filepath.Join(dir, stateFile), strings.Join(faults, "; "))
	}
	if err := saved.Restore(r.dev, r.stepper.Method, r.stepper.Model.Head()); err != nil {
		return err
	}
	r.stepper.Opt.SetSteps(r.state.Step, r.state.Born)
	if r.gradients != nil {
		r.gradients.restore(r.state.Gradients, r.state.GradientSteps)
	}
	return restoreMoments(filepath.Join(dir, optimizerFile), r.stepper)
}
