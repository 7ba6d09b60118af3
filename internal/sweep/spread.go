package sweep

import (
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Spread describes the scores of one configuration over its seeds.
type Spread struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	// SD is the sample standard deviation, with n - 1; nil for one run.
	SD  *float64 `json:"sd"`
	Min float64  `json:"min"`
	Max float64  `json:"max"`
	// Interval holds the mean with 95 % by the percentile bootstrap (Efron and
	// Tibshirani 1993, chapter 13); nil for one run. With few runs it is too
	// short: it knows no score outside of those seen.
	Interval *Interval `json:"interval_95"`
}

// Interval is a range of reals.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// resamples is how often the bootstrap draws anew. The error of a bound is then
// far below the last digit shown.
const resamples = 20000

// NewSpread describes at least one score. Equal scores give equal intervals, in
// whatever order they come.
func NewSpread(scores []float64) Spread {
	s := Spread{N: len(scores), Mean: stat.Mean(scores, nil), Min: slices.Min(scores), Max: slices.Max(scores)}
	if s.N == 1 {
		return s
	}
	sd := stat.StdDev(scores, nil)
	s.SD = &sd
	sorted := slices.Sorted(slices.Values(scores))
	random := rand.New(rand.NewPCG(uint64(s.N), 0))
	means, drawn := make([]float64, resamples), make([]float64, s.N)
	for i := range means {
		for j := range drawn {
			drawn[j] = sorted[random.IntN(s.N)]
		}
		means[i] = stat.Mean(drawn, nil)
	}
	slices.Sort(means)
	s.Interval = &Interval{stat.Quantile(0.025, stat.Empirical, means, nil), stat.Quantile(0.975, stat.Empirical, means, nil)}
	return s
}
