// Package place is for error messages: it finds line and column of a fault in a text, marks errors that the user can
// mend, and quotes values.
package place

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"unicode/utf8"
)

// Position is a place in a text as editors show it. Line and Column count from
// 1, columns in runes.
type Position struct{ Line, Column int }

// String returns p as line:column, which is meant to follow a path and a colon.
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// At returns the position of the rune that the byte at offset belongs to. An
// offset outside of text stands for the nearer end of text.
func At(text []byte, offset int) Position {
	offset = min(max(0, offset), len(text))
	// A file that is cut off may end inside a rune, which is one column.
	for back := 1; back < utf8.UTFMax && back <= offset; back++ {
		if _, size := utf8.DecodeRune(text[offset-back:]); size > back {
			offset -= back
			break
		}
	}
	before := text[:offset]
	return Position{
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]),
	}
}

// mistake marks an error and keeps its text.
type mistake struct{ error }

func (m mistake) Unwrap() error { return m.error }

// Mistake marks err as an error that the user can correct on the command line
// or in the run file, such as a file that does not exist, a column that the
// file does not have, or a value that does not suit the model. A command that
// returns the error ends with exit code 2. The text of err does not change.
func Mistake(err error) error { return mistake{err} }

// Given marks err, which concerns a file that the user gave, as a [Mistake]. It
// does not mark errors of a context that has ended, or errors of the operating
// system other than that the file does not exist or is not of the right kind.
func Given(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var system syscall.Errno
	if errors.As(err, &system) && !errors.Is(err, fs.ErrNotExist) && system != syscall.EISDIR &&
		system != syscall.ENOTDIR {
		return err
	}
	return Mistake(err)
}

// IsMistake reports whether err wraps an error that [Mistake] marked.
func IsMistake(err error) bool {
	var m mistake
	return errors.As(err, &m)
}

// WithoutPath removes the operation and the path that package os puts into its errors, for a message that already has
// the path. It leaves an error that wraps one of them as it is, because the text around it may say more.
func WithoutPath(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}
