package metric

import (
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Interval is a range of reals.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// FewestForInterval is the smallest number of observations for which Bootstrap
// returns an interval. With three or fewer, the probability that all draws are
// the smallest observation is above 2.5 %, so that the ends of the interval
// would always be the smallest and the largest observation.
const FewestForInterval = 4

// Bootstrap returns 95 % intervals by the percentile bootstrap (Efron and
// Tibshirani 1993, chapter 13) for one or several statistics of n observations.
// It draws n indices with replacement, resamples times, and calls statistics,
// which returns its values for the observations of those indices. The number of
// values must not change between calls, and statistics must keep neither slice.
// The random numbers depend on n alone, so that equal observations have equal
// intervals. An interval is nil if there are fewer than FewestForInterval
// observations, or if the statistic was undefined for more than a twentieth of
// the draws.
func Bootstrap(n, resamples int, statistics func(drawn []int) []float64) []*Interval {
	random := rand.New(rand.NewPCG(uint64(n), 0))
	drawn := make([]int, n)
	var values [][]float64 // by statistic
	for range resamples {
		for j := range drawn {
			drawn[j] = random.IntN(n)
		}
		for i, v := range statistics(drawn) {
			if i == len(values) {
				values = append(values, nil)
			}
			if Number(v).Defined() {
				values[i] = append(values[i], v)
			}
		}
		if n < FewestForInterval {
			break // one draw shows how many statistics there are
		}
	}
	intervals := make([]*Interval, len(values))
	for i, v := range values {
		if n < FewestForInterval || 20*len(v) < 19*resamples {
			continue
		}
		slices.Sort(v)
		intervals[i] = &Interval{stat.Quantile(0.025, stat.Empirical, v, nil), stat.Quantile(0.975, stat.Empirical, v, nil)}
	}
	return intervals
}
