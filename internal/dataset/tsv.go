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

// lines yields the non-blank lines of a text file.
type lines struct {
	path string
	r    *bufio.Reader
	n    int // number of the line last returned
}

// next returns a line without its end and without the file's byte order mark,
// or io.EOF.
func (l *lines) next() (string, error) {
	for {
		s, err := l.r.ReadString('\n')
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
		if i := invalidUTF8(s); i >= 0 {
			return "", fmt.Errorf("dataset: read %s:%d:%d: byte 0x%02x is not UTF-8; want a file encoded as UTF-8", l.path, l.n, place.At([]byte(s), i).Column, s[i])
		}
		if s != "" {
			return s, nil
		}
	}
}

// invalidUTF8 is the offset of the first byte that is not UTF-8, or -1.
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

// readTSV splits on TAB and nothing else: GLUE's files hold unbalanced quotes,
// so a quote is a letter like any other. It returns the rows and how many were
// skipped under layout.skipBad.
func readTSV(path string, r io.Reader, l layout) ([]row, int, error) {
	in := lines{path: path, r: bufio.NewReader(r)}
	header := l.header
	if header == nil {
		line, err := in.next()
		if err == io.EOF {
			return nil, 0, errEmpty(path)
		}
		if err != nil {
			return nil, 0, err
		}
		header = strings.Split(line, "\t")
	}
	at, err := l.locate(path, header)
	if err != nil {
		return nil, 0, err
	}
	var rows []row
	skipped := 0
	for {
		line, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		fields := strings.Split(line, "\t")
		if len(fields) != len(header) {
			if l.skipBad {
				skipped++
				continue
			}
			return nil, 0, fmt.Errorf("dataset: read %s:%d: %d columns; want %d separated by tabs", path, in.n, len(fields), len(header))
		}
		rows = append(rows, at.row(len(rows)+skipped, in.n, fields))
	}
	if len(rows) == 0 {
		if skipped > 0 {
			return nil, 0, fmt.Errorf("dataset: read %s: all %d rows malformed; want %d columns separated by tabs", path, skipped, len(header))
		}
		if l.header != nil {
			return nil, 0, errEmpty(path)
		}
		return nil, 0, errNoRows(path)
	}
	return rows, skipped, nil
}

func errEmpty(path string) error {
	return fmt.Errorf("dataset: read %s: file is empty; want at least one example", path)
}

func errNoRows(path string) error {
	return fmt.Errorf("dataset: read %s: a header and no example; want at least one example", path)
}
