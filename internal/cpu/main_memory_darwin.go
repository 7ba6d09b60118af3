package cpu

import "golang.org/x/sys/unix"

// ReadMemory returns the machine's memory as free, because macOS reports what
// is in use only to C programs. A run that does not fit into the whole memory
// is still detected.
func ReadMemory() (m MainMemory, ok bool) {
	total, err := unix.SysctlUint64("hw.memsize")
	return MainMemory{Total: int64(total), Free: int64(total)}, err == nil && total > 0
}
