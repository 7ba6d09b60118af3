// Package terminaltest simulates a terminal for tests and shows what a person
// would see.
package terminaltest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"github.com/lor2c/lor2c/internal/terminal"
)

// Screen is a terminal of unlimited height. It supports the control sequences
// that package terminal writes. Like real terminals it breaks long lines into
// rows, and breaks them again when its width changes.
type Screen struct {
	width  int
	lines  [][]cell // as written; each ends with a newline
	line   int      // of the cursor
	column int      // of the cursor, in cells from the beginning of its line
	behind bool     // the cursor is behind the last written cell of a row
	style  string
}

type cell struct {
	text, style string // the second cell of a wide character has no text
}

// New returns an empty screen.
func New(width int) *Screen { return &Screen{width: width, lines: make([][]cell, 1)} }

// Terminal returns a description of the screen for package terminal.
func (s *Screen) Terminal() terminal.Terminal {
	return terminal.Terminal{Live: true, Colour: true, Width: func() int { return s.width }}
}

// Resize changes the width of the screen.
func (s *Screen) Resize(width int) { s.width = width }

var sequence = regexp.MustCompile(`^\x1b\[([0-9;]*)([A-Za-z])`)

// Write implements io.Writer. It panics if p contains a control sequence that
// it does not support.
func (s *Screen) Write(p []byte) (int, error) {
	for rest := string(p); rest != ""; {
		if m := sequence.FindStringSubmatch(rest); m != nil {
			s.control(m[1], m[2])
			rest = rest[len(m[0]):]
			continue
		}
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == '\n':
			if s.line++; s.line == len(s.lines) {
				s.lines = append(s.lines, nil)
			}
			s.column, s.behind = 0, false
		case r == '\r':
			s.column, s.behind = s.row()*s.width, false
		case r < ' ':
			panic("terminaltest: control character " + strconv.Quote(rest[:size]))
		default:
			s.put(rest[:size], runewidth.RuneWidth(r))
		}
		rest = rest[size:]
	}
	return len(p), nil
}

// row returns the row of the cursor within its line. If the cursor is behind
// the last cell of a row, it belongs to that row.
func (s *Screen) row() int {
	if s.behind {
		return (s.column - 1) / s.width
	}
	return s.column / s.width
}

func (s *Screen) put(text string, cells int) {
	line := &s.lines[s.line]
	for len(*line) < s.column+cells {
		*line = append(*line, cell{text: " "})
	}
	(*line)[s.column] = cell{text, s.style}
	for i := 1; i < cells; i++ {
		(*line)[s.column+i] = cell{style: s.style}
	}
	s.column, s.behind = s.column+cells, true
}

func (s *Screen) control(parameter, kind string) {
	switch n, _ := strconv.Atoi(parameter); kind {
	case "m":
		if s.style = parameter; parameter == "0" {
			s.style = ""
		}
	case "A":
		for ; n > 0; n-- {
			if row := s.row(); row > 0 {
				s.column -= s.width
			} else if s.line > 0 {
				s.line--
				s.column, s.behind = max(len(s.lines[s.line])-1, 0)/s.width*s.width, false
			}
		}
	case "J":
		s.lines[s.line] = s.lines[s.line][:min(s.column, len(s.lines[s.line]))]
		s.lines = s.lines[:s.line+1]
	default:
		panic("terminaltest: control sequence " + strconv.Quote(parameter+kind))
	}
}

// String returns the visible text, with one line per row.
func (s *Screen) String() string {
	var rows []string
	for _, line := range s.lines {
		if len(line) == 0 {
			rows = append(rows, "")
		}
		for row := range slices.Chunk(line, s.width) {
			var text strings.Builder
			for _, c := range row {
				text.WriteString(c.text)
			}
			rows = append(rows, text.String())
		}
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n") + "\n"
}

// Broken returns the lines that are wider than the screen.
func (s *Screen) Broken() (lines []string) {
	for _, line := range s.lines {
		if len(line) > s.width {
			var text strings.Builder
			for _, c := range line {
				text.WriteString(c.text)
			}
			lines = append(lines, text.String())
		}
	}
	return lines
}

// Styled returns the texts of a style in the order of the screen.
func (s *Screen) Styled(style terminal.Style) (texts []string) {
	for _, line := range s.lines {
		text := ""
		for _, c := range append(line, cell{}) {
			if c.style == string(style) && c.text != "" {
				text += c.text
			} else if text != "" {
				texts, text = append(texts, text), ""
			}
		}
	}
	return texts
}
