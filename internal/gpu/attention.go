//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
)

// attentionArgs has the fields of struct AttentionArgs.
type attentionArgs struct {
	q, k, v, y, lse, dy, delta, dq, dk, dv ptr
	cuQ, cuK, sequences, table             ptr
	bias, buckets                          ptr
	dropout                                dropoutArgs
	heads, kvHeads, headDim, causal        int32
	scale                                  float32
	vector, tableWidth, places             int32
}

// biasGradientArgs has the fields of struct BiasGradientArgs.
type biasGradientArgs struct {
	attention    attentionArgs
	partial      ptr
	rows, blocks int32
}

// biasSumArgs has the fields of struct BiasSumArgs.
type biasSumArgs struct {
	dst, partial ptr
	count, parts int32
}

// deltaArgs has the fields of struct DeltaArgs.
type deltaArgs struct {
	y, dy, delta, n               ptr
	heads, headDim, lanes, vector int32
}

// attentionKernels has what is needed to launch the kernels for one head size.
type attentionKernels struct {
	size             string // head size as part of the kernel names; "" for the kernels that take any size
	rows             int    // rows that stay in the shared memory of a block
	forward, dkv, dq int    // bytes of shared memory
	vector           int32  // 1 if rows may be read 16 bytes at a time
}

// largestHead is the largest head size of any kernel, and largestBiased that of the kernels with a bias, which need
// more shared memory.
const (
	largestHead   = 256
	largestBiased = 128
	// biasedTiles is the head size of the kernels with a bias that use tensor cores. Every published MPNet has it.
	biasedTiles = 64
)

// attentionFor returns the kernels of op, attention_forward or attention_backward_kv, for heads of headDim columns:
// those with tensor cores if they are compiled for that size, every row begins at a multiple of 16 bytes and they have
// passed the self-check, and the general ones otherwise.
func (d *Device) attentionFor(op string, o compute.AttnOpts, tensors ...compute.Tensor) attentionKernels {
	general, headDim := d.generalAttention(o, tensors...), o.HeadDim
	size := fmt.Sprintf("%s_d%d", general.size, headDim)
	compiled := headDim == biasedTiles || !o.Bias.Present() && (headDim == 32 || headDim == 64 || headDim == 128)
	if d.narrow && general.vector == 1 && compiled && !d.plainAttention && !d.refused[d.named(op+size)] {
		stages := 3
		if headDim == 128 {
			stages = 2
		}
		passing := 128 * headDim * stages
		return attentionKernels{
			size: size, rows: 64, vector: 1,
			forward: 128*headDim + passing, dkv: 256*headDim + passing + 256*stages + 4096, dq: 256*headDim + passing,
		}.withBias(o)
	}
	return general
}

// generalAttention returns the kernels for heads of any size that have no more columns than they can hold.
func (d *Device) generalAttention(o compute.AttnOpts, tensors ...compute.Tensor) attentionKernels {
	k, headDim, largest := attentionKernels{rows: 16, vector: 1}, o.HeadDim, largestHead
	if o.Bias.Present() {
		k.size, largest = "_bias", largestBiased
	}
	if headDim > largest {
		d.fail(fmt.Errorf("gpu: attention: heads have %d columns; the kernels take up to %d", headDim, largest))
	}
	for _, t := range tensors {
		if headDim%8 != 0 || d.at(t)%16 != 0 {
			k.vector = 0
		}
	}
	stay := (headDim + 3) / 4 * 4
	pass := stay
	if stay%8 == 0 {
		pass += 4
	}
	k.forward = 64*stay + 256*pass + 2048
	k.dkv = k.forward + 64*stay
	k.dq = k.dkv
	return k.withBias(o)
}

// withBias returns k with shared memory for the bias of the distances between a block's rows and all others, if there
// is a bias.
func (k attentionKernels) withBias(o compute.AttnOpts) attentionKernels {
	if !o.Bias.Present() {
		return k
	}
	distances := func(most int) int { return 4 * (k.rows + class(most) + 32) }
	k.forward, k.dkv, k.dq = k.forward+distances(o.MaxK), k.dkv+distances(o.MaxQ), k.dq+distances(o.MaxK)
	return k
}

