package dataset

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// row is one record of a text file before its label is interpreted.
type row struct {
	id, line int
	a        string
	b        *string
	label    string
	hasLabel bool
	kind     string // of a JSON label: string, number or bool
	written  string // a JSON number as the file has it, if label is another text
	kept     []Value
	list     []string // the labels of a JSON list
	flags    []string // the columns of layout.flags
	words    []string // of a sentence whose words have tags
	tags     []string // of words; nil if they are withheld
}

// table is a text file that was split into rows.
type table struct {
	rows         []row
	skipped      int // number of rows that were left out
	firstSkipped int // line of the first of these
	findings     []Finding
}

// rows reads a file row by row.
type rows interface {
	// next returns the next row, io.EOF after the last, or an error. After a [*BadRow], whose row has only the id, the
	// next call returns the row after it.
	next() (row, error)
}

// BadRow is the error of a row that cannot be used, in a file whose other rows can be read.
type BadRow struct {
	err     error
	columns bool // it has another number of columns than the file
	midway  bool // reading ended inside the row
}

func (b *BadRow) Error() string { return b.err.Error() }

// Unwrap returns what is wrong, with the place.
func (b *BadRow) Unwrap() error { return b.err }

func badRow(format string, a ...any) *BadRow { return &BadRow{err: fmt.Errorf(format, a...)} }

// fill reads all rows. It leaves out those of another number of columns if the table was told to.
func (t *table) fill(from rows, skipBad bool) error {
	for {
		r, err := from.next()
		var bad *BadRow
		switch {
		case err == io.EOF:
			return nil
		case skipBad && errors.As(err, &bad) && bad.columns:
			if t.skipped++; t.firstSkipped == 0 {
				t.firstSkipped = r.line
			}
		case err != nil:
			return err
		default:
			t.rows = append(t.rows, r)
		}
	}
}

// layout describes where the texts and the label of a file are.
type layout struct {
	text      []string // names of the one or two text columns
	label     string   // name of the label column
	header    []string // column names of a file that has no header line
	needLabel bool     // every example must have a label
	skipBad   bool     // rows with a wrong number of columns are counted and not an error
	quotes    bool     // a TSV file may have quoted fields
	keep      []string // names of further columns that rows have
	lists     bool     // the label column lists labels, and an empty one lists none
	flags     []string // names of columns of 0 and 1, instead of a label column
}

// columns are the positions of a layout's columns in one file; label is -1 if
// there is none.
type columns struct {
	text  []int
	label int
	keep  []int
	flags []int
	lists bool
}

// locate returns the positions of the layout's columns in a header.
func (l layout) locate(path string, header []string) (columns, error) {
	at := columns{label: -1, lists: l.lists}
	for _, name := range l.text {
		i, err := find(name, header)
		if err != nil {
			return at, fmt.Errorf("dataset: read %s:1: %w", path, err)
		}
		at.text = append(at.text, i)
	}
	if l.label != "" && (l.needLabel || slices.Contains(header, l.label)) {
		i, err := find(l.label, header)
		if err != nil {
			return at, fmt.Errorf("dataset: read %s:1: %w", path, err)
		}
		at.label = i
	}
	if l.needLabel || slices.ContainsFunc(l.flags, func(name string) bool { return slices.Contains(header, name) }) {
		for _, name := range l.flags {
			i, err := find(name, header)
			if err != nil {
				return at, fmt.Errorf("dataset: read %s:1: %w", path, err)
			}
			at.flags = append(at.flags, i)
		}
	}
	for _, name := range l.keep {
		i, err := find(name, header)
		if err != nil {
			return at, fmt.Errorf("dataset: read %s:1: %w", path, err)
		}
		at.keep = append(at.keep, i)
	}
	return at, nil
}

