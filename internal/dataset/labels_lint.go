package dataset

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/lor2c/lor2c/internal/mangled"
	"github.com/lor2c/lor2c/internal/place"
)

// checkLabel returns an error if a class name would break a line or a table
// that contains it. The error is meant to follow the place.
func checkLabel(label string) error {
	if strings.ContainsFunc(label, unicode.IsControl) {
		return fmt.Errorf("label %s has a control character; want a name of one line without tabs", place.Quote(label))
	}
	return nil
}

// use is the number of times that a label occurs and the line of its first
// occurrence.
type use struct{ count, line int }

// uses returns the use of every label of rows.
func uses(rows []row) map[string]use {
	seen := map[string]use{}
	for _, r := range rows {
		if !r.hasLabel {
			continue
		}
		u, known := seen[r.label]
		if !known {
			u.line = r.line
		}
		u.count++
		seen[r.label] = u
	}
	return seen
}

// checkNumbers returns an error if the labels are numbers with fractions and
// data.kind does not say whether they are scores or names of classes.
func checkNumbers(path, kind string, labels []string, seen map[string]use) error {
	if kind == Classification {
		return nil
	}
	fraction, comma := "", false
	for _, label := range labels {
		form := label
		if strings.Count(label, ",") == 1 && !strings.Contains(label, ".") {
			form = strings.Replace(label, ",", ".", 1)
		}
		v, err := number64(form)
		if err != nil {
			return nil
		}
		comma = comma || form != label
		if (v != float64(int64(v)) || form != label) && fraction == "" {
			fraction = label
		}
	}
	if fraction == "" {
		return nil
	}
	if comma {
		return place.Mistake(fmt.Errorf("dataset: read %s:%d: label %s, and all %d labels are numbers, some with a comma; "+
			"want decimal points and data.kind: regression for scores, or data.kind: classification if they name classes",
			path, seen[fraction].line, place.Quote(fraction), len(labels)))
	}
	return place.Mistake(fmt.Errorf("dataset: read %s:%d: label %s, and all %d labels are numbers; want data.kind: "+
		"regression for scores, or data.kind: classification if they name classes",
		path, seen[fraction].line, place.Quote(fraction), len(labels)))
}

// manyNumbers is the number of different whole numbers from which they are more
// likely scores than classes.
const manyNumbers = 20

// lintLabels returns the findings about the labels from which the classes are
// taken.
func lintLabels(path, kind string, labels []string, rows []row, seen map[string]use) (found []Finding) {
	groups := map[string][]string{}
	for _, label := range labels {
		form := canonical(label)
		groups[form] = append(groups[form], label)
	}
	for _, form := range slices.Sorted(maps.Keys(groups)) {
		group := groups[form]
		if len(group) < 2 {
			continue
		}
		// The line is that of the rarest spelling, which is probably the wrong
		// one.
		slices.SortFunc(group, func(a, b string) int {
			return cmp.Or(cmp.Compare(seen[b].count, seen[a].count), cmp.Compare(seen[a].line, seen[b].line))
		})
		count, line, quoted := 0, 0, []string{}
		for i, label := range group {
			quoted = append(quoted, fmt.Sprintf("%s (%d)", place.Quote(label), seen[label].count))
			if i == 0 {
				continue
			}
			count += seen[label].count
			if line == 0 || seen[label].line < line {
				line = seen[label].line
			}
		}
		found = append(found, Finding{Kind: "similar_labels", Path: path, Line: line, Count: count,
			Text: fmt.Sprintf("labels that differ only in case, blanks, Unicode or number form are %d classes: %s", len(group),
				strings.Join(quoted[:min(len(quoted), 20)], ", "))})
	}
	if f, ok := mixedKinds(path, rows); ok {
		found = append(found, f)
	}
	found = append(found, mergedNumbers(path, rows)...)
	if f, ok := missingMarks(path, labels, seen); ok {
		found = append(found, f)
	}
	word := func(label string) bool { _, err := number64(label); return err != nil }
	if kind == Classification || len(labels) <= manyNumbers || slices.ContainsFunc(labels, word) {
		if f, ok := single(path, labels, rows, seen); ok {
			found = append(found, f)
		}
		return found
	}
	return append(found, Finding{Kind: "numbers", Path: path, Count: len(labels),
		Text: fmt.Sprintf("the labels are %d different numbers, each a class; data.kind: regression makes them scores",
			len(labels))})
}

// marks are the texts, in lower case and without quotes, that programs write for a missing value.
var marks = []string{"", "none", "null", "nan", "<na>", "n/a", "na", "#n/a", "nil", "nul", "undefined", "missing"}

// missingMarks returns a finding if labels are marks that programs write for a missing value.
func missingMarks(path string, labels []string, seen map[string]use) (Finding, bool) {
	var names []string
	var u use
	for _, label := range labels {
		if !slices.Contains(marks, strings.Trim(canonical(label), `"' `)) {
			continue
		}
		names = append(names, fmt.Sprintf("%s (%d)", place.Quote(label), seen[label].count))
		u.count += seen[label].count
		if u.line == 0 || seen[label].line < u.line {
			u.line = seen[label].line
		}
	}
	if len(names) == 0 {
		return Finding{}, false
	}
	what := "a class is named like the mark"
	if len(names) > 1 {
		what = "classes are named like the marks"
	}
	return Finding{Kind: "missing_labels", Path: path, Line: u.line, Count: u.count,
		Text: fmt.Sprintf("%s of a missing label: %s; rows without a label belong in no class", what,
			strings.Join(names, ", "))}, true
}

