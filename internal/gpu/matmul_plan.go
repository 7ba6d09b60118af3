//go:build cuda && cgo && linux && amd64

package gpu

import "math"

// Sizes of the tiles that the kernels of matmul_bf16.cu and matmul_f32.cu compute.
const (
	largeTile = 128
	smallTile = 64
	// matmulDepth is the number of terms in a pipeline stage. The terms of a part are a multiple of it.
	matmulDepth = 32
)

// matmulPlan describes how a product is divided among blocks.
type matmulPlan struct {
	m, n, k int // size classes of the product
	tile    int
	parts   int // number of parts that the terms are divided into
	chunk   int // terms of a part
	ns      float64
}

func (p matmulPlan) tiles() int          { return ceil(p.m, p.tile) * ceil(p.n, p.tile) }
func (p matmulPlan) partialBytes() int64 { return 4 * int64(p.parts) * int64(p.m) * int64(p.n) }

// matmulModel is planMatmul's model of a kernel on a card, with times in ns. One model is used for all cards, because
// no other card has been measured. It may differ between cards: results have the same bytes on the same card and driver
// only, because tensor cores of different generations round sums differently. The model is an H200: 132
// multiprocessors, 4,300 bytes per ns, 790 TFLOP/s in bfloat16, of which mma.sync is assumed to reach 62 %, and 50
// TFLOP/s in float32. A multiprocessor runs `resident` blocks of a kernel at a time. A stage of each takes step, but
// the stages of all of them together take at least alone. A block needs fill to start and end.
type matmulModel struct {
	resident          int
	step, alone, fill float64
}

const (
	multiprocessors = 132
	bytesPerNs      = 4300
	launchNs        = 2000 // time between a kernel and the next one that needs its result
	mostParts       = 64
)

// matmulModelOf returns the model of a kernel. Small tiles are assumed to reach three quarters of the rate of large
// ones, because they read twice as much per product. The large kernel in float32 leaves no registers for a second
// block.
func matmulModelOf(tile int, narrow bool) matmulModel {
	const stage = 2 * largeTile * largeTile * matmulDepth // flops
	step := stage / (50e3 / multiprocessors)
	if narrow {
		step = stage / (0.62 * 790e3 / multiprocessors)
	}
	switch {
	case tile == smallTile && narrow:
		step /= 4 * 0.75
		return matmulModel{resident: 4, step: step, alone: 1.7 * step, fill: 1500}
	case tile == smallTile: // its blocks have 256 threads, twice as many
		step /= 4 * 0.75
		return matmulModel{resident: 2, step: step, alone: 1.7 * step, fill: 1500}
	case narrow:
		return matmulModel{resident: 2, step: step, alone: 1.4 * step, fill: 2000}
	}
	return matmulModel{resident: 1, step: step, alone: step, fill: 2000}
}

// duration returns the predicted time, in ns, of the given number of thread blocks that run `steps` pipeline stages
// each.
func (m matmulModel) duration(blocks, steps int) float64 {
	ns := 0.0
	for each := ceil(blocks, multiprocessors); each > 0; each -= m.resident {
		together := float64(min(each, m.resident))
		ns += float64(steps)*max(together*m.step, m.alone) + m.fill
	}
	return ns
}

// planMatmul returns the plan with the least predicted time for a product of these size classes. If small is set it
// considers only small tiles.
func planMatmul(m, n, k int, narrow, small bool) matmulPlan {
	steps := max(1, ceil(k, matmulDepth))
	size := 4.0
	if narrow {
		size = 2
	}
	read := size * (float64(m)*float64(k) + float64(n)*float64(k)) / bytesPerNs
	best := matmulPlan{ns: math.Inf(1)}
	for _, tile := range []int{largeTile, smallTile} {
		if small && tile != smallTile {
			continue
		}
		cost := matmulModelOf(tile, narrow)
		for parts := 1; parts <= min(mostParts, steps); parts++ {
			each := ceil(steps, parts)
			if ceil(steps, each) != parts {
				continue // the last part would have no terms
			}
			p := matmulPlan{m: m, n: n, k: k, tile: tile, parts: parts, chunk: each * matmulDepth}
			if parts > 1 && p.partialBytes() > scratchBytes {
				break
			}
			result := float64(m) * float64(n) * size / bytesPerNs
			p.ns = max(cost.duration(p.tiles()*parts, each), read+result)
			if parts > 1 {
				p.ns += launchNs + 2*float64(p.partialBytes())/bytesPerNs
			}
			if p.ns < best.ns {
				best = p
			}
		}
	}
	return best
}
