package cpu

import "golang.org/x/sys/unix"

// ReadMemory returns the machine's memory as free: macOS tells what is in use
// only to programs in C. A run that does not even fit into that is still found.
func ReadMemory() (m MainMemory, ok bool) {
	total, err := unix.SysctlUint64("hw.memsize")
	return MainMemory{Total: int64(total), Free: int64(total)}, err == nil && total > 0
}