// few is the number of examples from which a class with a single one is more likely a
// misspelled label, a repeated header or a mark such as nan than a class.
const few = 20

// single returns a finding if classes have a single example.
func single(path string, labels []string, rows []row, seen map[string]use) (Finding, bool) {
	var names []string
	line := 0
	for _, label := range labels {
		if u := seen[label]; u.count == 1 {
			names = append(names, place.Quote(label))
			if line == 0 || u.line < line {
				line = u.line
			}
		}
	}
	if len(names) == 0 || len(rows) < few {
		return Finding{}, false
	}
	text := fmt.Sprintf("%d of %d classes %s a single example: ", len(names), len(labels),
		singular(len(names), "has", "have"))
	shown := strings.Join(names[:min(len(names), 5)], ", ")
	if more := len(names) - 5; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return Finding{Kind: "single", Path: path, Line: line, Count: len(names), Text: text + shown}, true
}

// canonical returns a text that is equal for labels that a reader would take
// for the same label. Format characters such as a zero-width space or a byte order
// mark are invisible, so it leaves them out.
func canonical(label string) string {
	label = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, label)
	label = mangled.Repair(label)
	form := cases.Fold().String(norm.NFKC.String(strings.Join(strings.Fields(label), " ")))
	if v, err := number64(form); err == nil {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return norm.NFKC.String(form)
}

// mixedKinds returns a finding if the JSON labels have several types, such as
// strings and numbers.
func mixedKinds(path string, rows []row) (Finding, bool) {
	seen := map[string]use{}
	var order []string
	for _, r := range rows {
		if r.kind == "" || !r.hasLabel {
			continue
		}
		u, known := seen[r.kind]
		if !known {
			u.line = r.line
			order = append(order, r.kind)
		}
		u.count++
		seen[r.kind] = u
	}
	if len(order) < 2 {
		return Finding{}, false
	}
	var parts []string
	for _, kind := range order {
		parts = append(parts, place.Count(seen[kind].count, kind, kind+"s"))
	}
	return Finding{Kind: "mixed_labels", Path: path, Line: seen[order[1]].line, Count: seen[order[1]].count,
		Text: "the labels are of several JSON types: " + strings.Join(parts, ", ")}, true
}

// mergedNumbers returns a finding for each class whose JSON numbers are written in
// several ways, such as 0 and 0.0.
func mergedNumbers(path string, rows []row) (found []Finding) {
	type class struct {
		first, other string // the first way of writing and the first other one
		use                 // of the others
	}
	seen := map[string]*class{}
	for _, r := range rows {
		if r.kind != "number" {
			continue
		}
		text := cmp.Or(r.written, r.label)
		c := seen[r.label]
		switch {
		case c == nil:
			seen[r.label] = &class{first: text}
		case text == c.first:
		case c.count == 0:
			c.other, c.use = text, use{1, r.line}
		default:
			c.count++
		}
	}
	for _, label := range slices.Sorted(maps.Keys(seen)) {
		if c := seen[label]; c.count > 0 {
			found = append(found, Finding{Kind: "merged_labels", Path: path, Line: c.line, Count: c.count,
				Text: fmt.Sprintf("label %s is also written %s, and they are one class", place.List([]string{c.first}),
					place.List([]string{c.other}))})
		}
	}
	return found
}

// number64 parses a number in decimal digits. It accepts neither hexadecimal
// numbers nor underscores nor infinities.
func number64(s string) (float64, error) {
	if s == "" || strings.Trim(s, "+-.0123456789eE") != "" || strings.ContainsAny(s[:1], "eE") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

// withheld returns the labels that mark withheld labels in a test split: "?",
// and GLUE's -1 unless it is a class or one score among others.
func (t Task) withheld(seen map[string]use) []string {
	var marks []string
	for _, mark := range []string{"?", "-1", "-1.0"} {
		if _, there := seen[mark]; !there || slices.Contains(t.Labels, mark) || t.Labels == nil && mark != "?" &&
			len(seen) > 1 {
			continue
		}
		marks = append(marks, mark)
	}
	return marks
}

// takeWithheld removes the marks of withheld labels from the rows of a test
// split and returns findings about them and about the labels that are left.
func (t Task) takeWithheld(path string, rows []row) (found []Finding) {
	marks := t.withheld(uses(rows))
	taken, line := 0, 0
	for i := range rows {
		r := &rows[i]
		if slices.Contains(marks, r.label) {
			if taken++; line == 0 {
				line = r.line
			}
			r.label, r.hasLabel = "", false
		}
	}
	if taken > 0 {
		found = append(found, Finding{Kind: "withheld", Path: path, Line: line, Count: taken,
			Text: fmt.Sprintf("label %s, %s, is read as a withheld label", place.Quote(marks[0]),
				place.Count(taken, "time", "times"))})
	}
	return append(found, partlyLabelled(path, rows)...)
}

// partlyLabelled returns a finding if some rows of a test split have a label and others have none.
func partlyLabelled(path string, rows []row) (found []Finding) {
	labelled := 0
	for _, r := range rows {
		if r.hasLabel {
			labelled++
		}
	}
	if labelled > 0 && labelled < len(rows) {
		first := slices.IndexFunc(rows, func(r row) bool { return !r.hasLabel })
		found = append(found,
			Finding{Kind: "partly_labelled", Path: path, Line: rows[first].line, Count: len(rows) - labelled,
				Text: fmt.Sprintf("%d of %d examples %s; there are scores only if all have one", labelled, len(rows),
					singular(labelled, "has a label", "have labels"))})
	}
	return found
}
