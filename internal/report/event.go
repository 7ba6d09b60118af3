package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/schedule"
)

// Event is a merge or an injection and what it was chosen from.
type Event struct {
	Number int     `json:"number"` // from 1
	Step   int     `json:"step"`
	Epoch  float64 `json:"epoch"`
	Action string  `json:"action"` // merge or inject
	schedule.Span
	Keep int `json:"keep"` // first layer of the module whose factors survive
	// Rule is lowest or highest, by where the winner's score lies among the
	// candidates'; "only" if there was one candidate, "" if it lies at neither end.
	Rule string `json:"rule"`
	// Margin is how far the next candidate's score lies behind, never negative;
	// MarginShare is that over the range of all scores.
	Margin      number         `json:"margin"`
	MarginShare number         `json:"margin_share"`
	RunnerUp    *schedule.Span `json:"runner_up"`
	// Loss is that of the what-if sample before the event, over so many examples;
	// 0 where the log does not say how many.
	Loss   number `json:"loss"`
	Sample int    `json:"sample"`
	// LessHarm counts the candidates that would raise the loss by less than the
	// winner does, by more than the standard error of the difference; Alike those
	// that cannot be told apart from it. Both are nil without standard errors.
	LessHarm         *int               `json:"less_harm"`
	Alike            *int               `json:"alike"`
	Candidates       []Candidate        `json:"candidates"` // as logged
	ParametersBefore int                `json:"parameters_before"`
	ParametersAfter  int                `json:"parameters_after"`
	Before           schedule.Structure `json:"before"`
	After            schedule.Structure `json:"after"`
}

// Candidate is one choice that an event had.
type Candidate struct {
	schedule.Span
	Members []schedule.Span `json:"members"`
	Scores  []number        `json:"scores"`  // of the members
	Score   number          `json:"score"`   // their sum
	Loss    number          `json:"loss"`    // on the what-if sample, were this one chosen
	Harm    number          `json:"harm"`    // Loss less the event's
	HarmSE  number          `json:"harm_se"` // standard error of Harm, paired by example
	Rank    int             `json:"rank"`    // by score, 1 for the one the rule prefers
	Winner  bool            `json:"winner"`
}

func newEvent(n int, e schedule.Event) Event {
	ev := Event{
		Number: n, Step: e.Step, Epoch: e.Epoch, Action: e.Action, Span: e.Span, Keep: e.Keep, Loss: pointed(e.Loss), Sample: e.Sample, Margin: nan, MarginShare: nan,
		ParametersBefore: e.ParametersBefore, ParametersAfter: e.ParametersAfter, Before: e.Before, After: e.After,
	}
	for i, c := range e.Candidates {
		own := Candidate{Span: c.Span, Members: c.Members, Score: number(c.Score), Loss: pointed(c.Loss), Harm: nan, HarmSE: pointed(c.ChangeSE), Winner: i == e.Winner}
		if e.Loss != nil && c.Loss != nil {
			own.Harm = number(*c.Loss - *e.Loss)
		}
		for _, s := range c.Scores {
			own.Scores = append(own.Scores, number(s))
		}
		ev.Candidates = append(ev.Candidates, own)
	}
	ev.rank(e.Winner)
	ev.compareHarm(e.Winner)
	return ev
}

var nan = number(math.NaN())

// rank orders the candidates as the rule prefers them, and takes the margin.
// The rule is read off the winner, since runs may merge the lowest or the
// highest scores. Ties keep the order of the log, as the choice itself does.
func (e *Event) rank(winner int) {
	order := e.order(func(c Candidate) float64 { return float64(c.Score) })
	lowest, highest := float64(e.Candidates[order[0]].Score), float64(e.Candidates[order[len(order)-1]].Score)
	switch won := float64(e.Candidates[winner].Score); {
	case len(order) == 1:
		e.Rule = "only"
	case won == lowest:
		e.Rule = "lowest"
	case won == highest:
		e.Rule = "highest"
		order = e.order(func(c Candidate) float64 { return -float64(c.Score) })
	}
	for i, j := range order {
		e.Candidates[j].Rank = i + 1
	}
	if e.Rule != "lowest" && e.Rule != "highest" {
		return
	}
	next := e.Candidates[order[1]]
	e.RunnerUp = &next.Span
	e.Margin = number(math.Abs(float64(next.Score - e.Candidates[winner].Score)))
	if highest > lowest {
		e.MarginShare = e.Margin / number(highest-lowest)
	}
}