// attention returns the kernel arguments of an op, except for its tensors.
func (d *Device) attention(o compute.AttnOpts, k attentionKernels) attentionArgs {
	a := attentionArgs{
		cuQ: d.at(o.CuQ), cuK: d.at(o.CuK), sequences: d.count(o.CuQ.Shape[0] - 1), dropout: d.dropout(o.Dropout),
		heads: int32(o.Heads), kvHeads: int32(o.KVHeads), headDim: int32(o.HeadDim), scale: o.Scale, vector: k.vector,
	}
	if o.Causal {
		a.causal = 1
	}
	if o.Table.Present() {
		a.table, a.tableWidth = d.at(o.Table), int32(o.Table.Shape.Cols())
	}
	if o.Bias.Present() {
		a.bias, a.buckets, a.places = d.at(o.Bias), d.at(o.Buckets), int32(o.Buckets.Shape.Len()+1)/2
	}
	return a
}

// Attention computes softmax(scale q kT + bias) v for each head.
func (d *Device) Attention(dst, lse, q, k, v compute.Tensor, o compute.AttnOpts) {
	by := d.attentionFor("attention_forward", o, dst, q, k, v)
	a := d.attention(o, by)
	a.q, a.k, a.v, a.y, a.lse = d.at(q), d.at(k), d.at(v), d.at(dst), d.at(lse)
	g := grid{o.Heads, ceil(class(o.MaxQ), by.rows), class(o.CuQ.Shape[0] - 1)}
	launch(d, d.named("attention_forward"+by.size), g, 128, by.forward, a)
}

// AttentionGrad computes the gradient of Attention.
func (d *Device) AttentionGrad(o compute.AttentionGradArgs) {
	by := d.attentionFor("attention_backward_kv", o.AttnOpts, o.DQ, o.DK, o.DV, o.Q, o.K, o.V, o.DY)
	a := d.attention(o.AttnOpts, by)
	a.q, a.k, a.v, a.lse, a.dy = d.at(o.Q), d.at(o.K), d.at(o.V), d.at(o.LSE), d.at(o.DY)
	a.dq, a.dk, a.dv = d.at(o.DQ), d.at(o.DK), d.at(o.DV)
	a.delta = d.delta(o.Y, o.DY, o.AttnOpts)
	sequences := class(o.CuQ.Shape[0] - 1)
	launch(
		d, d.named("attention_backward_kv"+by.size), grid{o.KVHeads, ceil(class(o.MaxK), by.rows), sequences}, 128, by.dkv,
		a,
	)
	if o.DQ.Present() {
		launch(
			d, d.named("attention_backward_q"+by.size), grid{o.Heads, ceil(class(o.MaxQ), by.rows), sequences}, 128, by.dq, a,
		)
	}
	if o.DBias.Present() {
		d.biasGradient(o, a)
	}
}

// biasParts is the largest number of partial gradients of a bias.
const biasParts = 64

// biasGradient queues the gradient of the bias. a has the arguments of the other gradients.
func (d *Device) biasGradient(o compute.AttentionGradArgs, a attentionArgs) {
	by := d.generalAttention(o.AttnOpts, o.Q, o.K, o.V, o.DY)
	a.vector = by.vector
	rows, blocks := o.Bias.Shape.Rows(), ceil(class(o.MaxQ), by.rows)
	parts := min(class(o.CuQ.Shape[0]-1)*blocks, biasParts)
	// The row sums of dy y are in the same memory.
	delta := 4 * int64(class(o.Y.Shape[0])) * int64(o.Heads)
	partial := d.scratch(delta+4*int64(parts*rows*o.Heads)) + ptr(delta)
	launch(d, d.named("attention_bias_gradient"), grid{o.Heads, parts, 1}, 128, by.dq+512*rows,
		biasGradientArgs{attention: a, partial: partial, rows: int32(rows), blocks: int32(blocks)})
	count := rows * o.Heads
	launch(d, "attention_bias_sum", grid{x: ceil(count, 256)}, 256, 0,
		biasSumArgs{dst: d.at(o.DBias), partial: partial, count: int32(count), parts: int32(parts)})
}

// delta queues the computation of rowsum(dy y) for each head into scratch memory, and returns its address.
func (d *Device) delta(y, dy compute.Tensor, o compute.AttnOpts) ptr {
	rows := y.Shape[0]
	a := deltaArgs{
		y: d.at(y), dy: d.at(dy), delta: d.scratch(4 * int64(class(rows)) * int64(o.Heads)), n: d.count(rows),
		heads: int32(o.Heads), headDim: int32(o.HeadDim), lanes: 1,
	}
	units := o.HeadDim // loads per row and head
	if o.HeadDim%8 == 0 && a.y%16 == 0 && a.dy%16 == 0 {
		a.vector = 1
		units /= 8
	}
	for 2*a.lanes <= int32(min(units, 32)) {
		a.lanes *= 2
	}
	launch(d, d.named("attention_delta"), grid{x: ceil(class(rows)*o.Heads*int(a.lanes), 256)}, 256, 0, a)
	return a.delta
}
