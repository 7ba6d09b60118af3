//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
)

// TestAttentionUnaligned checks that rows that do not begin at a multiple of 16 bytes give the same result, without
// the kernels that load 16 bytes at a time.
func TestAttentionUnaligned(t *testing.T) {
	const heads, dim = 2, 64
	lens := []int32{0, 5, 5, 75} // cu_seqlens
	rows, cols := int(lens[len(lens)-1]), heads*dim
	narrow, exact := openCard(t, Options{Narrow: true}), cpu.Open[float32](1)
	defer narrow.Close()
	// run returns y, dq, dk and dv for tensors that begin `off` elements after a multiple of 16 bytes.
	run := func(dev compute.Device, off int) []float32 {
		rng := rand.New(rand.NewPCG(1, 1))
		late := func() compute.Tensor {
			return dev.Temp(compute.Shape{rows*cols + off}, compute.Working).Slice(off, compute.Shape{rows, cols})
		}
		input := func() compute.Tensor {
			values := make([]float32, rows*cols)
			for i := range values {
				values[i] = float32(rng.IntN(33)-16) / 8 // exact in bfloat16
			}
			x := late()
			dev.Upload(x, values)
			return x
		}
		dev.Reset()
		q, k, v, dy := input(), input(), input(), input()
		y, dq, dk, dv := late(), late(), late(), late()
		lse, cu := dev.Temp(compute.Shape{rows, heads}, compute.Exact), dev.Temp(compute.Shape{len(lens)}, compute.Int)
		dev.UploadInts(cu, lens)
		o := compute.AttnOpts{
			Heads: heads, KVHeads: heads, HeadDim: dim, CuQ: cu, CuK: cu, MaxQ: 70, MaxK: 70, Scale: 0.125,
			Dropout: compute.Dropout{P: 0.1, Key: 3, Step: 1, Site: 2},
		}
		dev.Attention(y, lse, q, k, v, o)
		dev.AttentionGrad(compute.AttentionGradArgs{
			DQ: dq, DK: dk, DV: dv, Q: q, K: k, V: v, Y: y, LSE: lse, DY: dy, AttnOpts: o,
		})
		var all []float32
		for _, x := range []compute.Tensor{y, dq, dk, dv} {
			all = append(all, download(dev, x)...)
		}
		if err := dev.Err(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := run(exact, 0)
	for _, c := range []struct {
		off  int
		size string
	}{{0, "_d64"}, {1, ""}, {8, "_d64"}} {
		t.Run(fmt.Sprintf("elements=%d", c.off), func(t *testing.T) {
			late := narrow.Temp(compute.Shape{c.off + 1}, compute.Working).Slice(c.off, compute.Shape{1})
			if got := narrow.attentionFor("attention_forward", compute.AttnOpts{HeadDim: dim}, late).size; got != c.size {
				t.Errorf("attentionFor(%d) chose kernels of size %q; want %q", dim, got, c.size)
			}
			for i, got := range run(narrow, c.off) {
				if diff := math.Abs(float64(got - want[i])); !(diff <= 0.05) {
					t.Fatalf("value %d is %v; want %v within 0.05", i, got, want[i])
				}
			}
		})
	}
}

// TestAttentionShared checks that the shared memory of a block is available on every target. sm_86, sm_89 and sm_120
// have the least.
func TestAttentionShared(t *testing.T) {
	for _, narrow := range []bool{false, true} {
		d := Device{narrow: narrow}
		for dim := 1; dim <= 256; dim++ {
			k := d.attentionFor("attention_forward", compute.AttnOpts{HeadDim: dim})
			if most := max(k.forward, k.dkv, k.dq); most > 99<<10 {
				t.Errorf("head size %d, narrow %t: %d bytes of shared memory; at most %d are available", dim, narrow, most, 99<<10)
			}
		}
	}
}

// TestTooLarge checks that sizes beyond the limits of the kernels are errors.
func TestTooLarge(t *testing.T) {
	for name, c := range map[string]struct {
		queue func(d *Device)
		want  string
	}{
		"head": {func(d *Device) {
			x, cu := d.Alloc(compute.Shape{1, 264}, compute.Working), d.Alloc(compute.Shape{2}, compute.Int)
			d.Attention(x, d.Alloc(compute.Shape{1, 1}, compute.Exact), x, x, x, compute.AttnOpts{
				Heads: 1, KVHeads: 1, HeadDim: 264, CuQ: cu, CuK: cu, MaxQ: 1, MaxK: 1, Scale: 1,
			})
		}, "gpu: attention: heads have 264 columns; the kernels take up to 256"},
		"tensor": {func(d *Device) {
			d.Fill(d.Alloc(compute.Shape{1}, compute.Working).Slice(0, compute.Shape{1 << 31}), 1)
		},
			"gpu: 2147483648 elements in one op; the kernels can count up to 2000000000"},
	} {
		t.Run("fault="+name, func(t *testing.T) {
			d := openCard(t, Options{})
			defer d.Close()
			c.queue(d)
			wants(t, d.Err(), c.want)
		})
	}
}
