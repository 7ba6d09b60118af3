package schedule

import "fmt"

// WhyNone says why an operation of the given kind may find no candidate.
func (c Config) WhyNone(kind Kind) string {
	if kind == Inject {
		return "every layer's module had been merged or replaced, and an injection replaces a module that was never merged"
	}
	why := "no two modules were neighbours"
	if c.MaxSpan > 0 {
		why += fmt.Sprintf(" that together span at most %d layers (schedule.max_span)", c.MaxSpan)
	}
	if c.Adjacency == AdjacencyStrict {
		why += ", none of them beside an injected layer (schedule.adjacency: strict)"
	}
	return why
}

// Shortfall returns the planned injections, counted from 1, that may find no
// candidate: where every merge before them joins two modules that were never
// merged, as many layers as that takes leave none of its own.
func (s *Schedule) Shortfall() (injections []int) {
	single := s.run.Layers // modules of one layer, in the worst case
	n := 0
	for _, d := range s.Plan() {
		if d.Merge {
			single -= 2
		}
		if d.Inject {
			n++
			if single < 1 {
				injections = append(injections, n)
			}
			single--
		}
	}
	return injections
}
