package report

import (
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/figure"
	"github.com/lor2c/lor2c/internal/schedule"
)

// legend is the part of a caption that explains the diagrams.
const legend = "Layers count from 0 and run from the bottom upwards; a box beside them is a LoR2C module with the " +
	"layers that it bridges, \"LoRA\" a layer whose module was replaced. "

// stages returns a figure of the structure at the start and after every step
// with events.
func (r *Run) stages() *figure.Figure {
	if len(r.Events) == 0 || r.layers == 0 {
		return nil
	}
	s := figure.Stages{Name: "structure", Title: "Structure over the run", Caption: legend + r.source(), Layers: r.layers,
		Stages: []figure.Stage{{Heading: "start", Boxes: boxes(r.Events[0].Before),
			Below: scalars(r.Events[0].ParametersBefore)}}}
	for i, e := range r.Events {
		if i+1 < len(r.Events) && r.Events[i+1].Step == e.Step {
			continue
		}
		stage := figure.Stage{Heading: "epoch " + epoch(e.Epoch), Boxes: boxes(e.After), Injected: e.After.Injected,
			Below: scalars(e.ParametersAfter)}
		for _, same := range r.Events[:i+1] {
			if same.Step != e.Step {
				continue
			}
			mark(&stage, same)
		}
		s.Stages = append(s.Stages, stage)
	}
	f := figure.Structure(s)
	return &f
}

// beforeAfter returns a figure of one event: the structure before it, with the
// scores, and after it.
func (r *Run) beforeAfter(e Event) figure.Figure {
	before := figure.Stage{Heading: "before", Boxes: boxes(e.Before), Injected: e.Before.Injected,
		Below: scalars(e.ParametersBefore)}
	scores := map[schedule.Span]number{}
	for _, c := range e.Candidates {
		for i, m := range c.Members {
			if i < len(c.Scores) {
				scores[m] = c.Scores[i]
			}
		}
	}
	for i, b := range before.Boxes {
		span := schedule.Span{First: b.First, Last: b.Last}
		if v, ok := scores[span]; ok {
			before.Boxes[i].Side = fixed(float64(v), 3)
		}
		for _, c := range e.Candidates {
			if c.Winner && slices.Contains(c.Members, span) {
				before.Boxes[i].Mark = e.Action
			}
		}
	}
	after := figure.Stage{Heading: "after", Boxes: boxes(e.After), Injected: e.After.Injected,
		Below: scalars(e.ParametersAfter)}
	mark(&after, e)
	return figure.Structure(figure.Stages{
		Name: fmt.Sprintf("event-%02d", e.Number), Title: fmt.Sprintf("Event %d: %s %s", e.Number, e.Action,
			spanName(e.Span)), Layers: r.layers, Side: true,
		Caption: upper(e.what()) + fmt.Sprintf(", after epoch %s. Scores are written beside the modules. ",
			epoch(e.Epoch)) + legend + r.source(),
		Stages: []figure.Stage{before, after},
	})
}

// mark highlights the module or the layers that an event changed.
func mark(stage *figure.Stage, e Event) {
	if e.Action == "inject" {
		stage.Mark = append(stage.Mark, e.First)
		return
	}
	for i, b := range stage.Boxes {
		if b.First == e.First && b.Last == e.Last {
			stage.Boxes[i].Mark = "merge"
		}
	}
}

func boxes(s schedule.Structure) (all []figure.Box) {
	for _, m := range s.Modules {
		all = append(all, figure.Box{First: m.First, Last: m.Last})
	}
	return all
}

func scalars(n int) string { return figure.Thousands(n) + " scalars" }

// what returns a short description of the event.
func (e Event) what() string {
	if e.Action == "inject" {
		return fmt.Sprintf("LoRA in place of the module of layer %d", e.First)
	}
	return fmt.Sprintf("layers %s merged, keeping the factors of the module at layer %d", spanName(e.Span), e.Keep)
}
