// Package processor reads the variable LOR2C_CPU, which names the newest instruction set of x86 processors that lor2c
// may use. Without it that is AVX-512, with which results have the bits of all processors. On the tile unit (AMX) they
// differ in the last bits, so it must be asked for.
package processor

import (
	"os"
	"slices"
)

// Variable is the environment variable that names the newest instruction set to use.
const Variable = "LOR2C_CPU"

// The instruction sets of x86 processors, as Variable names them.
const (
	AVX2   = "avx2"
	AVX512 = "avx512"
	AMX    = "amx"
)

// sets are the instruction sets, the oldest first.
var sets = []string{AVX2, AVX512, AMX}

// newest is the value of Variable when the program started.
var newest = os.Getenv(Variable)

// Newest returns the instruction set that Variable names, or "" if it is not set.
func Newest() string { return newest }

// Allows reports whether an instruction set may be used if the processor has it.
func Allows(set string) bool {
	if !slices.Contains(sets, newest) {
		return set != AMX
	}
	return slices.Index(sets, set) <= slices.Index(sets, newest)
}

// Known reports whether Variable is not set or names an instruction set.
func Known() bool { return newest == "" || slices.Contains(sets, newest) }
