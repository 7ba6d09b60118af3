package dataset

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
)

// defaultSeparator separates the labels of a column if Config.Separator is empty.
const defaultSeparator = ","

// Threshold is the probability from which a label is predicted if Config.Threshold is 0.
const Threshold = 0.5

// inColumns reports whether the labels of a multi-label task are columns of 0 and 1.
func (c Config) inColumns() bool { return c.Kind == MultiLabel && c.Label == "" }

// checkMultiLabel checks the keys of multi-label classification.
func (c Config) checkMultiLabel(f *faults) {
	c.checkLabels(f)
	separator := c.separator()
	if err := checkLabel(separator); err != nil {
		f.add("separator", "%s has a control character; want a text such as a comma", place.Quote(c.Separator))
	}
	if c.Label == "" {
		if len(c.Labels) == 0 {
			f.add("label", "not set; want the name of the column that lists the labels, or in data.labels the names of "+
				"columns of 0 and 1")
		}
		for _, label := range c.Labels {
			if slices.Contains(c.Text, label) {
				f.add("labels", "%q is a text column too; want columns of 0 and 1", label)
			}
		}
	}
	for _, label := range c.Labels {
		if strings.Contains(label, separator) {
			f.add("labels", "%q has the separator %q in it; want another data.separator", label, separator)
		}
	}
}

// refuseMultiLabel reports keys of multi-label classification in a section of another kind.
func (c Config) refuseMultiLabel(f *faults) {
	if c.Separator != "" {
		f.add("separator", "set, but only data.kind multilabel has several labels; leave it out")
	}
	if c.Threshold != 0 {
		f.add("threshold", "set, but only data.kind multilabel has a threshold; leave it out")
	}
}

// multiLabelTask returns the task of c without the names of the labels.
func (c Config) multiLabelTask() Task {
	t := Task{Name: customTask, Kind: MultiLabel, Text: c.Text, Threshold: c.Threshold, Separator: c.separator(),
		Metrics: []string{"f1_micro", "f1_macro", "subset_accuracy"}}
	if t.Threshold == 0 {
		t.Threshold = Threshold
	}
	return t
}

func (c Config) separator() string {
	if c.Separator == "" {
		return defaultSeparator
	}
	return c.Separator
}

// splitLabels returns the labels that a text lists.
func splitLabels(list, separator string) ([]string, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	if isList(list) {
		if !json.Valid([]byte(list)) {
			return nil, fmt.Errorf("labels %s are a list that is not JSON; want a list such as [\"a\", \"b\"], or labels with "+
				"%s between them", place.Quote(list), place.Quote(separator))
		}
		return labelList(json.RawMessage(strings.TrimSpace(list)))
	}
	if strings.TrimSpace(separator) == "" {
		return strings.Fields(list), nil
	}
	labels := strings.Split(list, separator)
	for i, label := range labels {
		if labels[i] = strings.TrimSpace(label); labels[i] == "" {
			return nil, fmt.Errorf("labels %s have an empty one; want one %s between two labels", place.Quote(list),
				place.Quote(separator))
		}
	}
	return labels, nil
}

// isList reports whether a label is a list, as JSON or as Python writes it.
func isList(label string) bool {
	label = strings.TrimSpace(label)
	if !strings.HasPrefix(label, "[") || !strings.HasSuffix(label, "]") {
		return false
	}
	first := strings.TrimSpace(label[1:])
	return json.Valid([]byte(label)) || strings.HasPrefix(first, "'") || strings.HasPrefix(first, `"`)
}

// checkNoList returns an error if one of the labels from which the classes are taken is a list.
func checkNoList(path string, labels []string, seen map[string]use) error {
	for _, label := range labels {
		if isList(label) {
			return place.Mistake(fmt.Errorf("dataset: read %s:%d: label %s is a list; want data.kind: multilabel for texts "+
				"with several labels, or all classes in data.labels", path, seen[label].line, place.Quote(label)))
		}
	}
	return nil
}

// listed returns a row for each label of the rows of a multi-label task, so that labels are counted as classes are.
func (t Task) listed(path string, rows []row) (each []row, err error) {
	for _, r := range rows {
		list := r.list
		if list == nil {
			if list, err = splitLabels(r.label, t.Separator); err != nil {
				return nil, fmt.Errorf("dataset: read %s:%d: %w", path, r.line, err)
			}
		}
		for _, label := range list {
			if strings.Contains(label, t.Separator) {
				return nil, place.Mistake(fmt.Errorf("dataset: read %s:%d: label %s has the separator %s in it; want another "+
					"data.separator", path, r.line, place.Quote(label), place.Quote(t.Separator)))
			}
			each = append(each, row{line: r.line, label: label, hasLabel: true})
		}
	}
	return each, nil
}

// set returns the indices of the labels of a row in ascending order.
func (t Task) set(r row) ([]int32, error) {
	list, err := r.list, error(nil)
	switch {
	case r.flags != nil:
		return t.flagged(r.flags)
	case list == nil:
		if list, err = splitLabels(r.label, t.Separator); err != nil {
			return nil, err
		}
	}
	set := make([]int32, 0, len(list))
	for _, label := range list {
		i := slices.Index(t.Labels, label)
		if i < 0 {
			return nil, fmt.Errorf("label %s is not in the task's set; want one of %s", place.Quote(label),
				oneOf(label, t.Labels))
		}
		if slices.Contains(set, int32(i)) {
			return nil, fmt.Errorf("label %s occurs twice in one example; want each label once", place.Quote(label))
		}
		set = append(set, int32(i))
	}
	slices.Sort(set)
	return set, nil
}

