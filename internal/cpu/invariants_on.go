//go:build invariants

package cpu

// invariants makes Temp fill tensors with NaN, so that a result that depends on memory that was never written is
// noticed.
const invariants = true
