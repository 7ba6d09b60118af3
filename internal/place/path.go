package place

import (
	"io/fs"
	"os"
)

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
