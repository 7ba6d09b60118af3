package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/metric"
)

// Correlation is how well scores predict the loss increase of candidates on the
// what-if sample.
type Correlation struct {
	Of         string `json:"of"`         // "all events" or "event 3"
	Action     string `json:"action"`     // merge or inject
	Event      int    `json:"event"`      // its number; 0 over all events
	Candidates int    `json:"candidates"` // those with a loss
	// Spearman is the rank correlation of score and loss increase. It is null
	// for fewer than three candidates, for which it could only be -1 or 1, and
	// if one side is constant.
	Spearman number `json:"spearman"`
	// P is the share of all orders of the candidates with a correlation at
	// least as far from zero. It would be the exact two-sided p-value if the
	// candidates were independent; they share modules, so it is too small. It
	// is null for more than mostForP candidates.
	P number `json:"p_if_independent"`
}

// mostForP is the largest number of candidates whose orders are all tried.
// Eight have 40,320 orders.
const mostForP = 8

// correlations returns the correlation of each event with losses and of each
// action over all events. Merges and injections are never pooled, because the
// score of a merge is the sum of two scores.
func correlations(events []Event) []Correlation {
	all := []Correlation{}
	for _, action := range []string{"merge", "inject"} {
		var scores, increases []float64
		for _, e := range events {
			if e.Action == action {
				s, h := e.increases()
				scores, increases = append(scores, s...), append(increases, h...)
			}
		}
		if len(scores) > 0 {
			all = append(all, correlate("all events", action, 0, scores, increases))
		}
	}
	for _, e := range events {
		if s, h := e.increases(); len(s) > 0 {
			all = append(all, correlate(fmt.Sprintf("event %d", e.Number), e.Action, e.Number, s, h))
		}
	}
	return all
}

// increases returns score and loss increase of every candidate that has both.
func (e Event) increases() (scores, increases []float64) {
	for _, c := range e.Candidates {
		if finite(float64(c.Score)) && finite(float64(c.Increase)) {
			scores, increases = append(scores, float64(c.Score)), append(increases, float64(c.Increase))
		}
	}
	return scores, increases
}

func correlate(of, action string, event int, scores, increases []float64) Correlation {
	c := Correlation{of, action, event, len(scores), nan, nan}
	if len(scores) >= 3 {
		c.Spearman = number(metric.Spearman(scores, increases))
	}
	if c.Spearman.Defined() && len(scores) <= mostForP {
		c.P = number(exactP(scores, increases))
	}
	return c
}

// text returns the correlation with the number of candidates and p.
func (c Correlation) text() string {
	text := fmt.Sprintf("Spearman %s, n = %d", signed(float64(c.Spearman), 2), c.Candidates)
	if c.P.Defined() {
		text += ", p = " + fixed(float64(c.P), 2)
	}
	return text
}

// exactP returns the share of the orders of y that correlate with x at least as
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
