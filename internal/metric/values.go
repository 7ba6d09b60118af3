package metric

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Pearson returns the product-moment correlation (scipy.stats.pearsonr). It is
// NaN, as in scipy, when either side is constant or contains NaN or an
// infinity, and also NaN over fewer than two examples, for which scipy raises
// an error.
//
// Inputs are expected within the range of float32, where no square overflows.
func Pearson(pred, gold []float64) float64 {
	checkLengths(len(pred), len(gold))
	if len(gold) < 2 || constant(pred) || constant(gold) {
		return math.NaN()
	}
	r := stat.Correlation(pred, gold, nil)
	// Two points always lie on a line, so the result is exactly 1 or -1; scipy
	// also removes the rounding.
	if len(gold) == 2 {
		return math.Round(r)
	}
	return max(-1, min(1, r))
}

// Spearman returns the Pearson correlation of the ranks, where tied values
// share their average rank (scipy.stats.spearmanr). It is NaN if any value is
// NaN, if either side is constant, and over fewer than two examples. Infinities
// are ranked like any other number.
func Spearman(pred, gold []float64) float64 {
	checkLengths(len(pred), len(gold))
	if slices.ContainsFunc(pred, math.IsNaN) || slices.ContainsFunc(gold, math.IsNaN) {
		return math.NaN()
	}
	return Pearson(ranks(pred), ranks(gold))
}

// ranks returns the 1-based rank of each value in ascending order. Equal values
// all get the mean of their ranks.
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
