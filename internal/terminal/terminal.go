// Package terminal writes what people see while a command works: lines, and
// below them status lines that are drawn again as the work goes on.
//
// Everything here also works without a terminal. Lines are then written as they
// are, and status lines and colours are left out.
package terminal

import (
	"os"

	"golang.org/x/term"
)

// Terminal says what the receiver of an output can show. The zero value is no
// terminal, such as a file or a pipe.
type Terminal struct {
	Live   bool       // what was drawn can be drawn over
	Colour bool       // colours are wanted
	Width  func() int // cells of a line at this moment; nil if Live is false
}

// usualWidth is that of a terminal that does not say how wide it is.
const usualWidth = 80

// Of returns what f can show. A terminal whose TERM is dumb can only append
// lines. A variable NO_COLOR that is not empty turns colours off
// (https://no-color.org).
func Of(f *os.File) Terminal {
	fd := int(f.Fd())
	if os.Getenv("TERM") == "dumb" || !term.IsTerminal(fd) {
		return Terminal{}
	}
	width := func() int {
		if width, _, err := term.GetSize(fd); err == nil && width > 0 {
			return width
		}
		return usualWidth
	}
	return Terminal{Live: true, Colour: os.Getenv("NO_COLOR") == "", Width: width}
}

// Style is how a text is set off from others.
type Style string

// The styles, as parameters of the control sequence Select Graphic Rendition of
// ECMA-48.
const (
	Plain   Style = ""
	Heading Style = "1"  // bold
	Good    Style = "32" // green
	Warning Style = "33" // yellow
	Failure Style = "31" // red
)

// Paint returns text in a style, where colours are wanted.
func (t Terminal) Paint(style Style, text string) string {
	if !t.Colour || style == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}
