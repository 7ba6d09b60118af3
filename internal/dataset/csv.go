package dataset

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/place"
)

// maxRecord is the most bytes of one CSV record.
const maxRecord = 16 * maxText

// csvReader parses CSV as RFC 4180 defines it and Python's csv module reads it:
// a quoted field may span several lines and keeps their line ends unchanged.
// Package encoding/csv converts CR LF to LF there, which would change the ids
// of a byte-level tokenizer.
type csvReader struct {
	path string
	in   *bufio.Reader
	at   place.Position // of the byte read last
	size int            // bytes of the record so far
}

// csvField is a field with the place of its start.
type csvField struct {
	text     string
	at       place.Position
	lastLine int
	quoted   bool
}

// csvRows reads the rows of a CSV file with a header line.
type csvRows struct {
	path  string
	in    *csvReader
	width int // number of columns
	at    columns
	id    int // of the next row
	spans spanning
}

// openCSV reads the header line.
func openCSV(path string, r io.Reader, l layout) (*csvRows, error) {
	in := &csvReader{path: path, in: bufio.NewReaderSize(r, 1<<16), at: place.Position{Line: 1}}
	// A byte order mark would become part of the name of the first column.
	if mark, _ := in.in.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		in.in.Discard(len(byteOrderMark))
	}
	head, err := in.next()
	if err == io.EOF {
		return nil, errEmpty(path)
	}
	if err != nil {
		return nil, err
	}
	header := texts(head)
	at, err := l.locate(path, header)
	if err != nil {
		return nil, otherSeparator(err, header, ",")
	}
	return &csvRows{path: path, in: in, width: len(header), at: at}, nil
}

// next implements rows.
func (c *csvRows) next() (row, error) {
	fields, err := c.in.next()
	if err == io.EOF {
		return row{}, err
	}
	id := c.id
	c.id++
	var bad *BadRow
	if errors.As(err, &bad) && bad.midway {
		// What remains of the record cannot be divided into fields.
		c.in.skipLine()
	}
	if err != nil {
		return row{id: id}, err
	}
	if len(fields) != c.width {
		return row{id: id}, badRow("dataset: read %s:%d: %s; want %d separated by commas", c.path,
			fields[0].at.Line, place.Count(len(fields), "column", "columns"), c.width)
	}
	for _, f := range fields {
		if err := c.spans.add(c.path, f, c.width); err != nil {
			return row{id: id}, err
		}
	}
	return c.at.row(id, fields[0].at.Line, texts(fields)), nil
}

// readCSV reads a file with a header line.
func readCSV(path string, r io.Reader, l layout) (t table, err error) {
	in, err := openCSV(path, r, l)
	if err != nil {
		return t, err
	}
	if err := t.fill(in, false); err != nil {
		return t, err
	}
	if len(t.rows) == 0 {
		return t, errNoRows(path)
	}
	t.findings = in.spans.findings(path)
	return t, nil
}

func texts(fields []csvField) []string {
	s := make([]string, len(fields))
	for i, f := range fields {
		s[i] = f.text
	}
	return s
}

// next returns the fields of the next record that is not a blank line, or
// io.EOF.
func (r *csvReader) next() ([]csvField, error) {
	for {
		fields, err := r.record()
		if err != nil || len(fields) > 1 || fields[0].text != "" || fields[0].quoted {
			return fields, err
		}
	}
}

// record returns the fields of one record; a blank line is one empty field.
func (r *csvReader) record() ([]csvField, error) {
	if _, err := r.in.Peek(1); err != nil {
		return nil, r.broken(err)
	}
	r.size = 0
	var fields []csvField
	var fault error
	for {
		f, end, err := r.field()
		if err != nil {
			return nil, err
		}
		if bad := invalidUTF8(f.text); bad >= 0 && fault == nil {
			line := f.at.Line + strings.Count(f.text[:bad], "\n")
			fault = badRow("dataset: read %s:%d: byte 0x%02x is not UTF-8; want a file encoded as UTF-8", r.path, line,
				f.text[bad])
		}
		fields = append(fields, f)
		if end {
			return fields, fault
		}
	}
}

// broken returns the error of a file that cannot be read; it returns io.EOF
// unchanged.
func (r *csvReader) broken(err error) error {
	if err == io.EOF {
		return err
	}
	return fmt.Errorf("dataset: read %s: %w", r.path, err)
}

// fault returns an error at a place of the file.
func (r *csvReader) fault(at place.Position, format string, a ...any) error {
	return fmt.Errorf("dataset: read %s:%s: %s", r.path, at, fmt.Sprintf(format, a...))
}

// stray returns the error of a character inside a record that cannot be there. The next record probably begins on the
// next line.
func (r *csvReader) stray(at place.Position, format string, a ...any) error {
	return &BadRow{err: r.fault(at, format, a...), midway: true}
}

// skipLine reads to the end of the line. What it cannot read, the next record reports.
func (r *csvReader) skipLine() {
	for {
		b, err := r.in.ReadByte()
		if err != nil {
			return
		}
		if b == '\n' {
			r.lineEnd()
			return
		}
	}
}

// read returns the next byte and counts lines and columns.
func (r *csvReader) read() (byte, error) {
	b, err := r.in.ReadByte()
	if err != nil {
		return 0, r.broken(err)
	}
	if r.size++; r.size > maxRecord {
		return 0, r.fault(r.at, "a record of more than %d MiB; want one example per record", maxRecord>>20)
	}
	if b == 0 {
		return 0, r.stray(r.at, "a NUL byte; want text")
	}
	if utf8.RuneStart(b) {
		r.at.Column++
	}
	return b, nil
}

