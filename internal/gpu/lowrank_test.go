//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
)

// TestGradientOfLongParts sums a factor's gradient in one part and in a few, each of more rows than a block reads at
// a time, and compares with the CPU device. The sizes of the suite are too small for that.
func TestGradientOfLongParts(t *testing.T) {
	defer func(n int) { gradientBlocks = n }(gradientBlocks)
	const n, c = 300, 40
	drop := compute.Dropout{P: 0.25, Key: 3, Step: 2, Site: 1, Row: 5}
	for _, p := range precisions {
		d := openCard(t, Options{Narrow: p.narrow})
		defer d.Close()
		for _, r := range []int{5, 11, 20, 70} {
			for _, gradientBlocks = range []int{1, 6} {
				t.Run(fmt.Sprintf("dtype=%s/r=%d/blocks=%d", p.name, r, gradientBlocks), func(t *testing.T) {
					gradients := func(dev compute.Device) (all [][]float32) {
						dev.Reset()
						tensor := func(dtype compute.DType, shape ...int) compute.Tensor {
							x := dev.Temp(shape, dtype)
							values := make([]float32, x.Shape.Len())
							for i := range values {
								// Small multiples of an eighth are exact in both types.
								values[i] = float32((i*7+i/13*5)%17-8) / 8
							}
							dev.Upload(x, values)
							return x
						}
						x, a, b := tensor(compute.Working, n, c), tensor(compute.Working, r, c), tensor(compute.Working, c, r)
						u, du := tensor(compute.Exact, n, r), tensor(compute.Exact, n, r)
						da, db := tensor(compute.Exact, r, c), tensor(compute.Exact, c, r)
						dev.LowRankDownGrad(compute.Tensor{}, da, x, a, du, drop, false)
						dev.LowRankUpGrad(compute.Tensor{}, db, u, b, x, 0.5)
						return [][]float32{download(dev, da), download(dev, db)}
					}
					got, want := gradients(d), gradients(cpu.Open[float32](1))
					for k, name := range []string{"da", "db"} {
						for i, w := range want[k] {
							if math.Abs(float64(got[k][i]-w)) > 1e-4 {
								t.Fatalf("%s[%d] = %v; want %v", name, i, got[k][i], w)
							}
						}
					}
				})
			}
		}
	}
}
