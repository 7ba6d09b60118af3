//go:build !linux && !darwin && !windows

package cpu

// ReadMemory reports that nothing is known about the memory of this system.
func ReadMemory() (m MainMemory, ok bool) { return m, false }
