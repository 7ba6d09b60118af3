package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lor2c/lor2c/internal/place"
)

// pause is the shortest time between two drawings of the status lines if only
// progress has changed.
const pause = 100 * time.Millisecond

// Screen is an output with status lines at its end. Its methods are not safe
// for concurrent use. Errors of the output are not reported, because a command
// may continue after its terminal is closed.
type Screen struct {
	Terminal
	w      io.Writer
	now    func() time.Time
	status func(width int) []string
	drawn  []int // cells of the status lines that are on the terminal
	at     time.Time
}

// Open returns a screen that writes to w. now is the clock; nil means time.Now.
func Open(w io.Writer, t Terminal, now func() time.Time) *Screen {
	if now == nil {
		now = time.Now
	}
	return &Screen{Terminal: t, w: w, now: now}
}

// Print writes a text above the status lines. Control characters in it, which
// come from files and names, are escaped. On a terminal each line of the text
// is wrapped, and its rows from the second on are indented by indent cells.
func (s *Screen) Print(style Style, text string, indent int) {
	text = place.Escape(text)
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

// Row writes one row above the status lines without changes. It may contain
// colours.
func (s *Screen) Row(text string) { s.write(text + "\n") }

// Status sets the function that returns the status lines for a terminal of the
// given width. nil removes them. The lines are drawn at most ten times a
// second, unless change is true.
func (s *Screen) Status(change bool, status func(width int) []string) {
	s.status = status
	if s.Live && (change || s.now().Sub(s.at) >= pause) {
		s.write("")
	}
}

// Close removes the status lines.
func (s *Screen) Close() {
	if s.drawn != nil {
		s.Status(true, nil)
	}
}

// write replaces the status lines by text and the current status lines. The
// cursor remains at the end of the last line.
func (s *Screen) write(text string) {
	var b strings.Builder
	if s.drawn != nil {
		// The terminal may have become narrower, so that the lines take several rows.
		// It may also have echoed ^C, which moves the cursor.
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
