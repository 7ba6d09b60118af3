package place

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
)

// mistake marks an error and keeps its text.
type mistake struct{ error }

func (m mistake) Unwrap() error { return m.error }

// Mistake marks err as one that the user can mend on the command line or in the
// run file, such as a file that does not exist, a column that the file does not
// have, or a value that does not suit the model. A command that returns the
// error ends with exit code 2. The text of err does not change.
func Mistake(err error) error { return mistake{err} }

// Given marks err, met in a file that the user gave, as a [Mistake], unless it is the
// end of a context or the operating system failed for another reason than that the
// file is missing or is something else.
func Given(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var system syscall.Errno
	if errors.As(err, &system) && !errors.Is(err, fs.ErrNotExist) && system != syscall.EISDIR && system != syscall.ENOTDIR {
		return err
	}
	return Mistake(err)
}

// IsMistake reports whether err wraps an error that [Mistake] marked.
func IsMistake(err error) bool {
	var m mistake
	return errors.As(err, &m)
}
