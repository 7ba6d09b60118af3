package train

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
)

// NonFiniteError names the first tensor with a value that is not finite in a
// training step or an evaluation. The step did not change the parameters.
type NonFiniteError struct {
	Step      int      // the training step; 0 in an evaluation
	Evaluated string   // the file that was evaluated; "" in training
	Tensor    string   // for example "the gradient of classifier.dense.weight"
	Examples  []string // file:line of the examples whose rows are not finite
}

// Error names the step or the evaluated file, the tensor and the examples, and
// suggests what to try.
func (e *NonFiniteError) Error() string {
	if e.Evaluated != "" {
		return fmt.Sprintf("train: evaluate %s: %s is not finite, at example %s; "+
			"look at this example and at the weights of the base model and of the adapter",
			e.Evaluated, e.Tensor, strings.Join(e.Examples, ", "))
	}
	advice := "try a lower optim.lr, or look at these examples"
	if e.Step == 1 {
		// No learning rate has been applied yet.
		advice = "look at these examples, at the weights of the base model and at method.alpha"
	}
	return fmt.Sprintf("train: step %d: %s is not finite, at examples %s; %s", e.Step, e.Tensor,
		strings.Join(e.Examples, ", "), advice)
}

// MarshalText returns the text of the error, which stands for it in JSON.
func (e *NonFiniteError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// diagnose repeats the step that halted the run, checks the output of each op, and
// returns an error that names the first tensor that is not finite. where names the
// examples of the step. The repeated step fails in the same way, because no
// parameter has changed since and the dropout masks are functions of seed and step.
func (s *Stepper) diagnose(step int, micro []model.Batch, where []string) error {
	found := &NonFiniteError{Step: step}
	part, at := -1, 0
	watch := func(op, name string, y compute.Tensor) {
		if op == "embed" { // "embed" is the first op of each micro-batch
			if part >= 0 {
				at += micro[part].Len()
			}
			part++
		}
		if found.Tensor != "" {
			return
		}
		if row := badRow(s.Dev, y); row >= 0 {
			b := micro[part]
			found.Tensor = strings.TrimSpace("the output of " + op + " " + name)
			found.Examples = []string{where[at+exampleOf(b, row, y.Shape.Rows())]}
		}
	}
	err := guard(func() error { return s.gradient(step, micro, watch) })
	if err != nil || found.Tensor != "" {
		return cmp.Or(err, error(found))
	}
	found.Tensor, found.Examples = "the loss", where
	for _, p := range slices.Backward(s.Opt.Params()) {
		if badRow(s.Dev, p.Grad) >= 0 {
			found.Tensor = "the gradient of " + p.Name
		}
	}
	return found
}

// diagnoseEvaluation repeats the forward pass of a batch whose outputs are not all
// finite, and returns an error that names the first tensor that is not finite.
// where names the examples of the batch.
func (s *Stepper) diagnoseEvaluation(b model.Batch, file string, where []string) error {
	found := &NonFiniteError{Evaluated: file}
	for _, p := range slices.Concat(s.Method.Params(), s.Model.Head()) {
		if badRow(s.Dev, p.Exact()) >= 0 {
			found.Tensor, found.Examples = "the parameter "+p.Name+" itself", where[:1]
			return found
		}
	}
	_, err := s.results(b, func(op, name string, y compute.Tensor) {
		if found.Tensor != "" {
			return
		}
		if row := badRow(s.Dev, y); row >= 0 {
			found.Tensor = strings.TrimSpace("the output of " + op + " " + name)
			found.Examples = []string{where[exampleOf(b, row, y.Shape.Rows())]}
		}
	})
	if err == nil && found.Tensor == "" {
		found.Tensor, found.Examples = "an output of the model", where
	}
	return cmp.Or(err, error(found))
}

// badRow returns the index of the first row of x that has a value that is not
// finite, or -1.
func badRow(dev compute.Device, x compute.Tensor) int {
	v := make([]float32, x.Shape.Len())
	dev.Download(v, x)
	i := slices.IndexFunc(v, notFinite)
	if i < 0 {
		return -1
	}
	return i / x.Shape.Cols()
}

// notFinite reports whether v is NaN or infinite.
func notFinite(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }

// exampleOf returns the index of the example of b that a row of an activation
// belongs to. An activation has one row per token, or one row for each row that is
// read once only these are needed.
func exampleOf(b model.Batch, row, rows int) int {
	if rows == b.Len() && b.Read == nil {
		return row
	}
	if b.Read != nil && rows == len(b.Read) && rows < len(b.IDs) {
		row = int(b.Read[row])
	}
	i, _ := slices.BinarySearch(b.Cu, int32(row)+1)
	return i - 1
}
