package metric

import (
	"math"
	"slices"
)

// Accuracy returns the share of examples whose predicted class is the gold
// class (sklearn.metrics.accuracy_score).
func Accuracy(pred, gold []int) float64 {
	checkLengths(len(pred), len(gold))
	if len(gold) == 0 {
		return math.NaN()
	}
	right := 0
	for i := range gold {
		if pred[i] == gold[i] {
			right++
		}
	}
	return float64(right) / float64(len(gold))
}

// F1 returns the harmonic mean of precision and recall of class 1,
// 2tp/(2tp+fp+fn), or 0 if class 1 occurs in neither slice
// (sklearn.metrics.f1_score with pos_label=1, zero_division=0).
func F1(pred, gold []int) float64 {
	checkLengths(len(pred), len(gold))
	if len(gold) == 0 {
		return math.NaN()
	}
	hits, predicted, actual := 0, 0, 0
	for i := range gold {
		if pred[i] == 1 {
			predicted++
		}
		if gold[i] == 1 {
			actual++
		}
		if pred[i] == 1 && gold[i] == 1 {
			hits++
		}
	}
	if predicted+actual == 0 {
		return 0
	}
	return 2 * float64(hits) / float64(predicted+actual)
}

// Matthews returns the Matthews correlation coefficient, in Gorodkin's form for
// any number of classes (Comput. Biol. Chem. 28, 2004):
//
//	(c·n - Σ p_k t_k) / sqrt((n² - Σ p_k²)(n² - Σ t_k²))
//
// where n is the number of examples, c the number of correct predictions, and
// p_k and t_k the counts of class k among predictions and gold labels. It is 0
// if either side has a single class (sklearn.metrics.matthews_corrcoef).
func Matthews(pred, gold []int) float64 {
	checkLengths(len(pred), len(gold))
	if len(gold) == 0 {
		return math.NaN()
	}
	predicted := make([]float64, 1+max(slices.Max(pred), slices.Max(gold)))
	actual := make([]float64, len(predicted))
	right := 0.0
	for i := range gold {
		predicted[pred[i]]++
		actual[gold[i]]++
		if pred[i] == gold[i] {
			right++
		}
	}
	// The counts are exact in float64: n² < 2^53 for any n below 94 million.
	n := float64(len(gold))
	agree, pp, tt := right*n, n*n, n*n
	for k, p := range predicted {
		agree -= p * actual[k]
		pp -= p * p
		tt -= actual[k] * actual[k]
	}
	if pp*tt == 0 {
		return 0
	}
	return agree / math.Sqrt(pp*tt)
}

func checkLengths(pred, gold int) {
	if pred != gold {
		panic(LengthError{Pred: pred, Gold: gold})
	}
}