// compareHarm counts the candidates that would do less harm than the winner, and
// those of which that cannot be said. The standard error of a difference is taken
// as that of two independent changes, which is too large where, as is usual, the
// same examples suffer from both.
func (e *Event) compareHarm(winner int) {
	won := e.Candidates[winner]
	if !won.Harm.Defined() || !won.HarmSE.Defined() {
		return
	}
	less, alike := 0, 0
	for i, c := range e.Candidates {
		switch {
		case i == winner:
		case math.Abs(float64(c.Harm-won.Harm)) <= math.Hypot(float64(c.HarmSE), float64(won.HarmSE)):
			alike++
		case c.Harm < won.Harm:
			less++
		}
	}
	e.LessHarm, e.Alike = &less, &alike
}

// order returns the candidates' indices by rising key, those without one last.
func (e *Event) order(key func(Candidate) float64) []int {
	order := make([]int, len(e.Candidates))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := key(e.Candidates[i]), key(e.Candidates[j])
		if an, bn := math.IsNaN(a), math.IsNaN(b); an || bn {
			return cmp.Compare(b2i(an), b2i(bn))
		}
		return cmp.Compare(a, b)
	})
	return order
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// why says by how much the winner won.
func (e Event) why() string {
	n := len(e.Candidates)
	var text string
	switch e.Rule {
	case "only":
		text = "The only candidate."
	case "":
		text = fmt.Sprintf("Of %d candidates; the score of the chosen one is neither the lowest nor the highest.", n)
	default:
		text = fmt.Sprintf("The %s score of %d candidates, %s ahead of %s", e.Rule, n, fixed(float64(e.Margin), 4), spanName(*e.RunnerUp))
		if finite(float64(e.MarginShare)) && n > 2 {
			text += fmt.Sprintf(" (%s %% of the range)", fixed(100*float64(e.MarginShare), 0))
		}
		text += "."
	}
	return text + e.harmText()
}

// harmText says what the winner does to the what-if sample, if that was measured.
func (e Event) harmText() string {
	var won Candidate
	for _, c := range e.Candidates {
		if c.Winner {
			won = c
		}
	}
	if !won.Harm.Defined() {
		return ""
	}
	sample := "the what-if sample"
	if e.Sample > 0 {
		sample += fmt.Sprintf(" of %d dev examples", e.Sample)
	}
	text := fmt.Sprintf(" It changes the loss of %s, %s before, by %s", sample, fixed(float64(e.Loss), 4), signed(float64(won.Harm), 4))
	if e.LessHarm == nil {
		return text + "; without standard errors in the log the candidates are not ranked by harm."
	}
	text += fmt.Sprintf(" (standard error %s).", fixed(float64(won.HarmSE), 4))
	switch others := len(e.Candidates) - 1; {
	case others == 1 && *e.LessHarm == 1:
		text += " The other candidate would do less harm, by more than the standard error of the difference."
	case others == 1 && *e.Alike == 1:
		text += " The other candidate cannot be told apart from it."
	case others == 1:
		text += " The other candidate would do more harm, by more than the standard error of the difference."
	case others > 1:
		text += fmt.Sprintf(" Of the other %d, %d would do less harm by more than the standard error of the difference, and %d cannot be told apart from it.",
			others, *e.LessHarm, *e.Alike)
	}
	return text
}

// ranked returns the candidates in the order of their ranks.
func (e Event) ranked() []Candidate {
	c := slices.Clone(e.Candidates)
	slices.SortFunc(c, func(a, b Candidate) int { return cmp.Compare(a.Rank, b.Rank) })
	return c
}
