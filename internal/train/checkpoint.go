package train

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/runlog"
)

// save writes checkpoint-<step> with adapter, head, optimizer and state. The directory
// appears complete or not at all. save then updates the link to the best checkpoint and
// removes old checkpoints.
func (r *run) save() error {
	if err := r.sameParameters(); err != nil || r.follows() {
		return err
	}
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
		if err := saveOptimizer(filepath.Join(tmp, optimizerFile), r.stepper); err != nil {
			return err
		}
		if err := r.identity.Write(tmp); err != nil {
			return err
		}
		if err := checkpoint.WriteJSON(filepath.Join(tmp, stateFile), s); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(tmp, trainerFile), r.trainerState(r.log.Records()), 0o666)
	})
	if err != nil {
		return err
	}
	r.verified[s.Step] = true
	return errors.Join(r.linkBest(), r.prune())
}

// trainerState returns the text of the trainer_state.json that Hugging Face's Trainer
// would write for a log with the given records.
func (r *run) trainerState(log []runlog.Record) []byte {
	t := runlog.State{
		GlobalStep: r.state.Step, Epoch: r.epochs(r.state.Step), MaxSteps: r.steps,
		Epochs: r.allEpochs(), Metric: r.session.Set.Task.Select, Records: log,
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

// stored is a tensor of the optimizer's file.
type stored struct {
	name  string
	value compute.Tensor
}

// optimizerTensors returns the tensors of the optimizer's file: two moments of each parameter, and the state of the
// method.
func optimizerTensors(s *Stepper) (all []stored) {
	for _, p := range s.Opt.Moments() {
		all = append(all, stored{firstMoment + p.Name, p.First}, stored{secondMoment + p.Name, p.Second})
	}
	for _, p := range s.Method.State() {
		all = append(all, stored{methodState + p.Name, p.Exact()})
	}
	return all
}

// saveOptimizer writes the optimizer's file.
func saveOptimizer(path string, s *Stepper) error {
	var tensors []checkpoint.Tensor
	for _, t := range optimizerTensors(s) {
		values := make([]float32, t.value.Shape.Len())
		s.Dev.Download(values, t.value)
		tensors = append(tensors, checkpoint.Tensor{Name: t.name, Shape: t.value.Shape, Data: values})
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
	return restoreOptimizer(filepath.Join(dir, optimizerFile), r.stepper)
}

// restoreOptimizer reads a file that saveOptimizer wrote. It returns an error if a tensor is missing or has another
// shape, or a value that it cannot have.
func restoreOptimizer(path string, s *Stepper) error {
	f, err := checkpoint.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fault := func(format string, a ...any) error {
		return fmt.Errorf("train: resume %s: %w", path, fmt.Errorf(format, a...))
	}
	all := optimizerTensors(s)
	if got := len(f.Names()); got != len(all) {
		return fault("it has %d tensors; want %d, two moments of each parameter and %d of the method",
			got, len(all), len(s.Method.State()))
	}
	for _, t := range all {
		if _, got, ok := f.Info(t.name); !ok || !slices.Equal(got, t.value.Shape) {
			return fault("%s has shape %v; want %v, the shape of the parameter", t.name, got, []int(t.value.Shape))
		}
		values := make([]float32, t.value.Shape.Len())
		if err := f.ReadFinite(values, t.name); err != nil {
			return fault("%w", err)
		}
		if i := slices.IndexFunc(values, func(x float32) bool { return x < 0 }); i >= 0 &&
			strings.HasPrefix(t.name, secondMoment) {
			return fault("element %d of %s is %g; want 0 or more, because it is a mean of squares", i, t.name, values[i])
		}
		s.Dev.Upload(t.value, values)
	}
	return s.Dev.Err()
}
