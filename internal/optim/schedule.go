package optim

import "math"

// LRSchedule is the learning rate over a run: a linear warm-up over the first steps, followed by linear decay to
// zero, half a period of a cosine, or a constant rate.
type LRSchedule struct {
	warmup, total int
	after         string
}

// LRSchedule returns the schedule of c for a run of total optimizer steps. The
// warm-up takes WarmupSteps, or if that is 0 ceil(WarmupRatio total), as in
// Hugging Face's Trainer.
func (c Config) LRSchedule(total int) LRSchedule {
	warmup := c.WarmupSteps
	if warmup == 0 {
		warmup = int(math.Ceil(c.WarmupRatio * float64(total)))
	}
	return LRSchedule{warmup, total, c.Schedule}
}

// Warmup returns the number of steps over which the rate rises.
func (s LRSchedule) Warmup() int { return s.warmup }

// Factor returns the factor by which the base rate is multiplied at a step. The first step is 1.
//
// Hugging Face's warm-up begins at 0, which wastes the first step. Here step s of a warm-up over w steps has the
// factor s/w. After the warm-up the two schedules are equal.
func (s LRSchedule) Factor(step int) float64 {
	if step <= s.warmup {
		return float64(step) / float64(s.warmup)
	}
	left := max(0, float64(s.total-step+1)/float64(max(1, s.total-s.warmup)))
	switch s.after {
	case Constant:
		return 1
	case Cosine:
		return 0.5 * (1 + math.Cos(math.Pi*(1-left)))
	}
	return left
}
