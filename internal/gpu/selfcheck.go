//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
)

// selfCheck runs every product and attention kernel of the device's precision once and compares it with a plain kernel
// (docs/adr/0044-self-check.md). It adds the names of kernels whose results differ to d.refused; these are not used.
// Kernels that are in d.refused before are not run. attempt is called with the name of each kernel before it runs, so
// that a kernel that makes the card fail can be named.
func (d *Device) selfCheck(attempt func(kernel string)) error {
	rng := rand.New(rand.NewPCG(1, 2))
	checks := append(d.productChecks(rng), d.attentionChecks(rng)...)
	for _, c := range checks {
		if d.refused[c.kernel] {
			continue
		}
		attempt(c.kernel)
		same := c.same()
		d.wait()
		if d.err != nil {
			return fmt.Errorf("gpu: self-check of kernel %s: %w", c.kernel, d.err)
		}
		if !same {
			d.refused[c.kernel] = true
		}
	}
	d.lastNorm, d.lastProduct, d.lastTiled = fusableNorm{}, fusableProduct{}, joinable{}
	return nil
}

// Refused returns the names of the kernels that failed the self-check and are not used, sorted.
func (d *Device) Refused() (names []string) {
	for name := range d.refused {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Driver returns the CUDA version of the driver, such as "CUDA 12.4".
func (d *Device) Driver() string { return version() }

// kernelCheck compares one kernel with the plain one.
type kernelCheck struct {
	kernel string
	same   func() bool // runs both and reports whether the results agree
}

// random returns a tensor of numbers between -size and size.
func (d *Device) random(rng *rand.Rand, size float32, t compute.DType, shape ...int) compute.Tensor {
	x := d.Alloc(shape, t)
	values := make([]float32, x.Shape.Len())
	for i := range values {
		values[i] = size * (2*rng.Float32() - 1)
	}
	d.Upload(x, values)
	return x
}

// values downloads a tensor.
func (d *Device) values(x compute.Tensor) []float32 {
	v := make([]float32, x.Shape.Len())
	d.Download(v, x)
	return v
}

// free frees tensors.
func (d *Device) free(tensors ...compute.Tensor) {
	for _, t := range tensors {
		d.Free(t)
	}
}

// agree reports whether the distance of two results is at most the given part of the second. A NaN does not agree.
func agree(got, want []float32, within float64) bool {
	off, size := 0.0, 0.0
	for i, w := range want {
		off += math.Pow(float64(got[i])-float64(w), 2)
		size += float64(w) * float64(w)
	}
	return size > 0 && off <= within*within*size
}

// The shape of a product in the self-check: more than one tile in both directions, an incomplete tile at both edges,
// and more slices than a kernel has stages, of which the last is incomplete.
const checkM, checkN, checkK = 136, 200, 232

// tiledKernel is a kernel of tiles, with the transposes that the self-check runs it with.
type tiledKernel struct {
	op        string
	tile      int
	ta, tb    bool
	threads   int
	precision compute.DType
}

// tiledKernels returns the kernels of tiles that products on the device can use.
func (d *Device) tiledKernels() []tiledKernel {
	full := []tiledKernel{
		{"matmul", largeTile, false, true, 256, compute.Exact}, {"matmul_small", smallTile, true, false, 256, compute.Exact},
	}
	if !d.narrow {
		return full
	}
	return append(full, []tiledKernel{
		{"matmul_nn", largeTile, false, false, 128, compute.Working},
		{"matmul_nt", largeTile, false, true, 128, compute.Working},
		{"matmul_tn", largeTile, true, false, 128, compute.Working},
		{"matmul_small_nn", smallTile, false, false, 128, compute.Working},
		{"matmul_small_nt", smallTile, false, true, 128, compute.Working},
		{"matmul_small_tn", smallTile, true, false, 128, compute.Working},
		{"matmul_small_tt", smallTile, true, true, 128, compute.Working},
	}...)
}

// productChecks returns the checks of the kernels that compute products.
func (d *Device) productChecks(rng *rand.Rand) (all []kernelCheck) {
	for _, k := range d.tiledKernels() {
		kernel := d.typed(k.op, k.precision)
		g := grid{x: ceil(checkM, k.tile) * ceil(checkN, k.tile)}
		all = append(all, kernelCheck{kernel, func() bool {
			return d.productAgrees(rng, k.precision, k.ta, k.tb, func(args matmulArgs) {
				args.chunk, args.parts = ceil32(checkK), 1
				if d.Bytes(k.precision) == 2 && args.out.pre == 0 {
					// Half of the product, added twice, takes the way of a sum of products.
					args.joined[0], args.more, args.chained = joinedArgs{a: args.a, b: args.b}, 1, 1
					args.out.alpha /= 2
					args.chunk *= 2
				}
				launch(d, kernel, g, k.threads, 0, args)
			})
		}})
	}
	precisions := []compute.DType{compute.Exact}
	if d.narrow {
		precisions = append(precisions, compute.Working)
	}
	for _, t := range precisions {
		for _, k := range skinnyKernels {
			skinny := d.typed(k.op, t)
			all = append(all, kernelCheck{skinny, func() bool {
				return d.productAgrees(rng, t, false, true, func(args matmulArgs) {
					launch(d, skinny, grid{x: ceil(checkN, 16), y: ceil(checkM, k.few)}, 256, 0, args)
				})
			}})
		}
		reduce := d.typed("matmul_reduce", t)
		all = append(all, kernelCheck{reduce, func() bool {
			return d.productAgrees(rng, t, false, true, func(args matmulArgs) {
				// The sums of the plain kernel are the only part.
				args.parts, args.partial = 1, d.scratch(4*checkM*checkN)
				sums := args
				sums.partial, sums.out = 0, outputArgs{dst: args.partial, alpha: 1, full: 1}
				d.launchPlain(t, sums, checkM*checkN)
				launch(d, reduce, grid{x: ceil(checkM*ceil(checkN, 8), 256)}, 256, 0, args)
			})
		}})
	}
	return all
}

// launchPlain queues the plain kernel for a product with the given number of elements.
func (d *Device) launchPlain(t compute.DType, args matmulArgs, elements int) {
	launch(d, d.typed("matmul_plain", t), grid{x: ceil(elements, 256)}, 256, 0, args)
}

// ceil32 returns n rounded up to the slices of a kernel.
func ceil32(n int) int32 { return int32(ceil(n, 32) * 32) }

// productAgrees runs a product with factors of type t by run and by the plain kernel, first with sums in float32 as for
// a gradient, then with the epilogue of a hidden layer.
func (d *Device) productAgrees(rng *rand.Rand, t compute.DType, ta, tb bool, run func(args matmulArgs)) bool {
	a, b := d.random(rng, 1, t, checkM, checkK), d.random(rng, 1, t, checkK, checkN)
	bias := d.random(rng, 1, t, checkN)
	defer d.free(a, b, bias)
	for _, hidden := range []bool{false, true} {
		within, of := 1e-4, compute.Exact // tensor cores cut sums at 2^-24 of their largest term
		if hidden {
			if of = t; d.Bytes(t) == 2 {
				within = 1. / 256 // the rounding of bfloat16, of sums that may differ in their last bits
			}
		}
		var results [2][]float32
		for i, launch := range []func(args matmulArgs){
			run, func(args matmulArgs) { d.launchPlain(t, args, checkM*checkN) },
		} {
			dst, pre := d.Alloc(compute.Shape{checkM, checkN}, of), d.Alloc(compute.Shape{checkM, checkN}, t)
			args := matmulArgs{
				a: d.at(a), b: d.at(b), dims: d.counts(checkM, checkN, checkK), ta: boolArg(ta), tb: boolArg(tb),
				out: outputArgs{dst: d.at(dst), alpha: 0.5, full: boolArg(d.Bytes(of) == 4)},
			}
			if hidden {
				args.out.pre, args.out.bias, args.out.act = d.at(pre), d.at(bias), int32(compute.GELU)
			}
			launch(args)
			results[i] = append(d.values(dst), d.values(pre)...)
			d.free(dst, pre)
		}
		if d.err == nil && !agree(results[0], results[1], within) {
			return false
		}
	}
	return true
}

// attentionChecks returns the checks of the attention kernels that use tensor cores. The plain kernels are those that
// take any head size.
func (d *Device) attentionChecks(rng *rand.Rand) (all []kernelCheck) {
	if !d.narrow {
		return nil
	}
	for _, headDim := range []int{32, 64, 128} {
		size := fmt.Sprintf("_d%d", headDim)
		// dk, dv and the dq of short sequences come from one kernel, and the other dq from the other.
		for _, biased := range []bool{false, true} {
			name := size
			if biased {
				name = "_bias" + size
			}
			if biased && headDim != biasedTiles {
				continue
			}
			all = append(all,
				kernelCheck{d.named("attention_forward" + name), func() bool {
					return d.attentionAgrees(rng, headDim, false, biased)
				}},
				kernelCheck{d.named("attention_backward_kv" + name), func() bool {
					return d.attentionAgrees(rng, headDim, true, biased)
				}})
		}
	}
	return all
}

// attentionAgrees runs attention, or its gradient, with the kernels for a head size and with the plain ones, on two
// sequences: one longer than a block of keys, whose gradient needs both kernels, and one shorter. biased gives the
// scores a bias.
func (d *Device) attentionAgrees(rng *rand.Rand, headDim int, gradient, biased bool) bool {
	const rows, heads, longest, buckets = 140, 2, 100, 32
	kvHeads := 1
	if biased {
		kvHeads = heads
	}
	cu := d.Alloc(compute.Shape{3}, compute.Int)
	d.UploadInts(cu, []int32{0, 100, rows})
	o := compute.AttnOpts{
		Heads: heads, KVHeads: kvHeads, HeadDim: headDim, CuQ: cu, CuK: cu, MaxQ: longest, MaxK: longest, Causal: true,
		Scale: float32(1 / math.Sqrt(float64(headDim))), Dropout: compute.Dropout{P: 0.1, Key: 1, Step: 1},
	}
	random := func(size float32, heads int) compute.Tensor {
		return d.random(rng, size, compute.Working, rows, heads*headDim)
	}
	// Queries are large, so that probabilities differ and their largest value changes from tile to tile.
	q, k, v, dy := random(6, heads), random(1, kvHeads), random(1, kvHeads), random(1, heads)
	defer d.free(cu, q, dy, k, v)
	if biased {
		o.Bias = d.random(rng, 2, compute.Working, buckets, heads)
		o.Buckets = d.Alloc(compute.Shape{2*longest - 1}, compute.Int)
		defer d.free(o.Bias, o.Buckets)
		places := make([]int32, 2*longest-1)
		for i := range places {
			places[i] = int32(i % buckets)
		}
		d.UploadInts(o.Buckets, places)
	}
	like := func(t compute.Tensor) compute.Tensor { return d.Alloc(t.Shape, t.DType) }
	y, lse := like(q), d.Alloc(compute.Shape{rows, heads}, compute.Exact)
	defer d.free(y, lse)
	var results [2][][]float32
	for i, plain := range []bool{false, true} {
		d.plainAttention = plain
		if gradient {
			d.plainAttention = true
		}
		d.Attention(y, lse, q, k, v, o)
		results[i] = [][]float32{d.values(y), d.values(lse)}
		if gradient {
			d.plainAttention = plain
			dq, dk, dv := like(q), like(k), like(v)
			d.AttentionGrad(compute.AttentionGradArgs{
				AttnOpts: o, DQ: dq, DK: dk, DV: dv, Q: q, K: k, V: v, Y: y, LSE: lse, DY: dy,
			})
			results[i] = [][]float32{d.values(dq), d.values(dk), d.values(dv)}
			d.free(dq, dk, dv)
		}
	}
	d.plainAttention = false
	// Probabilities and their gradients are rounded to bfloat16 as operands, which the plain kernels do not.
	for i, want := range results[1] {
		if d.err == nil && !agree(results[0][i], want, 0.02) {
			return false
		}
	}
	return true
}
