// Package terminal writes what people see while a command runs: lines, and
// below them status lines that are updated.
//
// It also works without a terminal. Lines are then written without wrapping,
// and status lines and colours are left out.
package terminal

import (
	"os"

	"golang.org/x/term"
)

// Terminal describes what an output supports. The zero value is not a terminal,
// but for example a file or a pipe.
type Terminal struct {
	Live   bool       // the cursor can be moved, so that text can be replaced
	Colour bool       // the user wants colours
	Width  func() int // returns the current width in cells; nil if Live is false
	Height func() int // returns the current number of rows; nil if Live is false
}

// These are the assumed sizes of a terminal that does not report its own.
const (
	usualWidth  = 80
	usualHeight = 24
)

// Of returns what f supports. A terminal whose TERM is "dumb" can only append
// lines. A non-empty NO_COLOR turns colours off (https://no-color.org).
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
	height := func() int {
		if _, height, err := term.GetSize(fd); err == nil && height > 1 {
			return height
		}
		return usualHeight
	}
	return Terminal{Live: true, Colour: os.Getenv("NO_COLOR") == "", Width: width, Height: height}
}

// Style is the appearance of a text.
type Style string

// These are the styles, as parameters of the control sequence Select Graphic
// Rendition of ECMA-48.
const (
	Plain   Style = ""
	Heading Style = "1"  // bold
	Good    Style = "32" // green
	Warning Style = "33" // yellow
	Failure Style = "31" // red
)

// Paint returns text in a style, or text itself if the user does not want
// colours.
func (t Terminal) Paint(style Style, text string) string {
	if !t.Colour || style == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}
