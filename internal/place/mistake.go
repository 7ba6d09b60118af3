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
