package metric

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Difference is a paired comparison of two evaluations of the same items.
type Difference struct {
	Value    Number    `json:"difference"`
	Interval *Interval `json:"interval_95"` // nil for fewer than FewestForInterval items
	// P is the two-sided probability of a difference at least as large if there were none: twice the share of draws on
	// the other side of 0.
	P Number `json:"p"`
	N int    `json:"n"`
}

// Paired returns the difference of a statistic between two evaluations of the same items, with its interval by the
// paired percentile bootstrap (Efron and Tibshirani 1993, chapter 13; Koehn 2004). Items are drawn with replacement,
// resamples times, together with what both evaluations have for them. They are drawn within strata, which are the
// numbers of items that follow one another. difference returns the statistic of the second evaluation minus that of the
// first for the items with the given indices, which it must not keep. The random numbers depend only on the number of
// items. The interval is nil and P undefined for fewer than FewestForInterval items, or if the difference was undefined
// for more than a twentieth of the draws.
func Paired(strata []int, resamples int, difference func(drawn []int) float64) Difference {
	n := 0
	for _, items := range strata {
		n += items
	}
	drawn := make([]int, n)
	for i := range drawn {
		drawn[i] = i
	}
	d := Difference{Value: Number(difference(drawn)), P: Number(math.NaN()), N: n}
	if n < FewestForInterval {
		return d
	}
	random := rand.New(rand.NewPCG(uint64(n), 1))
	draws := make([]float64, 0, resamples)
	below, above := 0, 0
	for range resamples {
		first := 0
		for _, items := range strata {
			for i := range items {
				drawn[first+i] = first + random.IntN(items)
			}
			first += items
		}
		v := difference(drawn)
		if !Number(v).Defined() {
			continue
		}
		draws = append(draws, v)
		if v <= 0 {
			below++
		}
		if v >= 0 {
			above++
		}
	}
	kept := len(draws)
	if 20*kept < 19*resamples {
		return d
	}
	slices.Sort(draws)
	d.Interval = &Interval{Low: draws[kept/40], High: draws[kept-1-kept/40]}
	d.P = Number(min(1, 2*float64(min(below, above))/float64(kept)))
	return d
}

// PairedScores returns the difference of each metric between two evaluations of the same examples: predictions, b minus
// those of a, which are class indices or, with one class, values. It returns an error for metrics that do not apply to
// the number of classes.
func PairedScores(names []string, classes int, a, b, gold []float32) (map[string]Difference, error) {
	first, err := NewAccumulator(names, classes)
	if err != nil {
		return nil, err
	}
	second, _ := NewAccumulator(names, classes)
	drawnFirst, _ := NewAccumulator(names, classes)
	drawnSecond, _ := NewAccumulator(names, classes)
	for _, side := range []struct {
		to   *Accumulator
		pred []float32
	}{{first, a}, {second, b}} {
		checkLengths(len(side.pred), len(gold))
		for i, p := range side.pred {
			side.to.addPredicted(p, gold[i])
		}
	}
	all := map[string]Difference{}
	for i, name := range names {
		all[name] = Paired([]int{len(gold)}, resamples, func(drawn []int) float64 {
			return drawnSecond.scoreOf(i, second, drawn) - drawnFirst.scoreOf(i, first, drawn)
		})
	}
	return all, nil
}

// PairedSets returns the difference of each metric of b between two multi-label evaluations of the same examples: b
// minus a. It panics with a LengthError if the numbers of examples differ.
func PairedSets(a, b *SetAccumulator) map[string]Difference {
	checkLengths(len(a.marks), len(b.marks))
	var first, second SetCounts
	all := map[string]Difference{}
	for _, m := range b.metrics {
		all[m.Name] = Paired([]int{len(b.marks)}, resamples, func(drawn []int) float64 {
			a.counts(&first, drawn)
			b.counts(&second, drawn)
			return m.Sets(&second) - m.Sets(&first)
		})
	}
	return all
}

// PairedTags returns the difference of each metric of b between two evaluations of the same tagged sentences: b minus
// a. It panics with a LengthError if the numbers of sentences differ.
func PairedTags(a, b *TagAccumulator) map[string]Difference {
	checkLengths(len(a.sentences), len(b.sentences))
	all := map[string]Difference{}
	for _, m := range b.metrics {
		all[m.Name] = Paired([]int{len(b.sentences)}, resamples, func(drawn []int) float64 {
			return m.Tags(b.counts(drawn)) - m.Tags(a.counts(drawn))
		})
	}
	return all
}

// addPredicted adds an example with its predicted class or value.
func (a *Accumulator) addPredicted(pred, gold float32) {
	if a.classes == 1 {
		a.predValue, a.goldValue = append(a.predValue, float64(pred)), append(a.goldValue, float64(gold))
		return
	}
	a.predClass, a.goldClass = append(a.predClass, int(pred)), append(a.goldClass, int(gold))
}

// scoreOf returns the score of metric number i over examples of another accumulator, which it copies into a.
func (a *Accumulator) scoreOf(i int, from *Accumulator, drawn []int) float64 {
	a.predClass, a.goldClass, a.predValue, a.goldValue = a.predClass[:0], a.goldClass[:0], a.predValue[:0], a.goldValue[:0]
	for _, j := range drawn {
		if a.classes == 1 {
			a.predValue, a.goldValue = append(a.predValue, from.predValue[j]), append(a.goldValue, from.goldValue[j])
		} else {
			a.predClass, a.goldClass = append(a.predClass, from.predClass[j]), append(a.goldClass, from.goldClass[j])
		}
	}
	return a.metrics[i].score(a.predClass, a.goldClass, a.predValue, a.goldValue)
}
