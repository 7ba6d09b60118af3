package generate

import (
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
)

// Sampling says how the next token is chosen from the logits, with the names and the meaning of Hugging Face's
// GenerationConfig.
type Sampling struct {
	// DoSample draws a token. Without it the token with the largest logit is chosen, the first of several equal ones.
	DoSample bool `json:"do_sample"`
	// Temperature divides the logits.
	Temperature float64 `json:"temperature"`
	// TopK keeps the tokens with the k largest logits and those that equal the last of them; 0 keeps all.
	TopK int `json:"top_k"`
	// TopP keeps the most probable tokens whose probabilities together reach p.
	TopP float64 `json:"top_p"`
	// MinP keeps the tokens that are at least p times as probable as the most probable one.
	MinP float64 `json:"min_p"`
	// RepetitionPenalty divides positive logits of tokens that the text has already, and multiplies negative ones
	// (Keskar et al. 2019, arXiv:1909.05858, section 4.1).
	RepetitionPenalty float64 `json:"repetition_penalty"`
}

// Greedy returns the settings that choose the most probable token, with the defaults of GenerationConfig for sampling.
func Greedy() Sampling {
	return Sampling{Temperature: 1, TopK: 50, TopP: 1, RepetitionPenalty: 1}
}

// Validate returns every fault of s. Each begins with the name of the setting.
func (s Sampling) Validate() (faults []error) {
	fault := func(ok bool, format string, a ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, a...))
		}
	}
	finite := func(x float64) bool { return x > 0 && !math.IsInf(x, 0) }
	fault(finite(s.Temperature),
		"temperature is %v; want more than 0, or no sampling for the most probable token", s.Temperature)
	fault(s.TopK >= 0, "top_k is %d; want at least 0, which keeps all tokens", s.TopK)
	fault(s.TopP > 0 && s.TopP <= 1, "top_p is %v; want more than 0 and at most 1", s.TopP)
	fault(s.MinP >= 0 && s.MinP <= 1, "min_p is %v; want 0 to 1", s.MinP)
	fault(finite(s.RepetitionPenalty), "repetition_penalty is %v; want more than 0", s.RepetitionPenalty)
	return faults
}

// mostProbable reports whether the token with the largest logit is chosen, which a device can find.
func (s Sampling) mostProbable() bool { return !s.DoSample && s.RepetitionPenalty == 1 }

// sampler chooses tokens. It keeps its memory between calls.
type sampler struct {
	Sampling
	kept  []candidate // in the order of their ids
	heap  []candidate
	seen  map[int32]bool
	least []float32
}

// candidate is a token that can be drawn.
type candidate struct {
	id    int32
	logit float32
	prob  float64 // as a multiple of that of the most probable token
}

// next returns the token that follows text, whose logits it changes. draw is a number of [0, 1).
func (s *sampler) next(logits []float32, text []int32, draw float64) int32 {
	s.penalise(logits, text)
	if !s.DoSample {
		return int32(argmax(logits))
	}
	s.warp(logits)
	total := s.total()
	last, sum := s.kept[0], 0.0
	for _, c := range s.kept {
		if sum += c.prob; c.prob > 0 && sum > draw*total {
			return c.id
		}
		if c.prob > last.prob {
			last = c
		}
	}
	return last.id // rounding can keep the sum below the total
}

// penalise applies the repetition penalty, once for each token of text.
func (s *sampler) penalise(logits []float32, text []int32) {
	if s.RepetitionPenalty == 1 {
		return
	}
	if s.seen == nil {
		s.seen = map[int32]bool{}
	}
	clear(s.seen)
	penalty := float32(s.RepetitionPenalty)
	for _, id := range text {
		if s.seen[id] {
			continue
		}
		s.seen[id] = true
		if logits[id] < 0 {
			logits[id] *= penalty
		} else {
			logits[id] /= penalty
		}
	}
}

// warp divides the logits by the temperature and keeps the tokens that can be drawn: by TopK, then TopP, then MinP,
// which is the order of transformers.
func (s *sampler) warp(logits []float32) {
	if t := float32(s.Temperature); t != 1 {
		for i := range logits {
			logits[i] /= t
		}
	}
	least := float32(math.Inf(-1))
	if s.TopK > 0 && s.TopK < len(logits) {
		least = s.largest(logits, s.TopK)
	}
	top := float64(logits[argmax(logits)])
	s.kept = s.kept[:0]
	for i, x := range logits {
		if x >= least {
			s.kept = append(s.kept, candidate{int32(i), x, math.Exp(float64(x) - top)})
		}
	}
	if s.TopP < 1 {
		s.nucleus()
	}
	if s.MinP > 0 {
		s.kept = slices.DeleteFunc(s.kept, func(c candidate) bool { return c.prob < s.MinP })
	}
}

// total returns the sum of the probabilities.
func (s *sampler) total() (sum float64) {
	for _, c := range s.kept {
		sum += c.prob
	}
	return sum
}

// largest returns the k-th largest of the logits. It keeps the k largest so far in a heap with the least of them first.
func (s *sampler) largest(logits []float32, k int) float32 {
	s.least = append(s.least[:0], logits[:k]...)
	less := func(a, b float32) bool { return a < b }
	heapify(s.least, less)
	for _, x := range logits[k:] {
		if x > s.least[0] {
			s.least[0] = x
			sift(s.least, 0, less)
		}
	}
	return s.least[0]
}

// nucleus keeps the most probable tokens. transformers adds up the probabilities from the least probable token on and
// drops tokens while their sum, as a float32, is at most 1-p. Here the tokens are taken from the most probable on, and
// only as many as are kept are put in order; the sum up to a token is then the total without those before it. Of tokens
// with equal logits the one with the largest id comes first; in transformers any may.
func (s *sampler) nucleus() {
	total, before := s.total(), 0.0
	// Tokens of at most this probability are together at most 1-p, so all of them are dropped.
	negligible := (1 - s.TopP) * total / float64(len(s.kept)) * (1 - 1e-6)
	s.heap = s.heap[:0]
	for _, c := range s.kept {
		if c.prob > negligible {
			s.heap = append(s.heap, c)
		}
	}
	first := func(a, b candidate) bool { return a.logit > b.logit || a.logit == b.logit && a.id > b.id }
	heapify(s.heap, first)
	s.kept = s.kept[:0]
	for len(s.heap) > 0 && (len(s.kept) == 0 || float32((total-before)/total) > float32(1-s.TopP)) {
		c, last := s.heap[0], len(s.heap)-1
		s.kept, before = append(s.kept, c), before+c.prob
		s.heap[0], s.heap = s.heap[last], s.heap[:last]
		sift(s.heap, 0, first)
	}
	slices.SortFunc(s.kept, func(a, b candidate) int { return int(a.id - b.id) })
}

// heapify makes x a binary heap. Its first element is the one that less puts before all others.
func heapify[T any](x []T, less func(a, b T) bool) {
	for i := len(x)/2 - 1; i >= 0; i-- {
		sift(x, i, less)
	}
}

// sift moves element i of a heap down to its place.
func sift[T any](x []T, i int, less func(a, b T) bool) {
	for {
		child := 2*i + 1
		if child >= len(x) {
			return
		}
		if child+1 < len(x) && less(x[child+1], x[child]) {
			child++
		}
		if !less(x[child], x[i]) {
			return
		}
		x[i], x[child] = x[child], x[i]
		i = child
	}
}

// argmax returns the index of the largest element, the first of several.
func argmax(x []float32) (best int) {
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// draw returns the random number for a position of a text.
func draw(seed uint64, text, position int) float64 {
	return compute.Draw(seed, uint32(text), uint32(position))
}