func find(name string, header []string) (int, error) {
	i := slices.Index(header, name)
	if i < 0 {
		return 0, place.Mistake(fmt.Errorf("no column %s; the file has %s", place.Quote(name), oneOf(name, header)))
	}
	if slices.Contains(header[i+1:], name) {
		return 0, fmt.Errorf("column %s occurs more than once; want one column of that name", place.Quote(name))
	}
	return i, nil
}

// row returns the layout's fields of one record. It copies them, because a
// substring would keep the whole line in memory, and an MNLI line consists
// mostly of parse trees.
func (at columns) row(id, line int, fields []string) row {
	r := row{id: id, line: line, a: strings.Clone(fields[at.text[0]])}
	if len(at.text) == 2 {
		b := strings.Clone(fields[at.text[1]])
		r.b = &b
	}
	if at.label >= 0 {
		// A label that consists of blanks is never intended as a class.
		r.label = strings.Clone(fields[at.label])
		r.hasLabel = at.lists || strings.TrimSpace(r.label) != ""
	}
	for _, i := range at.flags {
		r.flags, r.hasLabel = append(r.flags, strings.Clone(fields[i])), true
	}
	for _, i := range at.keep {
		r.kept = append(r.kept, Value{Text: strings.Clone(fields[i])})
	}
	return r
}

// score is the closed range a regression target must lie in.
type score struct{ lo, hi float32 }

// anyScore is the range of a regression target without a range. Larger targets
// would have squares, which are the losses of a model that predicts 0, outside
// the range of float32.
var anyScore = score{-1e18, 1e18}

// parse returns the class index or the regression target of a label as it is
// written in a file.
func (t Task) parse(label string, s score) (float32, error) {
	if t.Labels != nil {
		i := slices.Index(t.Labels, label)
		if i < 0 {
			return 0, fmt.Errorf("label %s is not in the task's set; want one of %s", place.Quote(label), oneOf(label, t.Labels))
		}
		return float32(i), nil
	}
	v, err := number64(strings.TrimSpace(label))
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		hint := ""
		if _, err := number64(strings.Replace(strings.TrimSpace(label), ",", ".", 1)); err == nil {
			hint = ", with a decimal point"
		}
		return 0, fmt.Errorf("score %s is not a number; want %s%s", place.Quote(label), s, hint)
	}
	if !s.holds(float32(v)) {
		return 0, fmt.Errorf("score %s is out of range; want %s", place.List([]string{label}), s)
	}
	return float32(v), nil
}

// holds reports whether v is in the range, which NaN and infinities are not.
func (s score) holds(v float32) bool { return v >= s.lo && v <= s.hi }

func (s score) String() string {
	return fmt.Sprintf("a number from %g to %g", s.lo, s.hi)
}

// examples returns the examples of rows, whose labels it interprets. Errors
// contain path and line.
func (t Task) examples(path string, rows []row, needLabel bool, s score) ([]Example, error) {
	examples := make([]Example, len(rows))
	for i, r := range rows {
		longest := len(r.a)
		if r.b != nil {
			longest = max(longest, len(*r.b))
		}
		if longest > maxText {
			return nil, fmt.Errorf("dataset: read %s:%d: a text of %d bytes; want at most %d", path, r.line, longest, maxText)
		}
		e := Example{ID: r.id, Line: r.line, TextA: r.a, TextB: r.b, HasLabel: r.hasLabel, Words: r.words}
		if r.hasLabel && t.Kind == Tokens {
			var err error
			if e.Tags, err = t.tagsOf(path, r); err != nil {
				return nil, err
			}
		} else if r.hasLabel {
			var err error
			if t.Kind == MultiLabel {
				e.Set, err = t.set(r)
			} else {
				e.Label, err = t.parse(r.label, s)
			}
			if err != nil {
				return nil, fmt.Errorf("dataset: read %s:%d: %w", path, r.line, err)
			}
		} else if needLabel {
			return nil, fmt.Errorf("dataset: read %s:%d: example without label; want a label on every example used to train "+
				"or evaluate", path, r.line)
		}
		examples[i] = e
	}
	return examples, nil
}
