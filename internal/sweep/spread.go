package sweep

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/lor2c/lor2c/internal/metric"
)

// Spread describes the scores of one configuration over its seeds.
type Spread struct {
	N int `json:"n"` // runs whose score is defined; the fields below are about these
	// Undefined counts the runs whose score is undefined, as Pearson's correlation
	// of constant predictions is.
	Undefined int           `json:"undefined,omitempty"`
	Mean      metric.Number `json:"mean"` // undefined if N is 0, as are Min and Max
	// SD is the sample standard deviation, with n - 1; nil for fewer than two runs.
	SD  *float64      `json:"sd"`
	Min metric.Number `json:"min"`
	Max metric.Number `json:"max"`
	// Interval is the 95 % interval of the mean by metric.Bootstrap. It is nil
	// for fewer runs than metric.FewestForInterval. For few runs it is too
	// short, because it contains no score outside the range of those seen.
	Interval *metric.Interval `json:"interval_95"`
}

// resamples is the number of bootstrap draws. With 20000 draws the error of a
// bound is far below the last digit shown.
const resamples = 20000

// NewSpread returns the spread of scores, some of which may be undefined. It
// does not depend on the order of the scores.
func NewSpread(scores []float64) Spread {
	sorted := slices.DeleteFunc(slices.Sorted(slices.Values(scores)),
		func(v float64) bool { return !metric.Number(v).Defined() })
	nan := metric.Number(math.NaN())
	s := Spread{N: len(sorted), Undefined: len(scores) - len(sorted), Mean: nan, Min: nan, Max: nan}
	if s.N == 0 {
		return s
	}
	s.Mean, s.Min, s.Max = metric.Number(stat.Mean(sorted, nil)), metric.Number(sorted[0]), metric.Number(sorted[s.N-1])
	if s.N == 1 {
		return s
	}
	sd := stat.StdDev(sorted, nil)
	s.SD = &sd
	values := make([]float64, s.N)
	s.Interval = metric.Bootstrap(s.N, resamples, func(drawn []int) []float64 {
		for i, j := range drawn {
			values[i] = sorted[j]
		}
		return []float64{stat.Mean(values, nil)}
	})[0]
	return s
}
