package dataset

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/place"
)

const byteOrderMark = "\ufeff"

// lines reads the lines of a text file that are not blank.
type lines struct {
	path string
	r    *bufio.Reader
	n    int // number of the last line that was returned
}

func linesOf(path string, r io.Reader) lines {
	return lines{path: path, r: bufio.NewReaderSize(r, 1<<16)}
}

// next returns the next line that is not empty, without its line end and without a byte order
// mark, or io.EOF.
func (l *lines) next() (string, error) {
	for {
		s, err := l.any()
		if err != nil || s != "" {
			return s, err
		}
	}
}

// any returns the next line, without its line end and without a byte order mark, or io.EOF.
func (l *lines) any() (string, error) {
	s, err := l.line()
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("dataset: read %s: %w", l.path, err)
	}
	if s == "" {
		return "", io.EOF
	}
	l.n++
	if l.n == 1 {
		s = strings.TrimPrefix(s, byteOrderMark)
	}
	s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	if len(s) > maxLine {
		return "", badRow("dataset: read %s:%d: a line of more than %d MiB; want one example per line", l.path, l.n,
			maxLine>>20)
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		return "", badRow("dataset: read %s:%d:%d: a NUL byte; want text", l.path, l.n, place.At([]byte(s), i).Column)
	}
	if i := invalidUTF8(s); i >= 0 {
		return "", badRow("dataset: read %s:%d:%d: byte 0x%02x is not UTF-8; want a file encoded as UTF-8", l.path, l.n,
			place.At([]byte(s), i).Column, s[i])
	}
	if l.n == 1 && strings.ContainsRune(s, '\r') {
		return "", errCR(l.path, strings.IndexByte(s, '\r') == len(s)-1)
	}
	return s, nil
}

// maxLine is the largest size of a line in bytes. It has room for two texts and
// other columns.
const maxLine = 4 * maxText

// endless is the size of a line in bytes from which its end is not looked for any more.
const endless = 64 * maxLine

// line returns the next line with its line end. Of a line of more than maxLine bytes it keeps little more than that.
func (l *lines) line() (string, error) {
	var line []byte
	for size := 0; ; {
		part, err := l.r.ReadSlice('\n')
		if size += len(part); len(line) <= maxLine+2 {
			line = append(line, part...)
		}
		switch {
		case err != bufio.ErrBufferFull:
			return string(line), err
		case size > endless:
			return "", fmt.Errorf("a line of more than %d MiB; want one example per line", endless>>20)
		}
	}
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") {
			return i
		}
	}
	return -1
}

// tsvRows reads the rows of a file whose columns are separated by tabs.
type tsvRows struct {
	in     lines
	q      quoting
	header []string
	at     columns
	id     int // of the next row
}

// openTSV reads the header line, if the layout has none.
func openTSV(path string, r io.Reader, l layout) (*tsvRows, error) {
	t := &tsvRows{in: linesOf(path, r), q: quoting{layout: l}, header: l.header}
	if t.header == nil {
		line, err := t.in.next()
		if err == io.EOF {
			return nil, errEmpty(path)
		}
		if err != nil {
			return nil, err
		}
		t.header = t.q.header(strings.Split(line, "\t"))
	}
	var err error
	if t.at, err = l.locate(path, t.header); err != nil {
		return nil, otherSeparator(err, t.header, "\t")
	}
	return t, nil
}

// next implements rows.
func (t *tsvRows) next() (row, error) {
	line, err := t.in.next()
	if err == io.EOF {
		return row{}, err
	}
	id := t.id
	t.id++
	if err != nil {
		return row{id: id}, err
	}
	fields := strings.Split(line, "\t")
	if len(fields) != len(t.header) {
		bad := badRow("dataset: read %s:%d: %s; want %d separated by tabs%s", t.in.path, t.in.n,
			place.Count(len(fields), "column", "columns"),
			len(t.header), t.q.hint(fields))
		bad.columns = true
		return row{id: id, line: t.in.n}, bad
	}
	t.q.look(fields, t.in.n)
	return t.at.row(id, t.in.n, fields), nil
}

// readTSV reads a file whose columns are separated by tabs. A quote is an
// ordinary character, because GLUE's files have unbalanced quotes; quoted
// fields are recognised only if layout.quotes is set and the whole file has
// them. If layout.skipBad is set, the table contains the number of skipped
// rows.
func readTSV(path string, r io.Reader, l layout) (t table, err error) {
	in, err := openTSV(path, r, l)
	if err != nil {
		return t, err
	}
	if err := t.fill(in, l.skipBad); err != nil {
		return t, err
	}
	if err := t.checkSkipped(path, in.header); err != nil {
		return t, err
	}
	if len(t.rows) == 0 && l.header != nil {
		return t, errEmpty(path)
	}
	if len(t.rows) == 0 {
		return t, errNoRows(path)
	}
	return t, in.q.settle(path, &t)
}

// checkSkipped returns an error if more than a hundredth of the rows was left
// out. QQP has a few such rows.
func (t *table) checkSkipped(path string, header []string) error {
	const handful = 10
	all := t.skipped + len(t.rows)
	switch {
	case t.skipped == 0:
		return nil
	case len(t.rows) == 0:
		return fmt.Errorf("dataset: read %s: %s, all of them malformed; want %d columns separated by tabs", path,
			place.Count(t.skipped, "row", "rows"),
			len(header))
	case t.skipped > max(handful, all/100):
		return fmt.Errorf("dataset: read %s:%d: %d of %d rows do not have %d columns separated by tabs; this row is the "+
			"first of them, and at most one row in a hundred may be malformed",
			path, t.firstSkipped, t.skipped, all, len(header))
	}
	t.findings = append(t.findings, Finding{Kind: "skipped", Path: path, Line: t.firstSkipped, Count: t.skipped,
		Text: fmt.Sprintf("%s without %d columns were left out, of %d", place.Count(t.skipped, "row", "rows"), len(header),
			all)})
	return nil
}

func errEmpty(path string) error {
	return fmt.Errorf("dataset: read %s: file is empty; want at least one example", path)
}

func errNoRows(path string) error {
	return fmt.Errorf("dataset: read %s: it has a header and no example; want at least one example", path)
}
