//go:build cuda && cgo && linux && amd64

package gpu

import "math"

// The tiles that the kernels of matmul_bf16.cu and matmul_f32.cu compute.
const (
	largeTile = 128
	smallTile = 64
	// matmulDepth is the terms of a stage, which parts are whole numbers of.
	matmulDepth = 32
)

// matmulPlan is how a product is shared among blocks.
type matmulPlan struct {
	m, n, k int // classes of the sizes
	tile    int
	parts   int // that the terms are cut into
	chunk   int // terms of a part
	ns      float64
}

func (p matmulPlan) tiles() int          { return ceil(p.m, p.tile) * ceil(p.n, p.tile) }
func (p matmulPlan) partialBytes() int64 { return 4 * int64(p.parts) * int64(p.m) * int64(p.n) }

// matmulModel is what planMatmul believes of a card, in ns. It is one for all cards,
// since the parts decide in which order terms are added, and results must not
// depend on the card: an H200's 132 multiprocessors, 4,300 bytes a ns, and 790
// TFLOP/s in bfloat16, of which mma.sync is taken to reach 62 %; 50 TFLOP/s in
// float32. A multiprocessor has `resident` blocks of a kernel at a time; their
// stages take step each, but no less than alone for all of them together, and a
// block starts and ends in fill.
type matmulModel struct {
	resident          int
	step, alone, fill float64
}

const (
	multiprocessors = 132
	bytesPerNs      = 4300
	launchNs        = 2000 // from one kernel to the next that needs its result
	mostParts       = 64
)

// matmulModelOf returns the model of a kernel. Small tiles are taken to reach
// three quarters of the rate of large ones: they read twice as much of each
// stage. The large kernel in float32 leaves no registers to a second block.
func matmulModelOf(tile int, narrow bool) matmulModel {
	const stage = 2 * largeTile * largeTile * matmulDepth // flops
	step := stage / (50e3 / multiprocessors)
	if narrow {
		step = stage / (0.62 * 790e3 / multiprocessors)
	}
	switch {
	case tile == smallTile:
		step /= 4 * 0.75
		return matmulModel{resident: 4, step: step, alone: 1.7 * step, fill: 1500}
	case narrow:
		return matmulModel{resident: 2, step: step, alone: 1.4 * step, fill: 2000}
	}
	return matmulModel{resident: 1, step: step, alone: step, fill: 2000}
}

// duration predicts the time of so many blocks of so many stages each.
func (m matmulModel) duration(blocks, steps int) float64 {
	ns := 0.0
	for each := ceil(blocks, multiprocessors); each > 0; each -= m.resident {
		together := float64(min(each, m.resident))
		ns += float64(steps)*max(together*m.step, m.alone) + m.fill
	}
	return ns
}

// planMatmul returns the plan of least predicted time for a product of these
// classes. small allows no other tile.
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
				continue // the last would have no terms
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
