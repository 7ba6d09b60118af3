package benchmark

import "strings"

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

// Scores returns the metrics of an answer to an item of MMLU, BBH or DROP. For an item with choices the answer is what
// Likeliest returns. HumanEval needs to run a program instead.
func (s *Set) Scores(it Item, answer string) map[string]float64 {
	one := func(right bool) float64 {
		if right {
			return 1
		}
		return 0
	}
	switch {
	case s.Protocol == InstructEval:
		return map[string]float64{"acc": one(Begins(answer, it.Label))}
	case it.Choices != nil:
		return map[string]float64{"acc": one(answer == it.Label)}
	case s.Name == NameDROP:
		em, f1 := bagScores(answer, it.Golds)
		return map[string]float64{"em": em, "f1": f1}
	}
	return map[string]float64{
		"exact_match": one(answer == it.Label), "exact_match_stripped": one(strings.TrimSpace(answer) == it.Label),
	}
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
