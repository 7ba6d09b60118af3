package dataset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// Profile describes a split in numbers before a run.
type Profile struct {
	Split     string
	Examples  int
	Classes   []int   // examples of each class, in the order of Task.Labels; nil in regression
	Majority  float64 // share of the most frequent class among the labelled examples; 0 in regression
	Low, High float32 // least and greatest target in regression
	Empty     int     // examples with an empty text
	Doubled   int     // examples whose texts an earlier example has too
	Median    int     // median number of tokens of an example
	Longest   int     // number of tokens of the longest example
	Truncated int     // examples cut to the maximum length
	text      string
}

// String returns the profile as one line.
func (p Profile) String() string { return p.text }

// Profile returns the profile of a split and its tokens.
func (t Task) Profile(split string, s *Split, e *Encoded) Profile {
	p := Profile{Split: split, Examples: len(s.Examples), Truncated: e.Truncated}
	lengths := make([]int, e.Len())
	for i := range lengths {
		lengths[i] = int(e.Cu[i+1] - e.Cu[i])
	}
	slices.Sort(lengths)
	if len(lengths) > 0 {
		p.Median, p.Longest = lengths[len(lengths)/2], lengths[len(lengths)-1]
	}
	if t.Labels != nil {
		p.Classes = make([]int, len(t.Labels))
	}
	seen := map[string]bool{}
	labelled := 0
	for _, x := range s.Examples {
		if x.isEmpty() {
			p.Empty++
		}
		if key := x.key(); seen[key] {
			p.Doubled++
		} else {
			seen[key] = true
		}
		switch {
		case !x.HasLabel:
			continue
		case t.Kind == MultiLabel, t.Kind == Tokens:
		case t.Labels != nil:
			p.Classes[int(x.Label)]++
		case labelled == 0:
			p.Low, p.High = x.Label, x.Label
		default:
			p.Low, p.High = min(p.Low, x.Label), max(p.High, x.Label)
		}
		labelled++
	}
	labels := fmt.Sprintf("targets from %g to %g", p.Low, p.High)
	if t.Kind == MultiLabel {
		labels = t.setProfile(&p, s.Examples)
	} else if t.Kind == Tokens {
		labels = t.tagProfile(&p, s.Examples)
	} else if t.Labels != nil {
		p.Majority = float64(slices.Max(p.Classes)) / float64(max(1, labelled))
		labels = fmt.Sprintf("%s (most frequent %.1f %%)", t.counts(p.Classes), 100*p.Majority)
	}
	if labelled == 0 {
		labels = "no labels"
	}
	p.text = fmt.Sprintf("%s: %s; %s; tokens: median %d, longest %d, %d cut", split,
		place.Count(p.Examples, "example", "examples"), labels, p.Median, p.Longest, p.Truncated)
	return p
}

// counts lists the first classes with their numbers of examples.
func (t Task) counts(classes []int) string {
	var counts []string
	for i, n := range classes[:min(len(classes), 20)] {
		counts = append(counts, fmt.Sprintf("%s %d", place.List(t.Labels[i:i+1]), n))
	}
	if more := len(classes) - len(counts); more > 0 {
		counts = append(counts, "and "+place.Count(more, "more class", "more classes"))
	}
	return strings.Join(counts, ", ")
}

func (x Example) isEmpty() bool {
	return strings.TrimSpace(x.TextA) == "" || x.TextB != nil && strings.TrimSpace(*x.TextB) == ""
}

// checkEmpty returns an error if a text is empty in every example of a split,
// because then the column is probably the wrong one.
func checkEmpty(s *Split) error {
	a := !slices.ContainsFunc(s.Examples, func(x Example) bool { return strings.TrimSpace(x.TextA) != "" })
	b := !slices.ContainsFunc(s.Examples,
		func(x Example) bool { return x.TextB == nil || strings.TrimSpace(*x.TextB) != "" })
	if len(s.Examples) == 0 || !a && !b {
		return nil
	}
	which := "text"
	if s.Examples[0].TextB != nil {
		which = "second text"
		if a {
			which = "first text"
		}
	}
	return fmt.Errorf("dataset: read %s: the %s of all %d examples is empty; want text in the column that data.text "+
		"or the task names", s.Path, which, len(s.Examples))
}

// Lint returns the findings about a split, such as many empty texts, repeated
// texts or a single class. Those that were made while reading come first.
func (t Task) Lint(s *Split) []Finding {
	found := slices.Clone(s.Findings)
	var empty, doubled, contrary use
	first := map[string]Example{}
	classes := map[float32]bool{}
	note := func(u *use, line int) {
		if u.count++; u.line == 0 {
			u.line = line
		}
	}
	for _, x := range s.Examples {
		if x.isEmpty() {
			note(&empty, x.Line)
		}
		if x.HasLabel {
			classes[x.Label] = true
		}
		key := x.key()
		earlier, known := first[key]
		if !known {
			first[key] = x
			continue
		}
		note(&doubled, x.Line)
		if earlier.Label != x.Label || !slices.Equal(earlier.Set, x.Set) || !slices.Equal(earlier.Tags, x.Tags) {
			note(&contrary, x.Line)
		}
	}
	n := len(s.Examples)
	if 100*empty.count > n {
		found = append(found, Finding{Kind: "empty", Path: s.Path, Line: empty.line, Count: empty.count,
			Text: fmt.Sprintf("%d of %d examples %s an empty text", empty.count, n, singular(empty.count, "has", "have"))})
	}
	found = append(found, lintTexts(s)...)
	if doubled.count > 0 {
		text := fmt.Sprintf("%d of %d examples %s the texts of an earlier one", doubled.count, n,
			singular(doubled.count, "repeats", "repeat"))
		if contrary.count > 0 {
			text += fmt.Sprintf(", %d of them with another label, first in line %d", contrary.count, contrary.line)
		}
		found = append(found, Finding{Kind: "doubled", Path: s.Path, Line: doubled.line, Count: doubled.count, Text: text})
	}
	if t.Kind == MultiLabel {
		return append(found, t.lintSets(s)...)
	}
	if t.Kind == Tokens {
		return append(found, t.lintTags(s)...)
	}
	if t.Labels == nil && len(classes) == 1 {
		found = append(found,
			Finding{Kind: "one_target", Path: s.Path, Count: n,
				Text: "all examples have the same target; correlations with them are undefined"})
	}
	if t.Labels != nil && len(classes) == 1 {
		only := t.Labels[int(slices.MaxFunc(s.Examples, func(a, b Example) int { return int(a.Label - b.Label) }).Label)]
		found = append(found, Finding{Kind: "one_class", Path: s.Path, Count: n,
			Text: fmt.Sprintf("all examples have the label %s; scores on them mean little", place.Quote(only))})
	}
	return found
}
