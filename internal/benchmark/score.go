package benchmark

import (
	"math"
	"strings"
)

// Begins reports whether an answer is right by instruct-eval: without white
// space at its ends it begins with the label. "10" is therefore right where the
// label is "1".
func Begins(answer, label string) bool { return strings.HasPrefix(strings.TrimSpace(answer), label) }

// Likeliest returns the choice with the largest log-likelihood, the first of
// equal ones, as the letter that it spells.
func Likeliest(it Item, logLikelihoods []float64) string {
	best := 0
	for i, l := range logLikelihoods {
		if l > logLikelihoods[best] {
			best = i
		}
	}
	return strings.TrimSpace(it.Choices[best])
}

// Cut returns an answer before the first of the stop strings.
func Cut(answer string, until []string) string {
	for _, stop := range until {
		answer, _, _ = strings.Cut(answer, stop)
	}
	return answer
}

// Mean is a mean of n scores with its standard error, the standard deviation of
// the scores over the root of n.
type Mean struct {
	Value, StdErr float64
	N             int
}

// MeanOf returns the mean of scores. Its standard error is NaN for one score.
func MeanOf(scores []float64) Mean {
	m := Mean{N: len(scores)}
	for _, s := range scores {
		m.Value += s / float64(m.N)
	}
	for _, s := range scores {
		m.StdErr += (s - m.Value) * (s - m.Value)
	}
	m.StdErr = math.Sqrt(m.StdErr / float64(m.N-1) / float64(m.N))
	return m
}

// MeanOfMeans returns the mean of the means of tasks, as instruct-eval reports
// BBH. The tasks are independent, so the variances of their means add up.
func MeanOfMeans(tasks map[string][]float64) Mean {
	m := Mean{}
	variance := 0.0
	for _, scores := range tasks {
		one := MeanOf(scores)
		m.Value += one.Value / float64(len(tasks))
		variance += one.StdErr * one.StdErr
		m.N += one.N
	}
	m.StdErr = math.Sqrt(variance) / float64(len(tasks))
	return m
}

// PassAtK returns the probability that one of k samples is right, of which n
// were drawn and c were right (Chen et al. 2021, eq. 1).
func PassAtK(n, c, k int) float64 {
	if n-c < k {
		return 1
	}
	fail := 1.0
	for i := n - c + 1; i <= n; i++ {
		fail *= 1 - float64(k)/float64(i)
	}
	return 1 - fail
}
