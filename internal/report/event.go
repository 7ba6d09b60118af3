package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/schedule"
)

// Event is a merge or an injection, with the candidates that it was chosen
// from.
type Event struct {
	Number int     `json:"number"` // from 1
	Step   int     `json:"step"`
	Epoch  float64 `json:"epoch"`
	Action string  `json:"action"` // merge or inject
	schedule.Span
	Keep int `json:"keep"` // first layer of the module whose factors survive
	// Rule is "lowest" or "highest" if the winner's score is the lowest or
	// highest of the candidates, "only" if there was one candidate, and ""
	// otherwise.
	Rule string `json:"rule"`
	// Margin is the distance of the next candidate's score from the winner's,
	// which is never negative. MarginShare is Margin divided by the range of
	// all scores.
	Margin      number         `json:"margin"`
	MarginShare number         `json:"margin_share"`
	RunnerUp    *schedule.Span `json:"runner_up"`
	// Loss is the loss of the what-if sample before the event. Sample is its
	// number of examples, or 0 if the log does not have it.
	Loss   number `json:"loss"`
	Sample int    `json:"sample"`
	// LessIncrease counts the candidates that would raise the loss by less than the
	// winner, where the difference exceeds its standard error. Alike counts
	// those whose difference does not exceed it. Both are nil without standard
	// errors.
	LessIncrease     *int               `json:"less_harm"`
	Alike            *int               `json:"alike"`
	Candidates       []Candidate        `json:"candidates"` // as logged
	ParametersBefore int                `json:"parameters_before"`
	ParametersAfter  int                `json:"parameters_after"`
	Before           schedule.Structure `json:"before"`
	After            schedule.Structure `json:"after"`
}

// Candidate is one possible choice of an event.
type Candidate struct {
	schedule.Span
	Members    []schedule.Span `json:"members"`
	Scores     []number        `json:"scores"`  // of the members
	Score      number          `json:"score"`   // their sum
	Loss       number          `json:"loss"`    // on the what-if sample if this candidate were chosen
	Increase   number          `json:"harm"`    // loss increase: Loss minus the loss before the event
	IncreaseSE number          `json:"harm_se"` // standard error of Increase, paired by example
	Rank       int             `json:"rank"`    // by score; 1 is the candidate that the rule prefers
	Winner     bool            `json:"winner"`
}

func newEvent(n int, e schedule.Event) Event {
	ev := Event{
		Number: n, Step: e.Step, Epoch: e.Epoch, Action: e.Action, Span: e.Span, Keep: e.Keep, Loss: pointed(e.Loss),
		Sample: e.Sample, Margin: nan, MarginShare: nan,
		ParametersBefore: e.ParametersBefore, ParametersAfter: e.ParametersAfter, Before: e.Before, After: e.After,
	}
	for i, c := range e.Candidates {
		own := Candidate{Span: c.Span, Members: c.Members, Score: number(c.Score), Loss: pointed(c.Loss), Increase: nan,
			IncreaseSE: pointed(c.ChangeSE), Winner: i == e.Winner}
		if e.Loss != nil && c.Loss != nil {
			own.Increase = number(*c.Loss - *e.Loss)
		}
		for _, s := range c.Scores {
			own.Scores = append(own.Scores, number(s))
		}
		ev.Candidates = append(ev.Candidates, own)
	}
	ev.rank(e.Winner)
	ev.compareIncrease(e.Winner)
	return ev
}

var nan = number(math.NaN())

// rank sets the ranks of the candidates by the rule, and the margin. The rule
// follows from the winner, because runs may merge the lowest or the highest
// scores. Ties keep the order of the log, as in the choice itself.
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

