package sweep

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %v, want %v within %v", what, got, want, tolerance)
	}
}

func TestSpread(t *testing.T) {
	// Deviations -3, -1, 1, 3 of 5: squares sum to 20, over n - 1 = 3.
	s := NewSpread([]float64{2, 8, 4, 6})
	near(t, "mean", float64(s.Mean), 5, 0)
	near(t, "sd", *s.SD, math.Sqrt(20.0/3), 1e-15)
	if s.N != 4 || s.Min != 2 || s.Max != 8 {
		t.Errorf("got %+v", s)
	}
	if s := NewSpread([]float64{0.5}); s.SD != nil || s.Interval != nil || s.Mean != 0.5 {
		t.Errorf("one run: %+v; want no spread", s)
	}
	// The bootstrap of two or three runs is no more than min and max.
	if s := NewSpread([]float64{1, 2, 3}); s.SD == nil || s.Interval != nil {
		t.Errorf("three runs: %+v; want a deviation and no interval", s)
	}
}

// TestSpreadUndefined: an undefined score is counted and otherwise left out.
func TestSpreadUndefined(t *testing.T) {
	nan := math.NaN()
	s := NewSpread([]float64{nan, 2, nan, 4})
	if s.N != 2 || s.Undefined != 2 || s.Mean != 3 || s.Min != 2 || s.Max != 4 {
		t.Errorf("got %+v", s)
	}
	none := NewSpread([]float64{nan})
	raw, err := json.Marshal(none)
	if want := `{"n":0,"undefined":1,"mean":null,"sd":null,"min":null,"max":null,"interval_95":null}`; err != nil ||
		string(raw) != want {
		t.Errorf("got %s, %v; want %s", raw, err, want)
	}
}

// TestBootstrapExact compares with the distribution of the resampled mean, from
// all n^n resamples.
func TestBootstrapExact(t *testing.T) {
	for name, scores := range map[string][]float64{
		"4": {0, 0, 0, 3},
		"5": {0.61, 0.7, 0.64, 0.68, 0.69},
	} {
		t.Run("n="+name, func(t *testing.T) {
			n := len(scores)
			total := int(math.Pow(float64(n), float64(n)))
			means := make([]float64, total)
			for i := range means {
				sum := 0.0
				for k, rest := 0, i; k < n; k++ {
					sum += scores[rest%n]
					rest /= n
				}
				means[i] = sum / float64(n)
			}
			slices.Sort(means)
			low, high := means[int(math.Ceil(0.025*float64(total)))-1], means[int(math.Ceil(0.975*float64(total)))-1]
			got := NewSpread(scores).Interval
			near(t, "low", got.Low, low, 0.0021)
			near(t, "high", got.High, high, 0.0021)
			slices.Reverse(scores)
			if again := NewSpread(scores).Interval; *again != *got {
				t.Errorf("the other way round: %v, then %v", *got, *again)
			}
		})
	}
}

// TestBootstrapNormal compares with mean +- 1.96 sd/sqrt(n), the limit for many
// runs.
func TestBootstrapNormal(t *testing.T) {
	const n = 400
	scores := make([]float64, n)
	for i := range scores {
		scores[i] = distuv.Normal{Mu: 3, Sigma: 2}.Quantile((float64(i) + 0.5) / n)
	}
	s := NewSpread(scores)
	width := 1.96 * *s.SD / math.Sqrt(n)
	near(t, "low", s.Interval.Low, 3-width, 0.01)
	near(t, "high", s.Interval.High, 3+width, 0.01)
}
