package runlog

import (
	"math"
	"time"
)

// clock measures speed and time of this process only, because other processes
// took the steps before a resumed run's checkpoint.
type clock struct {
	now   func() time.Time
	start time.Time // of the process
	mark  time.Time // start of the lap
	seen  time.Time // time of the last step or evaluation

	first, step      int // number of steps at the start and now
	done             int // number of steps that this process took, including repeated ones
	examples, tokens int // of the lap

	allExamples, allTokens   int     // since start
	examplesRate, tokensRate float64 // per second, in the last lap; NaN before the first
}

func newClock(now func() time.Time, step int) clock {
	t := now()
	return clock{now: now, start: t, mark: t, seen: t, first: step, step: step,
		examplesRate: math.NaN(), tokensRate: math.NaN()}
}

// advance counts a step. After a resume or a rewind, done and step differ.
func (c *clock) advance(step, examples, tokens int) {
	c.step, c.seen = step, c.now()
	c.done++
	c.examples += examples
	c.tokens += tokens
	c.allExamples += examples
	c.allTokens += tokens
}

// lap ends a lap and stores its speed.
func (c *clock) lap() {
	t := c.now()
	if s := t.Sub(c.mark).Seconds(); s > 0 && c.examples > 0 {
		c.examplesRate, c.tokensRate = float64(c.examples)/s, float64(c.tokens)/s
	}
	c.mark, c.seen, c.examples, c.tokens = t, t, 0, 0
}

// pause subtracts the time since the last step from the lap, because it was spent on the
// evaluation that is now logged.
func (c *clock) pause() {
	t := c.now()
	c.mark, c.seen = c.mark.Add(t.Sub(c.seen)), t
}

// rewind starts a new lap and discards the old one.
func (c *clock) rewind(step int) {
	c.step = max(step, 0)
	c.mark, c.seen, c.examples, c.tokens = c.now(), c.now(), 0, 0
}

// eta returns the expected time of the remaining steps, at the mean speed of this process
// with evaluations and checkpoints included.
func (c *clock) eta(total int) (time.Duration, bool) {
	if c.done == 0 || total <= 0 {
		return 0, false
	}
	pace := c.now().Sub(c.start).Seconds() / float64(c.done)
	return time.Duration(pace * float64(max(total-c.step, 0)) * float64(time.Second)), true
}
