//go:build !amd64

package sgemm

// all returns nil: this architecture has no kernels.
func all() []*Kernels { return nil }

// Best returns nil: this architecture has no kernels.
func Best() *Kernels { return nil }

func transpose8(*float32, int, *float32, int, int) {
	panic("sgemm: there are no kernels for this architecture")
}

func widenBFloat16(*float32, *uint16, int) {
	panic("sgemm: there are no kernels for this architecture")
}

func widenFloat16(*float32, *uint16, int) {
	panic("sgemm: there are no kernels for this architecture")
}
