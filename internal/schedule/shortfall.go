package schedule

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/place"
)

// WhyNone returns the reason for which an operation of the given kind can find
// no candidate.
func (c Config) WhyNone(kind Kind) string {
	if kind == Inject {
		return "every layer's module had been merged or replaced, and an injection replaces a module that was never merged"
	}
	why := "no two modules were neighbours"
	if c.MaxSpan > 0 {
		why += fmt.Sprintf(" that together span at most %s (schedule.max_span)", place.Count(c.MaxSpan, "layer", "layers"))
	}
	if c.Adjacency == AdjacencyStrict {
		why += ", none of them beside an injected layer (schedule.adjacency: strict)"
	}
	return why
}

// Shortfall returns the numbers, from 1, of the planned injections that may
// find no candidate. An injection replaces a module that was never merged. In
// the worst case every merge before it joins two such modules, and then none
// may be left.
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
