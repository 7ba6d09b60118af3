package dataset

import (
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// quoting finds out whether a TSV file has quoted fields. Spreadsheets and
// pandas quote a field that contains a quote: every such field starts and ends
// with a quote, and quotes inside are doubled. A text that happens to start and
// end with a quote looks the same, so only a doubled quote or a header in
// quotes is proof.
type quoting struct {
	layout
	quotedHeader bool
	whole        int // number of quoted fields
	doubled      int // number of quoted fields with a doubled quote inside
	first        int // line of the first quoted field
	loose        int // number of fields with a quote that are not quoted fields
	firstLoose   int // line of the first of these
}

// header returns the names of the columns, without quotes if all of them are
// quoted.
func (q *quoting) header(names []string) []string {
	if !q.quotes {
		return names
	}
	bare := make([]string, len(names))
	for i, name := range names {
		var ok bool
		if bare[i], ok = unquote(name); !ok {
			return names
		}
	}
	q.quotedHeader = true
	return bare
}

// look counts the fields of one row.
func (q *quoting) look(fields []string, line int) {
	if !q.quotes {
		return
	}
	for _, f := range fields {
		if !strings.Contains(f, `"`) {
			continue
		}
		bare, ok := unquote(f)
		switch {
		case ok:
			if q.whole++; q.first == 0 {
				q.first = line
			}
			if strings.Contains(bare, `"`) {
				q.doubled++
			}
		default:
			if q.loose++; q.firstLoose == 0 {
				q.firstLoose = line
			}
		}
	}
}

// unquote returns the content of a quoted field. ok is false if f is not a
// quoted field.
func unquote(f string) (string, bool) {
	if len(f) < 2 || f[0] != '"' || f[len(f)-1] != '"' {
		return f, false
	}
	f = f[1 : len(f)-1]
	if strings.Count(f, `"`) != 2*strings.Count(f, `""`) {
		return f, false
	}
	return strings.ReplaceAll(f, `""`, `"`), true
}

// certain reports whether the rows so far have quoted fields beyond doubt.
func (q *quoting) certain() bool { return q.loose == 0 && (q.doubled > 0 || q.quotedHeader) }

// contradiction returns an error if the header is in quotes and a field cannot be.
func (q *quoting) contradiction(path string) error {
	if !q.quotedHeader || q.loose == 0 {
		return nil
	}
	return fmt.Errorf("dataset: read %s:%d: the names of the columns are in quotes, but this field has a quote that "+
		"is neither around the whole field nor doubled; want quotes around the whole field and doubled inside, or no quotes",
		path, q.firstLoose)
}

// settle removes the quotes of the fields of t if the file certainly has quoted
// fields. It adds a finding that says so, or that the quotes were kept.
func (q *quoting) settle(path string, t *table) error {
	if err := q.contradiction(path); err != nil {
		return err
	}
	switch {
	case q.certain():
		for i := range t.rows {
			t.rows[i].unquote(q.lists)
		}
		if q.whole > 0 {
			t.findings = append(t.findings, Finding{Kind: "quoted", Path: path, Line: q.first, Count: q.whole,
				Text: fmt.Sprintf("quotes around a whole field, %s, are removed, and doubled quotes inside are read as one",
					place.Count(q.whole, "time", "times"))})
		}
	case q.whole > q.loose:
		t.findings = append(t.findings, Finding{Kind: "quotes", Path: path, Line: q.first, Count: q.whole,
			Text: fmt.Sprintf("quotes around a whole field, %s, are kept, because .tsv has no quoting; if they are not part "+
				"of the text, write the file as .csv", place.Count(q.whole, "time", "times"))})
	}
	return nil
}

func (r *row) unquote(lists bool) {
	r.a, _ = unquote(r.a)
	if r.b != nil {
		*r.b, _ = unquote(*r.b)
	}
	for i := range r.kept {
		r.kept[i].Text, _ = unquote(r.kept[i].Text)
	}
	for i := range r.flags {
		r.flags[i], _ = unquote(r.flags[i])
	}
	if bare, ok := unquote(r.label); ok {
		r.label, r.hasLabel = bare, lists || strings.TrimSpace(bare) != ""
	}
}

// hint returns an explanation for a row with a wrong number of columns if it
// has an unclosed quote.
func (q *quoting) hint(fields []string) string {
	if !q.quotes {
		return ""
	}
	for _, f := range fields {
		if strings.Count(f, `"`)%2 == 1 && (strings.HasPrefix(f, `"`) || strings.HasSuffix(f, `"`)) {
			return "; it opens or closes a quote, and .tsv has no quoted fields over several lines or tabs: write the file " +
				"as .csv"
		}
	}
	return ""
}
