package dataset

import (
	"errors"
	"fmt"
	"strings"
)

// maxText is the most bytes of one text and of one line of a file. No model reads
// that far, and a file that is longer without a line break is not a table.
const maxText = 1 << 20

// checkText reports what keeps s from being a text. The error reads on after the
// name of what holds it.
func checkText(s string) error {
	switch {
	case len(s) > maxText:
		return fmt.Errorf("holds a text of %d bytes; want at most %d", len(s), maxText)
	case strings.IndexByte(s, 0) >= 0:
		return errors.New("holds a NUL byte; want text")
	case invalidUTF8(s) >= 0:
		return errors.New("is not UTF-8; want text encoded as UTF-8")
	}
	return nil
}
