package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// pause is the shortest time between two drawings of the status lines that
// nothing but progress asks for.
const pause = 100 * time.Millisecond

// Screen is an output with status lines at its end. Its methods are not safe for
// concurrent use. Errors of the output are not reported: a command outlives its
// terminal.
type Screen struct {
	Terminal
	w      io.Writer
	now    func() time.Time
	status func(width int) []string
	drawn  []int // cells of the status lines that are on the terminal
	at     time.Time
}

// Open returns the screen of an output. now is the clock, time.Now if nil.
func Open(w io.Writer, t Terminal, now func() time.Time) *Screen {
	if now == nil {
		now = time.Now
	}
	return &Screen{Terminal: t, w: w, now: now}
}

// Print writes a text above the status lines. On a terminal each of its lines is
// wrapped, with an indentation of indent cells from its second row on.
func (s *Screen) Print(style Style, text string, indent int) {
	if !s.Live {
		io.WriteString(s.w, text+"\n")
		return
	}
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		for _, row := range Wrap(line, s.Width(), indent) {
			b.WriteString(s.Paint(style, row) + "\n")
		}
	}
	s.write(b.String())
}

// Row writes one row above the status lines as it is, colours included.
func (s *Screen) Row(text string) { s.write(text + "\n") }

// Status makes status say what the status lines are at a width of the terminal;
// nil takes them away. Progress alone is not drawn more often than ten times a
// second; change says that there is more to see than that.
func (s *Screen) Status(change bool, status func(width int) []string) {
	s.status = status
	if s.Live && (change || s.now().Sub(s.at) >= pause) {
		s.write("")
	}
}

// Close takes the status lines away.
func (s *Screen) Close() {
	if s.drawn != nil {
		s.Status(true, nil)
	}
}

// write replaces the status lines by text and the status lines of this moment.
// The cursor stays at the end of the last one.
func (s *Screen) write(text string) {
	var b strings.Builder
	if s.drawn != nil {
		// A terminal that became narrower has broken the lines into rows, and one
		// that echoed ^C has moved the cursor to the right.
		rows := 0
		for _, cells := range s.drawn {
			rows += max(1, (cells+s.Width()-1)/s.Width())
		}
		b.WriteByte('\r')
		if rows > 1 {
			fmt.Fprintf(&b, "\x1b[%dA", rows-1)
		}
		b.WriteString("\x1b[J")
	}
	b.WriteString(text)
	s.drawn = nil
	if s.Live && s.status != nil {
		lines := s.status(s.Width())
		for _, line := range lines {
			s.drawn = append(s.drawn, Cells(line))
		}
		b.WriteString(strings.Join(lines, "\n"))
		s.at = s.now()
	}
	if b.Len() > 0 {
		io.WriteString(s.w, b.String())
	}
}
