package checkpoint

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// exchange swaps the names of two directories in one step (renameat2(2)). Its
// error wraps errNoExchange if the file system cannot do that.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if err == unix.EINVAL || err == unix.ENOSYS || err == unix.ENOTSUP {
		return fmt.Errorf("%w: %w", errNoExchange, err)
	}
	return err
}
