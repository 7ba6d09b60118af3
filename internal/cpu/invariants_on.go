//go:build invariants

package cpu

// invariants makes Temp fill tensors with NaN, so that a result which depends
// on memory nobody wrote is seen.
const invariants = true
