package evaluate

import (
	"context"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/team"
)

// Plan plans the memory on a device for the longest of all questions, before the model is loaded. It returns an error
// that wraps compute.ErrOutOfMemory if that question does not fit, and generate.ErrInterrupted when ctx ends. An
// evaluation that continues has the plan of one that was not interrupted.
func (e *Evaluation) Plan(ctx context.Context, texts *generate.Texts, dev compute.Device) (generate.Plan, error) {
	longest, err := e.longest(ctx)
	if err != nil {
		return generate.Plan{}, err
	}
	if longest.query.Context != nil {
		return texts.PlanScore(dev, longest.query)
	}
	return texts.Plan(dev, min(e.Batch, len(e.questions)*e.samples), longest.length())
}

// length returns the most tokens of a question with its answer.
func (a asked) length() int {
	return max(a.query.Tokens(), len(a.request.IDs)+a.request.MaxNew)
}

// longest returns the question with the most tokens. All cores encode questions.
func (e *Evaluation) longest(ctx context.Context) (asked, error) {
	lengths, faults := make([]int, len(e.questions)), make([]error, len(e.questions))
	err := team.Each(ctx, len(e.questions), 1, func(i int) {
		a, err := e.questions[i].ask()
		lengths[i], faults[i] = a.length(), err
	})
	if err != nil {
		return asked{}, fmt.Errorf("evaluate: %w while questions were encoded", generate.ErrInterrupted)
	}
	for _, err := range faults {
		if err != nil {
			return asked{}, err
		}
	}
	return e.questions[slices.Index(lengths, slices.Max(lengths))].ask()
}
