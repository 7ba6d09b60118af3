package dataset

import (
	"errors"
	"fmt"
	"strings"
)

// maxText is the largest size of a text in bytes. No model reads a longer text,
// and a longer stretch of a file without a line break means that the file is
// not a table.
const maxText = 1 << 20

// checkText returns an error if s is not a valid text. The error is meant to
// follow the name of the column.
func checkText(s string) error {
	switch {
	case len(s) > maxText:
		return fmt.Errorf("has a text of %d bytes; want at most %d", len(s), maxText)
	case strings.IndexByte(s, 0) >= 0:
		return errors.New("has a NUL byte; want text")
	case invalidUTF8(s) >= 0:
		return errors.New("is not UTF-8; want text encoded as UTF-8")
	}
	return nil
}
