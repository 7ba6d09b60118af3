package vector

import (
	"golang.org/x/sys/cpu"

	"github.com/lor2c/lor2c/internal/processor"
)

var (
	// enabled says that the assembly can run, and wide that it may use AVX-512.
	enabled = cpu.X86.HasAVX2
	wide    = cpu.X86.HasAVX2 && cpu.X86.HasAVX512F && processor.Allows(processor.AVX512)
)
