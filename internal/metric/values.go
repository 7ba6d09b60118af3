package metric

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Pearson is the product-moment correlation (scipy.stats.pearsonr). It is NaN,
// as in scipy, when either side is constant or holds NaN or an infinity, and
// NaN over fewer than two examples, where scipy refuses.
//
// Inputs are expected within the range of float32, where no square overflows.
func Pearson(pred, gold []float64) float64 {
	checkLengths(len(pred), len(gold))
	if len(gold) < 2 || constant(pred) || constant(gold) {
		return math.NaN()
	}
	r := stat.Correlation(pred, gold, nil)
	// Two points always lie on a line; scipy removes the rounding too.
	if len(gold) == 2 {
		return math.Round(r)
	}
	return max(-1, min(1, r))
}

// Spearman is the Pearson correlation of the ranks, ties sharing their average
// rank (scipy.stats.spearmanr). NaN anywhere gives NaN, and so does a constant
// side or fewer than two examples; infinities have ranks like any number.
func Spearman(pred, gold []float64) float64 {
	checkLengths(len(pred), len(gold))
	if slices.ContainsFunc(pred, math.IsNaN) || slices.ContainsFunc(gold, math.IsNaN) {
		return math.NaN()
	}
	return Pearson(ranks(pred), ranks(gold))
}

// ranks gives each value its 1-based rank in ascending order, equal values the
// mean of the ranks they span.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case x[i] < x[j]:
			return -1
		case x[i] > x[j]:
			return 1
		}
		return 0
	})
	r := make([]float64, len(x))
	for lo := 0; lo < len(order); {
		hi := lo + 1
		for hi < len(order) && x[order[hi]] == x[order[lo]] {
			hi++
		}
		for _, i := range order[lo:hi] {
			r[i] = float64(lo+1+hi) / 2
		}
		lo = hi
	}
	return r
}

func constant(x []float64) bool {
	return !slices.ContainsFunc(x, func(v float64) bool { return v != x[0] })
}
