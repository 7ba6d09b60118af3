// Package schedule decides when neighbouring LoR2C modules are merged and when
// one is replaced by LoRA: MergeLoR2C, InjectLoR2C and IMLoR2C
// (arXiv:2503.00572, section III-C to III-E).
//
// The package has no side effects: its input is singular values and its output
// is actions. Package train measures the values and carries out the actions.
package schedule

import "slices"

// Kind is what an action does.
type Kind string

// These are the kinds of action.
const (
	Merge  Kind = "merge"
	Inject Kind = "inject"
)

// Span is the range of layers from the input of layer First to the output of
// layer Last. Layers count from 0.
type Span struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// Module is a LoR2C module with the singular values of its product B A, largest
// first and without the scale.
type Module struct {
	Span
	Singular []float64 `json:"singular"`
}

// Candidate is one possible choice of an action: two neighbouring modules to
// merge or one module to replace.
type Candidate struct {
	Span
	Members []Span    `json:"members"`
	Scores  []float64 `json:"scores"` // of the members
	Score   float64   `json:"score"`  // their sum, by which candidates are compared
	// Loss is the loss of the what-if sample if this candidate were chosen, and
	// ChangeSE the standard error of the change in loss, paired by example. The
	// schedule does not use them. Both are nil if they were not measured.
	Loss     *float64 `json:"loss"`
	ChangeSE *float64 `json:"change_se,omitempty"`
}

// Action is a decision, with the candidates that it was chosen from.
type Action struct {
	Kind Kind
	Span
	// Keep is the first layer of the member whose factors the merged module
	// takes over, or the layer of an injection.
	Keep       int
	Candidates []Candidate // by layer
	Winner     int         // index into Candidates
}

// State is what a schedule remembers between steps. The zero value is the state
// at the start of a run.
type State struct {
	Merges  int `json:"merges"`  // carried out
	Injects int `json:"injects"` // carried out
	// Deferred counts the injections that gave way to a merge and are still due.
	Deferred int `json:"deferred"`
	// Step is the last step for which Next was called, and Done is the progress of
	// that step.
	Step   int  `json:"step"`
	Done   int  `json:"done"`
	Merged bool `json:"merged"` // a merge was carried out at Step
}

// These are the values of State.Done.
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

// New returns the schedule of c for a run of the given size. c must be
// resolved, and Validate and Check must have found no fault in it.
func New(c Config, run Run) *Schedule { return &Schedule{c: c, run: run} }

// Next returns the next action at the end of the given step and the state after
// it. The action is nil if no action is left for that step. The caller carries
// the action out and calls Next again with the modules that remain. modules are
// the present modules, ordered by layer; every layer that no module covers was
// injected.
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
			// If it finds no candidate it waits for the next regular time, as
			// other injections do.
			st.Deferred--
		}
		if a := s.action(Inject, s.injections(modules)); a != nil {
			st.Injects++
			return a, st
		}
	}
	return nil, st
}

// action returns the choice among candidates, or nil if there are none.
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

// merges returns the pairs of neighbouring modules that may be merged.
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

// injections returns the modules that LoRA may replace: those that were never
// merged.
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

// injected reports whether layer exists and no module covers it.
func (s *Schedule) injected(modules []Module, layer int) bool {
	return layer >= 0 && layer < s.run.Layers &&
		!slices.ContainsFunc(modules, func(m Module) bool { return m.First <= layer && layer <= m.Last })
}
