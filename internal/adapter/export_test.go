package adapter

import (
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// NewLoR2C returns a method with these factors and one module per layer.
func NewLoR2C(a, b []*tape.Param, scale float32) *LoR2C {
	m := &LoR2C{b: builder{Network: &model.Encoder{}}, own: &lor2cConfig{}, injected: &LoRA{}}
	for l := range a {
		m.modules = append(m.modules, module{l, l, pair{A: a[l], B: b[l], scale: scale}})
	}
	return m
}

// PairedError exports pairedError for tests.
var PairedError = pairedError

// RoundsStart and RewritesBase report whether a method does not keep a clause of the contract.
func RoundsStart(name string) bool   { return methods[name].except&roundsStart != 0 }
func MovesStart(name string) bool    { return methods[name].except&movesStart != 0 }
func PerMicroBatch(name string) bool { return methods[name].except&perMicroBatch != 0 }
func RewritesBase(name string) bool  { return methods[name].except&rewritesBase != 0 }

// Kept is how many of AdaLoRA's triplets are kept after step t of a run.
func Kept(steps, start, final, triplets, target, t int) int {
	return adaLoRAPlan{steps, start, final, 1, triplets, target}.kept(t)
}
