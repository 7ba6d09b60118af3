//go:build cuda && cgo && linux && amd64

package train

import (
	"testing"

	"lor2c/internal/compute"
	"lor2c/internal/gpu"
	"lor2c/internal/gpu/hostlib"
)

// card opens the first card in a precision.
func card(tb testing.TB, narrow bool) compute.Device {
	tb.Helper()
	dev, err := gpu.Open(gpu.Options{Narrow: narrow})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}

// onCard are the precisions of a card, and what a network of the goldens' size
// may be off in them.
var onCard = []struct {
	name      string
	narrow    bool
	tolerance float64
}{{"float32", false, 1e-5}}

// TestGoldenCUDA is TestGolden on a card, or on kernels that run on the CPU.
func TestGoldenCUDA(t *testing.T) {
	if !hostlib.Under(t) {
		return
	}
	for name, g := range goldens(t) {
		for _, p := range onCard {
			t.Run("case="+name+"/dtype="+p.name, func(t *testing.T) { testGolden(t, g, card(t, p.narrow), p.tolerance) })
		}
	}
}

// TestGoldenEventsCUDA is TestGoldenEvents likewise.
func TestGoldenEventsCUDA(t *testing.T) {
	if !hostlib.Under(t) {
		return
	}
	eachGoldenEvents(t, func(t *testing.T, name string, g *goldenEvents) {
		for _, p := range onCard {
			t.Run("case="+name+"/dtype="+p.name, func(t *testing.T) { testGoldenEvents(t, g, card(t, p.narrow), p.tolerance) })
		}
	})
}
