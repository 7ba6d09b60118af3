package benchmark

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// bagScores returns exact match and F1 of an answer to DROP as lm-eval computes them (task drop 3.0): the best over the
// right answers. An answer is compared as bags of words, one for each span of the right answer, of which the given
// answer can match one.
func bagScores(answer string, golds [][]string) (em, f1 float64) {
	text := normalized(answer)
	words := set(text)
	for _, spans := range golds {
		if strings.TrimSpace(spans[0]) == "" {
			continue
		}
		if len(spans) == 1 && normalized(spans[0]) == text {
			em = 1
		}
		best := 0.0
		for _, span := range spans {
			if gold := set(normalized(span)); numbersAgree(gold, words) {
				best = max(best, overlap(words, gold))
			}
		}
		// numpy rounds half to even.
		f1 = max(f1, math.RoundToEven(best/float64(len(spans))*100)/100)
	}
	return em, f1
}

var (
	wordBreak   = regexp.MustCompile("[ -]")
	article     = regexp.MustCompile(`\b(a|an|the)\b`)
	punctuation = strings.NewReplacer(func() (pairs []string) {
		for _, c := range "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" {
			pairs = append(pairs, string(c), "")
		}
		return pairs
	}()...)
)

// normalized returns the words of a text in lower case, without articles and punctuation. Numbers that are equal have
// the same form.
func normalized(text string) string {
	var words []string
	for _, word := range wordBreak.Split(text, -1) {
		word = strings.ToLower(word)
		if _, ok := number(word); !ok {
			word = punctuation.Replace(word)
		}
		if x, ok := number(word); ok {
			word = strconv.FormatFloat(x, 'g', -1, 64)
			if !strings.ContainsAny(word, ".einf") {
				word += ".0" // so that punctuation never makes it equal to other text
			}
		}
		words = append(words, strings.Fields(article.ReplaceAllString(word, " "))...)
	}
	return strings.Join(words, " ")
}

// number returns the value of a text that Python's float reads.
func number(text string) (float64, bool) {
	if strings.ContainsAny(text, "xXpP_") {
		return 0, false // hexadecimal, which Python does not read
	}
	x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return x, err == nil || math.IsInf(x, 0)
}

func set(text string) map[string]bool {
	words := map[string]bool{}
	for _, w := range strings.Fields(text) {
		words[w] = true
	}
	return words
}

// numbersAgree reports whether words has one of the numbers in gold, or gold has none.
func numbersAgree(gold, words map[string]bool) bool {
	has := false
	for w := range gold {
		if _, ok := number(w); ok {
			if words[w] {
				return true
			}
			has = true
		}
	}
	return !has
}

// overlap is the harmonic mean of precision and recall of two bags.
func overlap(words, gold map[string]bool) float64 {
	both := 0.0
	for w := range words {
		if gold[w] {
			both++
		}
	}
	ratio := func(n int) float64 {
		if n == 0 {
			return 1
		}
		return both / float64(n)
	}
	precision, recall := ratio(len(words)), ratio(len(gold))
	if precision == 0 && recall == 0 {
		return 0
	}
	return 2 * precision * recall / (precision + recall)
}
