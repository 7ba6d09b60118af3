package config

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// unknown says that no key is called name, and which may have been meant. A
// mapping was meant to be a section, a scalar or a list to be a key that holds
// a value.
func (s *schema) unknown(name string, asSection, asLeaf bool) string {
	var candidates []string
	// Sections lie at the top only, so a deeper one is no candidate.
	if asSection {
		for _, top := range s.sections[""] {
			if s.sections[top] != nil {
				candidates = append(candidates, top)
			}
		}
	}
	if asLeaf {
		for _, l := range s.leaves {
			candidates = append(candidates, l.name)
		}
	}
	if near := nearest(name, candidates); near != "" {
		return "unknown key; did you mean " + near + "?"
	}
	section := name
	for section != "" && s.sections[section] == nil {
		section = parent(section)
	}
	who := section
	if section == "" {
		who = "a run file"
	}
	return "unknown key; " + who + " has " + strings.Join(s.sections[section], ", ")
}

// nearest returns the candidate that name is most likely a slip of, or "". A
// slip is up to two edits in the whole name, or the right last part under the
// wrong section.
func nearest(name string, candidates []string) string {
	const longest = 64 // the distance costs the product of the lengths
	if len(name) > longest {
		return ""
	}
	name = strings.ToLower(name)
	best, score := "", 6
	for _, c := range candidates {
		short := len(last(c)) < 4 // two edits turn any short name into any other
		whole := levenshtein.ComputeDistance(name, c)
		if (whole <= 1 || whole == 2 && !short) && 2*whole < score {
			best, score = c, 2*whole
		}
		tail := levenshtein.ComputeDistance(last(name), last(c))
		if (tail == 0 || tail == 1 && !short) && 2*tail+1 < score {
			best, score = c, 2*tail+1
		}
	}
	return best
}

func parent(name string) string { return name[:max(0, strings.LastIndexByte(name, '.'))] }

func last(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
