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

// sampler chooses tokens. It keeps its memory between calls.
type sampler struct {
	Sampling
	order []int
	probs []float64
	seen  map[int32]bool
}

// next returns the token that follows text, whose logits it changes. draw is a number of [0, 1).
func (s *sampler) next(logits []float32, text []int32, draw float64) int32 {
	s.penalise(logits, text)
	if !s.DoSample {
		return int32(argmax(logits))
	}
	s.warp(logits)
	s.softmax(logits)
	total := 0.0
	for _, p := range s.probs {
		total += p
	}
	last, sum := argmax(logits), 0.0
	for i, p := range s.probs {
		if sum += p; p > 0 && sum > draw*total {
			return int32(i)
		}
	}
	return int32(last) // a sum that rounding keeps below the total
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

// warp divides the logits by the temperature and sets those of tokens that are not kept to -Inf: by TopK, then TopP,
// then MinP, which is the order of transformers.
func (s *sampler) warp(logits []float32) {
	if t := float32(s.Temperature); t != 1 {
		for i := range logits {
			logits[i] /= t
		}
	}
	none := float32(math.Inf(-1))
	if s.TopK > 0 && s.TopK < len(logits) {
		s.sort(logits)
		least := logits[s.order[s.TopK-1]]
		for i, x := range logits {
			if x < least {
				logits[i] = none
			}
		}
	}
	if s.TopP < 1 {
		s.softmax(logits)
		s.sort(logits)
		total, sum := 0.0, float32(0)
		for _, p := range s.probs {
			total += p
		}
		// From the least probable on, tokens are dropped while their sum is at most 1-p, in float32 as in transformers.
		for _, i := range slices.Backward(s.order[1:]) {
			if sum += float32(s.probs[i] / total); sum > float32(1-s.TopP) {
				break
			}
			logits[i] = none
		}
	}
	if s.MinP > 0 {
		s.softmax(logits)
		for i, p := range s.probs {
			if p < s.MinP { // the largest is 1
				logits[i] = none
			}
		}
	}
}

// sort orders the tokens by falling logits, and equal ones by falling ids. Which of several equal tokens TopP keeps is
// not defined in transformers.
func (s *sampler) sort(logits []float32) {
	s.order = s.order[:0]
	for i := range slices.Backward(logits) {
		s.order = append(s.order, i)
	}
	slices.SortStableFunc(s.order, func(a, b int) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
}

// softmax computes the probabilities as multiples of the largest.
func (s *sampler) softmax(logits []float32) {
	top := float64(logits[argmax(logits)])
	s.probs = s.probs[:0]
	for _, x := range logits {
		s.probs = append(s.probs, math.Exp(float64(x)-top))
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
