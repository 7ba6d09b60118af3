package terminal

import (
	"io"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// Flow writes a text that arrives in parts to a terminal and breaks its lines between words. It holds back a word until
// the word has ended, because only then it is known whether it fits. A word that is longer than a line is broken.
// Characters of two cells, as in Chinese, are words of their own. A line keeps its own spaces at its start.
type Flow struct {
	W     io.Writer
	Width func() int // of the terminal in cells; nil if lines are not to be broken

	used   int    // cells of the line
	spaces string // behind the last word
	word   strings.Builder
	cells  int // of word
}

// Write writes a part of the text.
func (f *Flow) Write(part string) {
	if f.Width == nil {
		io.WriteString(f.W, part)
		return
	}
	for _, r := range part {
		cells := runewidth.RuneWidth(r)
		switch {
		case r == '\n':
			f.Flush()
			io.WriteString(f.W, "\n")
			f.used, f.spaces = 0, ""
			continue
		case r == '\t':
			f.end()
			f.spaces += "    "
			continue
		case unicode.IsSpace(r) && r != '\u00a0':
			f.end()
			f.spaces += string(r)
			continue
		case cells == 2, f.cells+cells > f.Width():
			f.end()
		}
		f.word.WriteRune(r)
		if f.cells += cells; cells == 2 {
			f.end()
		}
	}
}

// Flush writes the word that is held back.
func (f *Flow) Flush() {
	if f.Width != nil {
		f.end()
	}
}

// end writes the spaces and the word, on a new line if they do not fit the current one.
func (f *Flow) end() {
	if f.cells == 0 && f.word.Len() == 0 {
		return
	}
	if gap := Cells(f.spaces); f.used > 0 && f.used+gap+f.cells > f.Width() {
		io.WriteString(f.W, "\n")
		f.used = 0
	} else {
		io.WriteString(f.W, f.spaces)
		f.used += gap
	}
	io.WriteString(f.W, f.word.String())
	f.used += f.cells
	f.spaces, f.cells = "", 0
	f.word.Reset()
}
