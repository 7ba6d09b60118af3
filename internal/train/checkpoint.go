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
