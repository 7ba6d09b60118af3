//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// TestRowFusion checks which kernels are launched for a norm, the end of a module and the start of the next: a single
// one if the row and both factors fit, and no launch between them is lost. The suite checks that the results are
// right.
func TestRowFusion(t *testing.T) {
	const n = 40
	cases := []struct {
		cols, up, down int
		between        bool // another op is launched after the norm
		want           []string
	}{
		{64, 4, 8, false, []string{"layernorm_lowrank_r8"}},
		{1024, 8, 0, false, []string{"layernorm_lowrank_r8"}},
		{64, 0, 3, false, []string{"layernorm_lowrank_r8"}},
		{64, 8, 9, false, []string{"layernorm_lowrank_r16"}},
		{64, 8, 17, false, []string{"layernorm_lowrank_r8", "lowrank_wide_down"}},
		{64, 17, 8, false, []string{"layernorm_forward", "lowrank_wide_up", "lowrank_down_r8"}},
		{65, 8, 8, false, []string{"layernorm_forward_odd", "lowrank_up_r8", "lowrank_down_r8"}},
		{1032, 8, 8, false, []string{"layernorm_forward_wide", "lowrank_up_r8", "lowrank_down_r8"}},
		{64, 8, 8, true, []string{"layernorm_forward", "fill", "lowrank_up_r8", "lowrank_down_r8"}},
	}
	for _, p := range precisions {
		d := openCard(t, Options{Narrow: p.narrow})
		defer d.Close()
		float := func(shape ...int) compute.Tensor { return d.Temp(shape, compute.Working) }
		full := func(shape ...int) compute.Tensor { return d.Temp(shape, compute.Exact) }
		for _, c := range cases {
			t.Run(fmt.Sprintf(
				"dtype=%s/cols=%d/up=%d/down=%d/between=%t", p.name, c.cols, c.up, c.down, c.between,
			), func(t *testing.T) {
				d.Reset()
				dst, sum, x, residual, gamma, beta := float(n, c.cols), float(n, c.cols), float(n, c.cols), float(n,
					c.cols), float(c.cols), float(c.cols)
				d.LayerNorm(compute.LayerNormArgs{
					Dst: dst, Sum: sum, Stats: full(n, 2), X: x, Residual: residual, Gamma: gamma, Beta: beta,
					Eps: 1e-5,
				})
				if c.between {
					d.Fill(x, 0)
				}
				if c.up > 0 {
					d.LowRankUp(dst, full(n, c.up), float(c.cols, c.up), 1)
				}
				if c.down > 0 {
					d.LowRankDown(full(n, c.down), dst, float(c.down, c.cols), compute.Dropout{})
				}
				var want []string
				for _, op := range c.want {
					want = append(want, d.named(op))
				}
				if got := d.queue.names; !slices.Equal(got, want) {
					t.Errorf("launched %v; want %v", got, want)
				}
				if err := d.Sync(); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// TestRowFusionEnds checks that a norm that was submitted is not fused with later ops.
func TestRowFusionEnds(t *testing.T) {
	const cols, rank = 64, 8
	d := openCard(t, Options{})
	defer d.Close()
	float := func(shape ...int) compute.Tensor { return d.Temp(shape, compute.Working) }
	dst := float(8, cols)
	d.LayerNorm(compute.LayerNormArgs{
		Dst: dst, Stats: float(8, 2), X: float(8, cols), Gamma: float(cols), Beta: float(cols), Eps: 1e-5,
	})
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	d.LowRankUp(dst, float(8, rank), float(cols, rank), 1)
	if got, want := d.queue.names, []string{"lowrank_up_r8_f32"}; !slices.Equal(got, want) {
		t.Errorf("launched %v after the norm was handed over; want %v", got, want)
	}
}
