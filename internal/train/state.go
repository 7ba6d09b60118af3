package train

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// ConfigFile is the name of the resolved configuration in a run directory.
const ConfigFile = "config.resolved.yaml"

// These are the other names in a run directory.
const (
	checkpointPrefix = "checkpoint-"
	bestLink         = "best"
	finalDir         = "final"
	stateFile        = "state.json"
	trainerFile      = "trainer_state.json"
	optimizerFile    = "optimizer.safetensors"
)

// stateFormat is the version of the format of state.json.
const stateFormat = 1

// state is the part of a checkpoint besides tensors. It determines the rest of
// the run, because the order of the data is a function of seed and epoch, and
// the random numbers are functions of seed and step.
type state struct {
	Format int    `json:"format"`
	Step   int    `json:"step"` // optimizer steps so far
	Seed   uint64 `json:"seed"` // for the data order, dropout masks and initial values
	// Epoch and Index are the position of the next example: the epoch, counted from 0,
	// and the index within the order of that epoch.
	Epoch int `json:"epoch"`
	Index int `json:"index"`
	// Best is the best evaluation so far.
	Best best `json:"best"`
	// Waiting is the state of early stopping. It is also updated in runs without
	// early stopping.
	Waiting waiting `json:"waiting"`
	// WindowLoss and TotalLoss are the sums of the losses of the steps since the last
	// record and since the start of the run.
	WindowLoss  float64 `json:"window_loss"`
	WindowSteps int     `json:"window_steps"`
	TotalLoss   float64 `json:"total_loss"`
	// Schedule is the progress of the method's changes, as the method returned it.
	// Born has, for each parameter that was added during the run, the step after
	// which it was added.
	Schedule json.RawMessage `json:"schedule,omitempty"`
	Born     map[string]int  `json:"born"`
	// Gradients has the sum of absolute gradients since the last record for each
	// parameter of the adapter, and GradientSteps the number of steps in the sums.
	Gradients     []float32 `json:"gradients,omitempty"`
	GradientSteps int       `json:"gradient_steps,omitempty"`
	// Movement is the unfinished check that every parameter changes; nil when it has
	// finished.
	Movement *movementState `json:"motion,omitempty"`
	// Log is the digest of metrics.jsonl up to this step. Checkpoints of an older lor2c
	// do not have it.
	Log *runlog.Digest `json:"log,omitempty"`
}

// best is the best evaluation so far.
type best struct {
	Step  int      `json:"step"` // 0 before the first evaluation
	Epoch float64  `json:"epoch"`
	Score *float64 `json:"score"` // nil before the first evaluation, or if it is NaN
}

// newBest returns the record of an evaluation. JSON has no NaN, so a score that is NaN
// is stored as null.
func newBest(step int, epoch, score float64) best {
	b := best{Step: step, Epoch: epoch}
	if !math.IsNaN(score) {
		b.Score = &score
	}
	return b
}

// value returns the score, or NaN if there is none.
func (b best) value() float64 {
	if b.Score == nil {
		return math.NaN()
	}
	return *b.Score
}

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