// lineEnd moves the position to the next line.
func (r *csvReader) lineEnd() { r.at = place.Position{Line: r.at.Line + 1} }

// afterCR reads the LF that must follow a CR outside of quotes.
func (r *csvReader) afterCR() error {
	at := r.at
	b, err := r.read()
	if err == nil && b != '\n' {
		if at.Line == 1 {
			return errCR(r.path, b == '\r')
		}
		return r.stray(at, "a carriage return outside of quotes that no line feed follows; want line ends LF or CR LF, "+
			"and the field in quotes")
	}
	if err == nil || err == io.EOF {
		r.lineEnd()
		return nil
	}
	return err
}

// field reads one field with the separator after it. end is true if it is the
// last of its record.
func (r *csvReader) field() (f csvField, end bool, err error) {
	var text []byte
	f.at = place.Position{Line: r.at.Line, Column: r.at.Column + 1}
	for {
		b, err := r.read()
		if err == io.EOF {
			f.text, f.lastLine = string(text), r.at.Line
			return f, true, nil
		}
		if err != nil {
			return f, false, err
		}
		switch {
		case b == '"' && len(text) == 0 && !f.quoted:
			f.quoted = true
			if text, err = r.quoted(f.at); err != nil {
				return f, false, err
			}
			continue
		case b == ',' || b == '\n' || b == '\r':
			f.text, f.lastLine = string(text), r.at.Line
			switch b {
			case '\n':
				r.lineEnd()
			case '\r':
				err = r.afterCR()
			}
			return f, b != ',', err
		case f.quoted:
			return f, false, r.stray(r.at,
				"text follows the quote that closes a field, which opened on line %d; want quotes inside a field doubled",
				f.at.Line)
		case b == '"':
			return f, false, r.stray(r.at,
				"a quote inside a field that does not begin with one; want the field in quotes and quotes inside it doubled")
		}
		if text = append(text, b); len(text) > maxText {
			return f, false, r.fault(f.at, "a field of more than %d bytes; want at most that", maxText)
		}
	}
}

// quoted reads to the quote that closes a field whose quote opened at open.
func (r *csvReader) quoted(open place.Position) (text []byte, err error) {
	for {
		b, err := r.read()
		if err == io.EOF {
			return nil, r.fault(open, "the quote that opens here is never closed; want quotes inside a field doubled")
		}
		if err != nil {
			return nil, err
		}
		switch b {
		case '"':
			if next, _ := r.in.Peek(1); string(next) != `"` {
				return text, nil
			}
			if _, err := r.read(); err != nil {
				return nil, err
			}
		case '\n':
			r.lineEnd()
		}
		if text = append(text, b); len(text) > maxText {
			return nil, r.fault(open,
				"the quote that opens here is not closed within %d bytes; want quotes inside a field doubled", maxText)
		}
	}
}

// spanning counts the fields that span several lines.
type spanning struct{ fields, first, longest int }

// add counts f. It returns an error if f probably contains records because one
// stray quote opened it and another closed it lines later. Lines between the
// quotes look like records if they have as many columns as the file and no
// blank after a comma, which prose would have.
func (s *spanning) add(path string, f csvField, width int) error {
	lines := strings.Split(f.text, "\n")
	if len(lines) == 1 {
		return nil
	}
	if s.fields++; s.first == 0 {
		s.first = f.at.Line
	}
	s.longest = max(s.longest, len(lines))
	records := 0
	for _, line := range lines[1 : len(lines)-1] {
		if strings.Count(line, ",") == width-1 && !strings.Contains(line, ", ") && width > 1 {
			records++
		}
	}
	if records >= 3 && 2*records >= len(lines)-2 {
		return fmt.Errorf("dataset: read %s:%s: the quote that opens here closes on line %d, and %d of the lines between "+
			"look like records; want quotes inside a field doubled",
			path, f.at, f.lastLine, records)
	}
	return nil
}

func (s *spanning) findings(path string) []Finding {
	if s.fields == 0 {
		return nil
	}
	return []Finding{{Kind: "spanning", Path: path, Line: s.first, Count: s.fields,
		Text: fmt.Sprintf("%s over several lines, the longest over %d", place.Count(s.fields, "field", "fields"), s.longest)}}
}

// otherSeparator returns err, the error of a missing column. If the header
// looks as if another character separated the columns, it says so.
func otherSeparator(err error, header []string, separator string) error {
	if len(header) != 1 {
		return err
	}
	for _, s := range []struct{ sep, name string }{{";", "semicolons"}, {"\t", "tabs"}, {",", "commas"}, {"|", "bars"}} {
		if s.sep == separator || !strings.Contains(header[0], s.sep) {
			continue
		}
		want := "want commas"
		switch {
		case s.sep == "\t":
			want = "want a name in .tsv, or commas"
		case separator == "\t":
			want = "want tabs"
			if s.sep == "," {
				want = "want a name in .csv, or tabs"
			}
		}
		return fmt.Errorf("%w; the columns look separated by %s: %s", err, s.name, want)
	}
	return err
}

// errCR returns the error of a file whose lines end in CR alone, so that it would be
// read as one line, or if double is set in CR CR LF, which a program writes that
// converts line ends twice.
func errCR(path string, double bool) error {
	ends, tr := "CR (old Mac)", `tr '\r' '\n'`
	if double {
		ends, tr = "CR CR LF (converted twice)", `tr -d '\r'`
	}
	return fmt.Errorf(`dataset: read %s:1: the line ends are %s; want LF or CR LF, as in %s <%s >NEW`, path, ends, tr,
		path)
}
