package train

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/place"
)

// fewSteps is roughly the number of optimizer steps that a run on small data
// needs. In the measurements of docs/defaults.md a model had learned nothing
// after 30 steps and most of what it learned after 190.
const fewSteps = 150

// shortness returns a warning if the run has few steps, and one if the run ends before
// the warm-up of the learning rate does.
func (t *timetable) shortness() (warnings []string) {
	if t.steps < fewSteps {
		advice := fmt.Sprintf("raise train.epochs to %d, or lower train.batch_size", (fewSteps+t.perEpoch-1)/t.perEpoch)
		if t.settings.MaxSteps > 0 {
			advice = fmt.Sprintf("raise train.max_steps to %d", fewSteps)
		}
		warnings = append(warnings, fmt.Sprintf("warning: the run has %s, and small data seldom "+
			"learns much in fewer than about %d; %s",
			place.Count(t.steps, "optimizer step", "optimizer steps"), fewSteps, advice))
	}
	if w := t.lr[0].Warmup(); w >= t.steps && t.steps > 1 {
		warnings = append(warnings, fmt.Sprintf("warning: the learning rate rises for %s and the run has %d; "+
			"lower optim.warmup_steps or optim.warmup_ratio", place.Count(w, "step", "steps"), t.steps))
	}
	return warnings
}
