//go:build cuda && cgo && linux && amd64

package gpu

import "github.com/lor2c/lor2c/internal/compute"

// outputArgs has the fields of struct Output.
type outputArgs struct {
	dst, pre, bias   ptr
	alpha            float32
	act              int32
	accumulate, full uint32
	slope, _         uint32
}

// joinedArgs has the fields of struct Joined.
type joinedArgs struct{ a, b, dst, bias ptr }

// matmulArgs has the fields of struct MatmulArgs.
type matmulArgs struct {
	a, b, partial, dims ptr
	out                 outputArgs
	ta, tb              uint32
	chunk, parts        int32
	joined              [2]joinedArgs
	more, chained       uint32
}

// skinny is the largest number of rows or columns of a product for which tiles are not used.
const skinny = 16

// skinnyKernels are the kernels for such products, with the number of lines of the short factor that a warp has. An
// element has the same bits with each of them.
var skinnyKernels = []struct {
	op  string
	few int
}{{"matmul_skinny1", 1}, {"matmul_skinny2", 2}, {"matmul_skinny4", 4}, {"matmul_skinny", 8}}

// Gemm computes dst = alpha op(a) op(b), or adds it to dst.
func (d *Device) Gemm(
	dst compute.Tensor, alpha float32, a compute.Tensor, ta bool, b compute.Tensor, tb bool, accumulate bool,
) {
	d.product(a, ta, b, tb, outputArgs{
		dst: d.at(dst), alpha: alpha, accumulate: boolArg(accumulate), full: boolArg(d.Bytes(dst.DType) == 4),
	})
}

// Linear computes dst = act(x WT + bias). Bias and activation are applied to a tile while it is in registers.
func (d *Device) Linear(dst, pre, x, w, bias compute.Tensor, act compute.Act) {
	d.product(x, false, w, true, outputArgs{
		dst: d.at(dst), pre: d.at(pre), bias: d.at(bias), alpha: 1, act: int32(act), full: boolArg(d.Bytes(dst.DType) == 4),
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
		a: d.at(a), b: d.at(b), dims: d.counts(m, n, k), out: out, ta: boolArg(ta), tb: boolArg(tb),
	}
	if few := min(class(m), class(n)); !ta && tb && few <= skinny {
		for _, s := range skinnyKernels {
			if kernel := d.typed(s.op, a.DType); (few <= s.few || s.few == 8) && !d.refused[kernel] {
				g := grid{x: ceil(max(class(m), class(n)), 16), y: ceil(few, s.few)}
				d.launchProduct(kernel, g, 256, args, m*n)
				return
			}
		}
	}
	d.joinOrLaunch(joinable{args: args, m: m, n: n, k: k, t: a.DType})
}

// productShape has everything that a plan depends on; see planMatmul.
type productShape struct {
	m, n, k       int
	narrow, small bool
}

// plan returns the plan for a shape. It computes each plan once, because all steps have the same few shapes.
func (d *Device) plan(s productShape) matmulPlan {
	p, known := d.plans[s]
	if !known {
		p = planMatmul(s.m, s.n, s.k, s.narrow, s.small)
		d.plans[s] = p
	}
	return p
}

// tileKernel returns the kernel for a plan and the threads of its blocks.
func (d *Device) tileKernel(p matmulPlan, t compute.DType, args *matmulArgs) (kernel string, threads int) {
	name, threads := "matmul", 256
	if p.tile == smallTile {
		name += "_small"
	}
	if d.Bytes(t) == 2 {
		name += "_" + letter(args.ta) + letter(args.tb)
		threads = 128
	}
	return d.typed(name, t), threads
}

// tiled queues a product with the kernels that work on tiles. Factors have type t, and dst has the given number of
// elements.
func (d *Device) tiled(p matmulPlan, t compute.DType, args matmulArgs, elements int) {
	kernel, block := d.tileKernel(p, t, &args)
	reduce := d.typed("matmul_reduce", t)
	if d.refused[kernel] || p.parts > 1 && d.refused[reduce] {
		d.launchProduct(d.typed("matmul_plain", t), grid{x: ceil(p.m*p.n, 256)}, 256, args, elements)
		return
	}
	args.chunk, args.parts = int32(p.chunk), int32(p.parts)
	if p.parts > 1 {
		args.partial = d.scratch(p.partialBytes())
	}
	g := grid{x: p.tiles(), y: p.parts}
	if args.chained == 0 {
		g.z = 1 + int(args.more)
	}
	d.launchProduct(kernel, g, block, args, elements)
	if p.parts > 1 {
		d.launchProduct(reduce, grid{x: ceil(p.m*ceil(p.n, 8), 256)}, 256, args, elements)
	}
}

// launchProduct queues a launch with an epilogue, into which the next op may be fused.
func (d *Device) launchProduct(kernel string, g grid, block int, args matmulArgs, elements int) {
	before := d.queue.serial
	launch(d, kernel, g, block, 0, args)
	if d.queue.serial != before {
		d.lastProduct = fusableProduct{d.queue.serial, kernel, g, block, args, elements}
	}
}

// letter returns the letter of a kernel's name for a factor that is transposed or not.
func letter(transposed uint32) string {
	if transposed != 0 {
		return "t"
	}
	return "n"
}
