// Package schedule decides when neighbouring LoR2C modules are merged and when
// one is replaced by LoRA: MergeLoR2C, InjectLoR2C and IMLoR2C
// (arXiv:2503.00572, section III-C to III-E).
//
// It is pure: singular values in, actions out. Package train measures the
// values and carries the actions out.
package schedule

import "slices"

// Kind says what an action does.
type Kind string

// The two kinds of action.
const (
	Merge  Kind = "merge"
	Inject Kind = "inject"
)

// Span is the layers from the input of First to the output of Last, from 0.
type Span struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// Module is a LoR2C module and the singular values of its B A, largest first,
// without the scale.
type Module struct {
	Span
	Singular []float64 `json:"singular"`
}

// Candidate is one choice of an action: two neighbours to merge or one module to replace.
type Candidate struct {
	Span
	Members []Span    `json:"members"`
	Scores  []float64 `json:"scores"` // of the members
	Score   float64   `json:"score"`  // their sum, by which candidates are compared
	// Loss is that of the what-if sample, were this candidate chosen, and ChangeSE the standard error of its change,
	// paired by example. The schedule decides nothing by them; both are nil where they were not measured.
	Loss     *float64 `json:"loss"`
	ChangeSE *float64 `json:"change_se,omitempty"`
}

// Action is a decision and what it was chosen from.
type Action struct {
	Kind Kind
	Span
	// Keep is the first layer of the member whose factors a merged module
	// has, or the layer of an injection.
	Keep       int
	Candidates []Candidate // by layer
	Winner     int         // index into Candidates
}

// State is what a schedule remembers between steps. The zero value is the start
// of a run.
type State struct {
	Merges  int `json:"merges"`  // carried out
	Injects int `json:"injects"` // carried out
	// Deferred counts the injections that gave way to a merge and are still due.
	Deferred int `json:"deferred"`
	// Step is the last step asked about, and Done how far it has come.
	Step   int  `json:"step"`
	Done   int  `json:"done"`
	Merged bool `json:"merged"` // a merge was carried out at Step
}

// How far a step has come.
const (
	nothingDone = iota
	mergeDone
	injectDone
)

// Schedule decides for one run.
type Schedule struct {
	c   Config
	run Run
}

// New returns the schedule of c, which is resolved and for which Validate and
// Check found no fault, over a run of the given size.
func New(c Config, run Run) *Schedule { return &Schedule{c: c, run: run} }

// Next returns the next action at the end of the given step and the state after
// it, or nil when there is none, or none left, at that step. The caller carries
// it out and asks again with the modules it leaves. modules are those there
// are, by layer; layers in none of them were injected.
func (s *Schedule) Next(st State, step int, modules []Module) (*Action, State) {
	if st.Step != step {
		st.Step, st.Done, st.Merged = step, nothingDone, false
	}
	if st.Done == nothingDone {
		st.Done = mergeDone
		if s.due(s.c.MaxMerges, step) && st.Merges < s.c.MaxMerges {
			if a := s.action(Merge, s.merges(modules)); a != nil {
				st.Merged = true
				st.Merges++
				return a, st
			}
		}
	}
	if st.Done == mergeDone {
		st.Done = injectDone
		due := s.due(s.c.MaxInjects, step) && st.Injects+st.Deferred < s.c.MaxInjects
		if st.Merged && s.c.OnConflict == ConflictDefer {
			if due {
				st.Deferred++
			}
			return nil, st
		}
		if !due {
			if st.Deferred == 0 || step%s.run.StepsPerEpoch != 0 || !s.within(step) {
				return nil, st
			}
			// Without a candidate it waits for the next regular time, like
			// any other.
			st.Deferred--
		}
		if a := s.action(Inject, s.injections(modules)); a != nil {
			st.Injects++
			return a, st
		}
	}
	return nil, st
}

// action returns the choice among candidates, or nil without any.
func (s *Schedule) action(kind Kind, candidates []Candidate) *Action {
	if candidates == nil {
		return nil
	}
	selection := s.c.MergeSelect
	if kind == Inject {
		selection = s.c.InjectSelect
	}
	winner := 0
	for i, c := range candidates {
		best := candidates[winner].Score
		if selection == SelectMax && c.Score > best || selection == SelectMin && c.Score < best {
			winner = i
		}
	}
	c := candidates[winner]
	return &Action{Kind: kind, Span: c.Span, Keep: s.Keep(c), Candidates: candidates, Winner: winner}
}

// Keep returns the first layer of the member of c whose factors survive.
func (s *Schedule) Keep(c Candidate) int {
	keep := 0
	if s.c.Keep == KeepRicher {
		for i, score := range c.Scores {
			if score > c.Scores[keep] {
				keep = i
			}
		}
	}
	return c.Members[keep].First
}

// merges returns the pairs of neighbours that may become one.
func (s *Schedule) merges(modules []Module) (candidates []Candidate) {
	for i := 1; i < len(modules); i++ {
		a, b := modules[i-1], modules[i]
		span := Span{a.First, b.Last}
		switch {
		case a.Last+1 != b.First: // an injected layer lies between them
		case s.c.MaxSpan > 0 && span.Last-span.First >= s.c.MaxSpan:
		case s.c.Adjacency == AdjacencyStrict && (s.injected(modules, span.First-1) || s.injected(modules, span.Last+1)):
		default:
			candidates = append(candidates, s.candidate(span, a, b))
		}
	}
	return candidates
}

// injections returns the modules that LoRA may replace: those never merged.
func (s *Schedule) injections(modules []Module) (candidates []Candidate) {
	for _, m := range modules {
		if m.First == m.Last {
			candidates = append(candidates, s.candidate(m.Span, m))
		}
	}
	return candidates
}

func (s *Schedule) candidate(span Span, members ...Module) Candidate {
	c := Candidate{Span: span}
	for _, m := range members {
		score := s.Score(m.Singular)
		c.Members = append(c.Members, m.Span)
		c.Scores = append(c.Scores, score)
		c.Score += score
	}
	return c
}

// injected reports whether layer exists and no module has it.
func (s *Schedule) injected(modules []Module, layer int) bool {
	return layer >= 0 && layer < s.run.Layers &&
		!slices.ContainsFunc(modules, func(m Module) bool { return m.First <= layer && layer <= m.Last })
}
