package cpu

import (
	"testing"

	"lor2c/internal/compute"
	"lor2c/internal/compute/computetest"
)

func TestConformance(t *testing.T) {
	t.Run("dtype=float32", func(t *testing.T) {
		open := func(*testing.T) compute.Device { return Open[float32](3) }
		computetest.Run(t, open, computetest.Config{Eps: 1.0 / (1 << 24)})
	})
	t.Run("dtype=float64", func(t *testing.T) {
		open := func(*testing.T) compute.Device { return Open[float64](3) }
		computetest.Run(t, open, computetest.Config{Eps: 1.0 / (1 << 53)})
	})
}
