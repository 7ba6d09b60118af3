package train

import (
	"math"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/metric"
)

// waiting is the state of early stopping: the last score that was an improvement, and
// the number of evaluations since.
type waiting struct {
	Score       *float64 `json:"score"` // nil before the first evaluation
	Evaluations int      `json:"evaluations"`
}

// add adds an evaluation. Its score is an improvement if it is more than delta above
// the last improvement.
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

// over reports whether early stopping ends a run after these evaluations.
func (w waiting) over(t config.Train) bool {
	return t.EarlyStopping > 0 && w.Evaluations >= t.EarlyStopping
}
