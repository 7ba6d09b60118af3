package place

import "errors"

// mistake marks an error without changing its text.
type mistake struct{ error }

func (m mistake) Unwrap() error { return m.error }

// Mistake marks err as one that the user can mend on the command line or in the
// run file: it names a file that is not there, a column that the file does not
// have, a value that does not suit the model. A command ends with exit code 2
// for it. The text stays as it is.
func Mistake(err error) error { return mistake{err} }

// IsMistake reports whether err wraps an error that [Mistake] marked.
func IsMistake(err error) bool {
	var m mistake
	return errors.As(err, &m)
}
