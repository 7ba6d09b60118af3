package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/metric"
)

// Correlation is how well scores predict the harm that a candidate does to the
// loss of the what-if sample.
type Correlation struct {
	Of         string `json:"of"`         // "all events" or "event 3"
	Action     string `json:"action"`     // merge or inject
	Event      int    `json:"event"`      // its number; 0 over all events
	Candidates int    `json:"candidates"` // with a loss
	// Spearman is the rank correlation of score and harm; null below three
	// candidates, where it could only be -1 or 1, and when one side is constant.
	Spearman number `json:"spearman"`
	// P is the share of all orders of the candidates with a correlation at least as
	// far from zero: the exact two-sided p-value, were the candidates independent.
	// They share modules, so that it is too small. Null above mostForP candidates.
	P number `json:"p_if_independent"`
}

// mostForP is the most candidates whose orders are all tried: 40,320.
const mostForP = 8

// correlations returns those of each event with losses and of each action.
// Merges and injections are never pooled: the score of a merge is a sum of two.
func correlations(events []Event) []Correlation {
	all := []Correlation{}
	for _, action := range []string{"merge", "inject"} {
		var scores, harms []float64
		for _, e := range events {
			if e.Action == action {
				s, h := e.harm()
				scores, harms = append(scores, s...), append(harms, h...)
			}
		}
		if len(scores) > 0 {
			all = append(all, correlate("all events", action, 0, scores, harms))
		}
	}
	for _, e := range events {
		if s, h := e.harm(); len(s) > 0 {
			all = append(all, correlate(fmt.Sprintf("event %d", e.Number), e.Action, e.Number, s, h))
		}
	}
	return all
}

// harm returns score and harm of every candidate that has both.
func (e Event) harm() (scores, harms []float64) {
	for _, c := range e.Candidates {
		if finite(float64(c.Score)) && finite(float64(c.Harm)) {
			scores, harms = append(scores, float64(c.Score)), append(harms, float64(c.Harm))
		}
	}
	return scores, harms
}

func correlate(of, action string, event int, scores, harms []float64) Correlation {
	c := Correlation{of, action, event, len(scores), nan, nan}
	if len(scores) >= 3 {
		c.Spearman = number(metric.Spearman(scores, harms))
	}
	if c.Spearman.Defined() && len(scores) <= mostForP {
		c.P = number(exactP(scores, harms))
	}
	return c
}

// text writes the correlation and how little it may mean.
func (c Correlation) text() string {
	text := fmt.Sprintf("Spearman %s, n = %d", signed(float64(c.Spearman), 2), c.Candidates)
	if c.P.Defined() {
		text += ", p = " + fixed(float64(c.P), 2)
	}
	return text
}

// exactP is the share of the orders of y that correlate with x at least as
// strongly as y itself does.
func exactP(x, y []float64) float64 {
	least := math.Abs(metric.Spearman(x, y)) - 1e-12
	order, all, extreme := slices.Clone(y), 0, 0
	var permute func(n int)
	permute = func(n int) {
		if n == 1 {
			all++
			if math.Abs(metric.Spearman(x, order)) >= least {
				extreme++
			}
			return
		}
		for i := range n {
			order[i], order[n-1] = order[n-1], order[i]
			permute(n - 1)
			order[i], order[n-1] = order[n-1], order[i]
		}
	}
	permute(len(order))
	return float64(extreme) / float64(all)
}
