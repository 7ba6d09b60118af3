package adapter

import (
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/schedule"
)

// Start prints the actions that the schedule plans, and logs the plan at the
// start of a run.
func (m *LoR2C) Start(run Run, fresh bool) error {
	if m.Schedule == nil || !m.config.Active() {
		return nil
	}
	plan := schedule.Plan{
		Layers: m.run.Layers, Rank: m.run.Rank, Parameters: Count(m.Params()), Merges: []schedule.Time{},
		Injects:   []schedule.Time{},
		MaxMerges: m.config.MaxMerges, MaxInjects: m.config.MaxInjects, Score: m.config.Score, SFSK: m.config.SFSK,
	}
	var merges, injects []string
	for _, d := range m.Plan() {
		due, epoch := schedule.Time{Step: d.Step, Epoch: d.Epoch}, fmt.Sprintf("%.4g", d.Epoch)
		if d.Merge {
			plan.Merges, merges = append(plan.Merges, due), append(merges, epoch)
		}
		if d.Inject {
			plan.Injects, injects = append(plan.Injects, due), append(injects, epoch)
		}
	}
	list := func(epochs []string) string {
		if epochs == nil {
			return "none"
		}
		return fmt.Sprintf("%d (after epoch %s)", len(epochs), strings.Join(epochs, ", "))
	}
	run.Printf("schedule: merges, at most %s; injections, at most %s", list(merges), list(injects))
	if short := m.Shortfall(); short != nil {
		run.Printf("schedule: merges may leave no module for %s, because an injection replaces a module that was never "+
			"merged; lower schedule.max_merges, which is %d, to have enough modules with these %d layers",
			numbered("injection", short), m.config.MaxMerges, plan.Layers)
	}
	if !fresh {
		return nil
	}
	return run.Log(plan)
}

// numbered returns a noun with its numbers, such as "injection 1" or
// "injections 1, 2".
func numbered(noun string, numbers []int) string {
	text := strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", ", ")
	if len(numbers) == 1 {
		return noun + " " + text
	}
	return noun + "s " + text
}

// Finish logs how many actions of the schedule were carried out, and the reason
// if some were not.
func (m *LoR2C) Finish(run Run) {
	if m.Schedule == nil || !m.config.Active() {
		return
	}
	text := fmt.Sprintf("schedule: %d of %d merges and %d of %d injections were carried out",
		m.state.Merges, m.config.MaxMerges, m.state.Injects, m.config.MaxInjects)
	if m.state.Merges < m.config.MaxMerges {
		text += "; a merge found no candidate: " + m.config.WhyNone(schedule.Merge)
	}
	if m.state.Injects < m.config.MaxInjects {
		text += "; an injection found no candidate: " + m.config.WhyNone(schedule.Inject)
	}
	run.Printf("%s", text)
}
