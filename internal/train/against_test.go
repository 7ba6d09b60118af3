package train

import (
	"math"
	"testing"

	"github.com/lor2c/lor2c/internal/metric"
)

// TestAgainstWeighs: the difference of the losses of two evaluations is that of the losses that they report, also where
// the examples have different numbers of tokens.
func TestAgainstWeighs(t *testing.T) {
	tokens := []float64{1, 100, 2, 3, 50, 1, 7, 20, 5, 0}
	evaluation := func(loss func(i int) float64) *SplitEvaluation {
		var l losses
		for i, n := range tokens {
			l.add(loss(i), n)
		}
		return &SplitEvaluation{Evaluation: Evaluation{Loss: l.sum / l.weights, Losses: l.each, Weights: l.weight,
			Scores: metric.Scores{}}}
	}
	a := evaluation(func(i int) float64 { return float64(i) })
	b := evaluation(func(i int) float64 { return 2 + 10/(1+float64(i)) })
	all, err := b.Against(a)
	if err != nil {
		t.Fatal(err)
	}
	d := all["loss"]
	if got, want := float64(d.Value), b.Loss-a.Loss; math.Abs(got-want) > 1e-12 {
		t.Errorf("difference %v; the reported losses differ by %v", got, want)
	}
	if i := d.Interval; i != nil && (i.Low > float64(d.Value) || i.High < float64(d.Value)) {
		t.Errorf("interval %+v without %v", i, d.Value)
	}
}
