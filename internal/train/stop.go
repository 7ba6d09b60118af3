package train

import (
	"math"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/metric"
)

// waiting is what early stopping remembers of the evaluations so far.
type waiting struct {
	Score       *float64 `json:"score"`       // the last that was better; nil: none yet
	Evaluations int      `json:"evaluations"` // since then
}

// add counts an evaluation. Its score is better where it is above the last
// better one by more than delta.
func (w *waiting) add(score, delta float64) {
	last := math.NaN()
	if w.Score != nil {
		last = *w.Score
	}
	if metric.Better(score, last+delta) {
		*w = waiting{Score: &score}
		return
	}
	w.Evaluations++
}

// over reports whether a run ends after these evaluations.
func (w waiting) over(t config.Train) bool {
	return t.EarlyStopping > 0 && w.Evaluations >= t.EarlyStopping
}
