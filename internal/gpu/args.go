//go:build cuda && cgo && linux && amd64

package gpu

// aligned16 returns 1 if rows of the given number of columns that begin at these addresses can be read 16 bytes at a
// time, and 0 otherwise.
func aligned16(columns int, at ...ptr) uint32 {
	for _, p := range at {
		if p%16 != 0 {
			return 0
		}
	}
	return boolArg(columns%8 == 0)
}

// boolArg returns b as a kernel's argument.
func boolArg(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