// flagged returns the indices of the labels whose columns have a 1.
func (t Task) flagged(flags []string) (set []int32, err error) {
	set = []int32{}
	for i, flag := range flags {
		flag = strings.TrimSpace(flag)
		v, err := number64(flag)
		switch {
		case err == nil && v == 1, strings.EqualFold(flag, "true"):
			set = append(set, int32(i))
		case err == nil && v == 0, strings.EqualFold(flag, "false"):
		default:
			return nil, fmt.Errorf("column %s is %s; want 0 or 1", place.Quote(t.Labels[i]), place.Quote(flag))
		}
	}
	return set, nil
}

// withheldFlags reports whether the columns of labels are empty or -1, which marks withheld labels.
func withheldFlags(flags []string) bool {
	return !slices.ContainsFunc(flags, func(flag string) bool {
		flag = strings.TrimSpace(flag)
		return flag != "" && flag != "-1"
	})
}

// takeWithheldSets removes the labels from the rows of a test split whose labels are withheld: those in which all
// columns of labels are empty or -1, and all rows if the column of labels is empty in each.
func (t Task) takeWithheldSets(rows []row) {
	none := !slices.ContainsFunc(rows, func(r row) bool { return len(r.list) > 0 || strings.TrimSpace(r.label) != "" })
	for i := range rows {
		if r := &rows[i]; r.flags != nil && withheldFlags(r.flags) || r.flags == nil && none && r.list == nil {
			r.hasLabel, r.flags = false, nil
		}
	}
}

// Targets returns for each example and each label 1 or 0, [n, labels]. The row of an example without labels is 0.
func (t Task) Targets(examples []Example) []float32 {
	targets := make([]float32, len(examples)*len(t.Labels))
	for i, x := range examples {
		for _, label := range x.Set {
			targets[i*len(t.Labels)+int(label)] = 1
		}
	}
	return targets
}

// List returns the names of a set of labels.
func (t Task) List(set []int32) []string {
	names := make([]string, len(set))
	for i, label := range set {
		names[i] = t.Labels[label]
	}
	return names
}

// setProfile describes the labels of the examples of a multi-label split, and counts them in p.
func (t Task) setProfile(p *Profile, examples []Example) string {
	labelled, marks, none := 0, 0, 0
	for _, x := range examples {
		if !x.HasLabel {
			continue
		}
		labelled++
		marks += len(x.Set)
		if len(x.Set) == 0 {
			none++
		}
		for _, label := range x.Set {
			p.Classes[label]++
		}
	}
	if labelled == 0 {
		return "no labels"
	}
	return fmt.Sprintf("%s (%.2f labels an example, %d without)", t.counts(p.Classes), float64(marks)/float64(labelled),
		none)
}

// lintSets returns the findings about labels that no example or every example of a multi-label split has.
func (t Task) lintSets(s *Split) (found []Finding) {
	counts, labelled := make([]int, len(t.Labels)), 0
	for _, x := range s.Examples {
		if x.HasLabel {
			labelled++
		}
		for _, label := range x.Set {
			counts[label]++
		}
	}
	if labelled == 0 {
		return nil
	}
	for _, constant := range []struct {
		kind, text string
		count      int
	}{{"unused_labels", "no example has", 0}, {"constant_labels", "every example has", labelled}} {
		var names []string
		for i, n := range counts {
			if n == constant.count {
				names = append(names, t.Labels[i])
			}
		}
		if names != nil {
			found = append(found, Finding{Kind: constant.kind, Path: s.Path, Count: len(names),
				Text: fmt.Sprintf("%s %s %s; scores of it mean little", constant.text,
					singular(len(names), "the label", "the labels"), place.List(names))})
		}
	}
	return found
}

// lintSeparator returns a finding if labels look like lists with another separator than that of the task: a part of one
// is a label too, or several have the character.
func lintSeparator(path string, labels []string) []Finding {
	for _, separator := range []string{";", "|", ","} {
		var joined []string
		known := false
		for _, label := range labels {
			parts := strings.Split(label, separator)
			if len(parts) == 1 {
				continue
			}
			joined = append(joined, label)
			known = known || slices.ContainsFunc(parts, func(part string) bool {
				return slices.Contains(labels, strings.TrimSpace(part))
			})
		}
		if known || len(joined) > 1 {
			return []Finding{{Kind: "separator", Path: path, Count: len(joined),
				Text: fmt.Sprintf("%s %q, such as %s; if it is between labels, set data.separator to it",
					place.Count(len(joined), "label has", "labels have"), separator, place.Quote(joined[0]))}}
		}
	}
	return nil
}

// checkMetrics returns an error if a metric of the task does not compare what it predicts.
func (t Task) checkMetrics() (err error) {
	if t.Kind == Tokens {
		_, err = metric.NewTagAccumulator(t.Metrics, t.Labels)
	} else if t.Kind == MultiLabel {
		_, err = metric.NewSetAccumulator(t.Metrics, len(t.Labels))
	} else {
		_, err = metric.NewAccumulator(t.Metrics, t.Outputs())
	}
	return err
}