// compareIncrease sets LessIncrease and Alike. It computes the standard error of a
// difference as if the two changes of the loss were independent. This is too
// large if, as is usual, both changes affect the same examples.
func (e *Event) compareIncrease(winner int) {
	won := e.Candidates[winner]
	if !won.Increase.Defined() || !won.IncreaseSE.Defined() {
		return
	}
	less, alike := 0, 0
	for i, c := range e.Candidates {
		switch {
		case i == winner:
		case math.Abs(float64(c.Increase-won.Increase)) <= math.Hypot(float64(c.IncreaseSE), float64(won.IncreaseSE)):
			alike++
		case c.Increase < won.Increase:
			less++
		}
	}
	e.LessIncrease, e.Alike = &less, &alike
}

// order returns the indices of the candidates by increasing key; candidates
// without a key come last.
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

// why returns the sentence on how the winner was chosen and by which margin.
func (e Event) why() string {
	n := len(e.Candidates)
	var text string
	switch e.Rule {
	case "only":
		text = "The only candidate."
	case "":
		text = fmt.Sprintf("Of %d candidates; the score of the chosen one is neither the lowest nor the highest.", n)
	default:
		text = fmt.Sprintf("The %s score of %d candidates, %s ahead of %s", e.Rule, n, fixed(float64(e.Margin), 4),
			spanName(*e.RunnerUp))
		if finite(float64(e.MarginShare)) && n > 2 {
			text += fmt.Sprintf(" (%s %% of the range)", fixed(100*float64(e.MarginShare), 0))
		}
		text += "."
	}
	return text + e.increaseText()
}

// increaseText returns sentences on how the event changes the loss of the what-if
// sample, or "" if that was not measured.
func (e Event) increaseText() string {
	var won Candidate
	for _, c := range e.Candidates {
		if c.Winner {
			won = c
		}
	}
	if !won.Increase.Defined() {
		return ""
	}
	sample := "the what-if sample"
	if e.Sample > 0 {
		sample += " of " + place.Count(e.Sample, "dev example", "dev examples")
	}
	text := fmt.Sprintf(" It changes the loss of %s, %s before, by %s", sample, fixed(float64(e.Loss), 4),
		signed(float64(won.Increase), 4))
	if e.LessIncrease == nil {
		return text + "; without standard errors in the log the candidates are not ranked by loss increase."
	}
	text += fmt.Sprintf(" (standard error %s).", fixed(float64(won.IncreaseSE), 4))
	return text + compared(len(e.Candidates)-1, *e.LessIncrease, *e.Alike)
}

// compared returns a sentence about the losses that the other candidates of an event would give: how many a lower one
// than the chosen candidate, and how many one that cannot be told apart from its loss. It returns "" without others.
func compared(others, lower, alike int) string {
	if others == 0 {
		return ""
	}
	const beyond = "by more than the standard error of the difference"
	higher := others - lower - alike
	each, none := "The other candidate", " The other candidate cannot"
	if others > 1 {
		each = fmt.Sprintf("Each of the other %d candidates", others)
		none = fmt.Sprintf(" None of the other %d candidates can", others)
	}
	switch others {
	case lower:
		return fmt.Sprintf(" %s would give a lower loss, %s.", each, beyond)
	case higher:
		return fmt.Sprintf(" %s would give a higher loss, %s.", each, beyond)
	case alike:
		return none + " be told apart from the chosen one."
	}
	text := fmt.Sprintf(" Of the other %d candidates, ", others)
	switch {
	case lower > 0 && higher > 0:
		text += fmt.Sprintf("%d would give a lower loss and %d a higher one", lower, higher)
	case lower > 0:
		text += fmt.Sprintf("%d would give a lower loss", lower)
	default:
		text += fmt.Sprintf("%d would give a higher loss", higher)
	}
	text += ", " + beyond
	if alike > 0 {
		text += fmt.Sprintf(", and %d cannot be told apart from the chosen one", alike)
	}
	return text + "."
}

// ranked returns the candidates in the order of their ranks.
func (e Event) ranked() []Candidate {
	c := slices.Clone(e.Candidates)
	slices.SortFunc(c, func(a, b Candidate) int { return cmp.Compare(a.Rank, b.Rank) })
	return c
}
