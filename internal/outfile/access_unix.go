//go:build unix

package outfile

import "golang.org/x/sys/unix"

// writable returns an error if this process may not write the file at path.
func writable(path string) error { return unix.Access(path, unix.W_OK) }
