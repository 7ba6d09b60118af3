package report

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/schedule"
)

// Scores is the score of every module at one time, before any event of its step.
type Scores struct {
	Step    int           `json:"step"`
	Epoch   float64       `json:"epoch"`
	Modules []ModuleScore `json:"modules"`
}

// ModuleScore is a module and its score.
type ModuleScore struct {
	schedule.Span
	Score number `json:"score"`
}

// paperK is the k of SFS if no schedule sets one. arXiv:2503.00572 gives no
// value; the first scripts of its authors had 2.
const paperK = 2

// scoring returns the score of the run and its name.
func (r *Run) scoring() (score func([]float64) float64, name string) {
	k := paperK
	if r.Plan != nil && r.Plan.SFSK > 0 {
		k = r.Plan.SFSK
	}
	if r.Plan != nil && r.Plan.Score == "nuclear" {
		return schedule.Nuclear, "nuclear norm"
	}
	return func(s []float64) float64 { return schedule.SFS(s, k) }, fmt.Sprintf("SFS (k = %d)", k)
}

// measure computes the scores of the first spectrum of every step.
func (r *Run) measure() {
	score, _ := r.scoring()
	for i, s := range r.spectra {
		if i > 0 && s.Step == r.spectra[i-1].Step {
			continue
		}
		at := Scores{Step: s.Step, Epoch: s.Epoch}
		for _, m := range s.Modules {
			at.Modules = append(at.Modules, ModuleScore{m.Span, number(score(m.Singular))})
		}
		r.Scores = append(r.Scores, at)
	}
}
