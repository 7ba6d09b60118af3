package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/runlog"
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

// save writes checkpoint-<step> with adapter, head, optimizer and state. The directory
// appears complete or not at all. save then updates the link to the best checkpoint and
// removes old checkpoints.
func (r *run) save() error {
	if err := errors.Join(r.dir.check(), r.log.Sync()); err != nil {
		return err
	}
	r.state.Schedule = r.stepper.Method.Progress()
	r.state.Born, r.state.Movement = r.stepper.Opt.FirstSteps(), r.movement.state()
	if r.gradients != nil {
		sums, err := r.gradients.read()
		if err != nil {
			return err
		}
		r.state.Gradients, r.state.GradientSteps = sums, r.gradients.steps
	}
	log := r.log.Digest()
	r.state.Log = &log
	s := r.state
	err := checkpoint.WriteDir(checkpointAt(r.out, s.Step), func(tmp string) error {
		if err := adapter.Save(tmp, r.dev, r.description, r.stepper.Method, r.stepper.Model.Head()); err != nil {
			return err
		}
		if err := saveMoments(filepath.Join(tmp, optimizerFile), r.stepper); err != nil {
			return err
		}
		if err := r.identity.Write(tmp); err != nil {
			return err
		}
		if err := checkpoint.WriteJSON(filepath.Join(tmp, stateFile), s); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(tmp, trainerFile), r.trainerState(), 0o666)
	})
	if err != nil {
		return err
	}
	r.verified[s.Step] = true
	return errors.Join(r.linkBest(), r.prune())
}

// trainerState returns the text of the trainer_state.json that Hugging Face's Trainer
// would write.
func (r *run) trainerState() []byte {
	t := runlog.State{
		GlobalStep: r.state.Step, Epoch: r.epochs(r.state.Step), MaxSteps: r.steps,
		Epochs: r.allEpochs(), Metric: r.session.Set.Task.Select, Records: r.records,
	}
	if r.state.Best.Step > 0 {
		t.BestCheckpoint = checkpointPrefix + strconv.Itoa(r.state.Best.Step)
	}
	return runlog.TrainerState(t)
}

// These are the prefixes of the names of AdamW's moments; exp_avg and
// exp_avg_sq are PyTorch's names. The rest of each name is that of the
// parameter.
const (
	firstMoment  = "exp_avg."
	secondMoment = "exp_avg_sq."
	// methodState is the prefix of the method's State, which it needs besides its
	// parameters while it is trained.
	methodState = "state."
)

// saveMoments writes AdamW's moments and the state of the method to a safetensors file.
func saveMoments(path string, s *Stepper) error {
	var tensors []checkpoint.Tensor
	for _, p := range s.Opt.Moments() {
		for _, t := range []struct {
			kind  string
			value compute.Tensor
		}{{firstMoment, p.First}, {secondMoment, p.Second}} {
			values := make([]float32, t.value.Shape.Len())
			s.Dev.Download(values, t.value)
			tensors = append(tensors, checkpoint.Tensor{Name: t.kind + p.Name, Shape: t.value.Shape, Data: values})
		}
	}
	for _, p := range s.Method.State() {
		tensors = append(tensors, checkpoint.Tensor{Name: methodState + p.Name, Shape: p.Value.Shape, Data: p.Values(s.Dev)})
	}
	if err := s.Dev.Err(); err != nil {
		return err
	}
	var file bytes.Buffer
	if err := checkpoint.Write(&file, map[string]string{"format": "pt"}, tensors); err != nil {
		return err
	}
	return os.WriteFile(path, file.Bytes(), 0o666)
}

// restoreMoments reads a file that saveMoments wrote. It returns an error if a moment is
// missing or has another shape, or a value that a moment cannot have.
func restoreMoments(path string, s *Stepper) error {
	f, err := checkpoint.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	kept := s.Method.State()
	if got, want := len(f.Names()), 2*len(s.Opt.Params())+len(kept); got != want {
		return fmt.Errorf("train: resume %s: it has %d tensors; want %d, two moments of each parameter and %d of the method",
			path, got, want, len(kept))
	}
	for _, p := range kept {
		values := make([]float32, p.Value.Shape.Len())
		if err := readMoment(f, methodState+p.Name, p.Value.Shape, values); err != nil {
			return fmt.Errorf("train: resume %s: %w", path, err)
		}
		s.Dev.Upload(p.Value, values)
	}
	for _, p := range s.Opt.Moments() {
		values := make([]float32, p.Value.Shape.Len())
		if err := readMoment(f, firstMoment+p.Name, p.Value.Shape, values); err != nil {
			return fmt.Errorf("train: resume %s: %w", path, err)
		}
		s.Dev.Upload(p.First, values)
		if err := readMoment(f, secondMoment+p.Name, p.Value.Shape, values); err != nil {
			return fmt.Errorf("train: resume %s: %w", path, err)
		}
		if i := slices.IndexFunc(values, func(x float32) bool { return x < 0 }); i >= 0 {
			return fmt.Errorf("train: resume %s: element %d of %s is %g; want 0 or more, because it is a mean of squares",
				path, i, secondMoment+p.Name, values[i])
		}
		s.Dev.Upload(p.Second, values)
	}
	return s.Dev.Err()
}

// readMoment reads a moment into values. It returns an error if the moment does not
// have the given shape or a value is not finite.
func readMoment(f *checkpoint.File, name string, shape compute.Shape, values []float32) error {
	if _, got, ok := f.Info(name); !ok || !slices.Equal(got, shape) {
		return fmt.Errorf("%s has shape %v; want %v, the shape of the parameter", name, got, []int(shape))
	}
	return f.ReadFinite(values, name)
}

// stateFormat is the version of the format of state.json.
const stateFormat = 1
