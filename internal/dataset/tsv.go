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

// next returns the next line without its line end and without a byte order
// mark, or io.EOF.
func (l *lines) next() (string, error) {
	for {
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
			return "", fmt.Errorf("dataset: read %s:%d: a line of more than %d MiB; want one example per line", l.path, l.n,
				maxLine>>20)
		}
		if i := strings.IndexByte(s, 0); i >= 0 {
			return "", fmt.Errorf("dataset: read %s:%d:%d: a NUL byte; want text", l.path, l.n, place.At([]byte(s), i).Column)
		}
		if i := invalidUTF8(s); i >= 0 {
			return "", fmt.Errorf("dataset: read %s:%d:%d: byte 0x%02x is not UTF-8; want a file encoded as UTF-8", l.path, l.n,
				place.At([]byte(s), i).Column, s[i])
		}
		if l.n == 1 && strings.ContainsRune(s, '\r') {
			return "", errCR(l.path, strings.IndexByte(s, '\r') == len(s)-1)
		}
		if s != "" {
			return s, nil
		}
	}
}

// maxLine is the largest size of a line in bytes. It has room for two texts and
// other columns.
const maxLine = 4 * maxText

// line returns the next line with its line end. It stops after more than
// maxLine bytes.
func (l *lines) line() (string, error) {
	var line []byte
	for {
		part, err := l.r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err != bufio.ErrBufferFull:
			return string(line), err
		case len(line) > maxLine+2:
			return string(line), nil
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

// readTSV reads a file whose columns are separated by tabs. A quote is an
// ordinary character, because GLUE's files have unbalanced quotes; quoted
// fields are recognised only if layout.quotes is set and the whole file has
// them. If layout.skipBad is set, the table contains the number of skipped
// rows.
func readTSV(path string, r io.Reader, l layout) (t table, err error) {
	in := lines{path: path, r: bufio.NewReaderSize(r, 1<<16)}
	header := l.header
	q := quoting{layout: l}
	if header == nil {
		line, err := in.next()
		if err == io.EOF {
			return t, errEmpty(path)
		}
		if err != nil {
			return t, err
		}
		header = q.header(strings.Split(line, "\t"))
	}
	at, err := l.locate(path, header)
	if err != nil {
		return t, otherSeparator(err, header, "\t")
	}
	for {
		line, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return t, err
		}
		fields := strings.Split(line, "\t")
		if len(fields) != len(header) {
			if l.skipBad {
				t.skipped++
				if t.firstSkipped == 0 {
					t.firstSkipped = in.n
				}
				continue
			}
			return t, fmt.Errorf("dataset: read %s:%d: %d columns; want %d separated by tabs%s", path, in.n, len(fields),
				len(header), q.hint(fields))
		}
		q.look(fields, in.n)
		t.rows = append(t.rows, at.row(len(t.rows)+t.skipped, in.n, fields))
	}
	if err := t.checkSkipped(path, header); err != nil {
		return t, err
	}
	if len(t.rows) == 0 && l.header != nil {
		return t, errEmpty(path)
	}
	if len(t.rows) == 0 {
		return t, errNoRows(path)
	}
	return t, q.settle(path, &t)
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
		return fmt.Errorf("dataset: read %s: all %d rows malformed; want %d columns separated by tabs", path, t.skipped,
			len(header))
	case t.skipped > max(handful, all/100):
		return fmt.Errorf("dataset: read %s:%d: %d of %d rows do not have %d columns separated by tabs, of which this is "+
			"the first; want at most one in a hundred",
			path, t.firstSkipped, t.skipped, all, len(header))
	}
	t.findings = append(t.findings, Finding{Kind: "skipped", Path: path, Line: t.firstSkipped, Count: t.skipped,
		Text: fmt.Sprintf("%s without %d columns were left out, of %d", counted(t.skipped, "row"), len(header), all)})
	return nil
}

func errEmpty(path string) error {
	return fmt.Errorf("dataset: read %s: file is empty; want at least one example", path)
}

func errNoRows(path string) error {
	return fmt.Errorf("dataset: read %s: a header and no example; want at least one example", path)
}
