//go:build cuda && cgo && linux && amd64

package gpu

import "lor2c/internal/compute"

// outputArgs is the Go twin of struct Output.
type outputArgs struct {
	dst, pre, bias   ptr
	alpha            float32
	act              int32
	accumulate, full uint32
}

// matmulArgs is the Go twin of struct MatmulArgs.
type matmulArgs struct {
	a, b, partial, dims ptr
	out                 outputArgs
	ta, tb              uint32
	chunk, parts        int32
}

// skinny is the most rows, or columns, of a product that is no work for tiles.
const skinny = 16

// Gemm computes dst = alpha op(a) op(b), or adds it.
func (d *Device) Gemm(dst compute.Tensor, alpha float32, a compute.Tensor, ta bool, b compute.Tensor, tb bool, accumulate bool) {
	d.product(a, ta, b, tb, outputArgs{
		dst: d.at(dst), alpha: alpha, accumulate: flag(accumulate), full: flag(d.Bytes(dst.DType) == 4),
	})
}

// Linear computes dst = act(x WT + bias): bias and activation are applied to a
// tile before it leaves the registers.
func (d *Device) Linear(dst, pre, x, w, bias compute.Tensor, act compute.Act) {
	d.product(x, false, w, true, outputArgs{
		dst: d.at(dst), pre: d.at(pre), bias: d.at(bias), alpha: 1, act: int32(act), full: flag(d.Bytes(dst.DType) == 4),
	})
}

// product queues out = act(alpha op(a) op(b) + bias).
func (d *Device) product(a compute.Tensor, ta bool, b compute.Tensor, tb bool, out outputArgs) {
	if d.err != nil {
		return
	}
	m, k := a.Shape.Rows(), a.Shape.Cols()
	if ta {
		m, k = k, m
	}
	n := b.Shape.Cols()
	if tb {
		n = b.Shape.Rows()
	}
	args := matmulArgs{
		a: d.at(a), b: d.at(b), dims: d.counts(m, n, k), out: out, ta: flag(ta), tb: flag(tb),
	}
	m, n, k = class(m), class(n), class(k)
	if !ta && tb && min(m, n) <= skinny {
		launch(d, d.typed("matmul_skinny", a), grid{x: ceil(max(m, n), 16), y: ceil(min(m, n), 8)}, 256, 0, args)
		return
	}
	narrow := d.Bytes(a.DType) == 2
	d.tiled(planMatmul(m, n, k, narrow, narrow && ta && tb), a.DType, args)
}

// tiled queues a product of factors of type t by tiles.
func (d *Device) tiled(p matmulPlan, t compute.DType, args matmulArgs) {
	args.chunk, args.parts = int32(p.chunk), int32(p.parts)
	if p.parts > 1 {
		args.partial = d.scratch(p.partialBytes())
	}
	name, block := "matmul", 256
	if p.tile == smallTile {
		name += "_small"
	}
	suffix := "_f32"
	if d.Bytes(t) == 2 {
		name += "_" + letter(args.ta) + letter(args.tb)
		suffix, block = "_bf16", 128
	}
	launch(d, name+suffix, grid{x: p.tiles(), y: p.parts}, block, 0, args)
	if p.parts > 1 {
		launch(d, "matmul_reduce"+suffix, grid{x: ceil(p.m*ceil(p.n, 8), 256)}, 256, 0, args)
	}
}

// letter says in a kernel's name whether a factor is transposed.
func letter(transposed uint32) string {
	if transposed != 0 {
		return "t"
	}
	return "n"
}
