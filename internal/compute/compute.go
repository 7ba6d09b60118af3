// Package compute defines what a device must be able to do: the interface, its types and conventions, the random
// numbers and the step arena. It contains no arithmetic. Package internal/cpu is the reference device,
// compute/nulldev a device that only plans memory, and compute/computetest the suite that every device with
// arithmetic passes.
//
// Conventions, true of every method:
//   - tensors are dense and row-major; the last axis is contiguous
//   - activations are packed: [N, C] has the N real tokens of the batch, its sequences concatenated without pad
//     tokens, and cu_seqlens says where each sequence begins
//   - the destination comes first, as in copy(dst, src), and must not alias a source unless the method says that it
//     may
//   - dx is the gradient dL/dx of the loss L with respect to x
//   - methods that write a parameter gradient ADD to it; those that write an
//     activation gradient overwrite it unless they take an accumulate flag
//   - an absent tensor is the zero Tensor
//   - B sequences, T tokens of one sequence, N packed tokens, C width, H heads,
//     D head width, V vocabulary, R rank, K and M inner and outer widths of a
//     linear layer
//   - package tape has checked shapes and types; a device may assume that they are right
//
// There are two floating types. Working is the precision of a device and may be narrower than float32. Exact has at
// least the precision of float32 and is the type of values that a narrow type would spoil:
//   - Working is the type of activations and their gradients, of logits, and of every parameter as a forward pass
//     reads it
//   - Exact is the type of parameter gradients, of the optimizer's parameters, moments and state, of losses and
//     regression labels, of the stats and lse that a gradient is computed from, of u in a low-rank path, and of every
//     sum inside a method
//
// Methods say which tensors are Exact; the others are Working. If elements of both have the same size, the two are
// the same type.
package compute

import (
	"errors"
	"fmt"
)

// ErrOutOfMemory is wrapped by errors that report that a device has less memory than was requested.
var ErrOutOfMemory = errors.New("out of device memory")

// Act names an elementwise activation.
type Act uint8

const (
	// Identity leaves its input unchanged.
	Identity Act = iota
	// GELU is x Phi(x), by erf (Hendrycks and Gimpel 2016, arXiv:1606.08415).
	GELU
	// GELUTanh is the tanh approximation in the same paper ("gelu_new").
	GELUTanh
	// ReLU is max(x, 0).
	ReLU
	// Tanh is the hyperbolic tangent. The pooler and the classification head use it.
	Tanh
	// SiLU is x/(1 + exp(-x)), also called swish (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2).
	SiLU
)

// Device is a place where a step can run.
//
// Only Download, Sync and Close wait for queued work. A device that fails keeps its first error, and from then on its
// methods do nothing. So callers need to check for errors only once per step, not after every op.
type Device interface {
	// Name describes the device for logs.
	Name() string
	Memory
	Elementwise
	Matmul
	Norm
	Attention
	Loss
	Update
	Methods

	// Err returns the first failure, or nil. It does not wait.
	Err() error
	// Sync waits for queued work and returns Err.
	Sync() error
	// Close waits for queued work and frees all memory. The device must not be used afterwards.
	Close() error
}

// Stats has the counters of a device.
type Stats struct {
	PersistentBytes int64 // allocated by Alloc
	ArenaBytes      int64 // current size of the step arena
	ArenaPeak       int64 // largest part of the arena that was in use at one time
	ScratchBytes    int64 // other memory of the device, if it counts it
	Free            int64 // bytes that could still be allocated; 0 if unknown
	Host            bool  // these bytes are main memory, because the device is the CPU
	Grown           int64 // how often the arena has grown since the device was opened
	Syncs           int64 // how often the host has waited for the device
}

// Memory allocates and moves data.
type Memory interface {
	// Bytes returns the size of one element of a type other than NF4.
	Bytes(d DType) int64
	// Alloc returns a tensor of zeros that lives until Close, such as weights, parameters and optimizer state.
	Alloc(s Shape, d DType) Tensor
	// AllocFrozen returns a matrix [M,K] of weights that are never trained, as a tensor of type Working that lives until
	// Close. The device may store it in an order of its own. If d is BFloat16 or Float16 instead of Working, it may
	// store an element in Bytes(d) bytes, as long as that holds every uploaded value exactly. Only these may read the
	// tensor, and only as a whole: Linear as w, Gemm as b, LowRankInvNorm as w, Embed as word, Copy and Download.
	AllocFrozen(s Shape, d DType) Tensor
	// Free frees a tensor of Alloc before Close.
	Free(t Tensor)
	// Reserve sets the size of the step arena in bytes. Temp then never allocates memory.
	Reserve(bytes int64)
	// Temp returns a tensor in the step arena with undefined contents. It lives until Release or Reset.
	Temp(s Shape, d DType) Tensor
	// Release frees a tensor of Temp before Reset, so that a later Temp of the same size can use its memory.
	Release(t Tensor)
	// Reset frees all tensors of the step arena. A step begins with it.
	Reset()
	// Upload copies src to a Working or Exact tensor and rounds to its type. The caller may change src as soon as
	// Upload returns.
	Upload(dst Tensor, src []float32)
	// UploadInts copies src to an Int tensor. The caller may change src as soon as UploadInts returns.
	UploadInts(dst Tensor, src []int32)
	// UploadNF4 fills an NF4 tensor with codes, two per byte with the first in the high bits, and with the scale of
	// every 64 elements in row-major order. The caller may change both as soon as UploadNF4 returns.
	UploadNF4(dst Tensor, codes []byte, scales []float32)
	// ReadsNF4 reports whether Linear as w and Gemm as b, if a and dst are Working, read an NF4 tensor [M,K], with the
	// result that they have for its copy in a Working tensor.
	ReadsNF4() bool
	// Download waits until src, a Working or Exact tensor, has been computed and copies it to dst.
	Download(dst []float32, src Tensor)
	Stats() Stats
}

// Elementwise has the pointwise ops, sums over rows and the selection of rows.
type Elementwise interface {
	// Fill sets every element of a Working or Exact tensor.
	Fill(dst Tensor, v float32)
	// Copy copies src to dst. Both have the same type, or one is Working and the other Exact; Copy then converts,
	// rounding to nearest even. src may be NF4 if dst is Working; its elements are then level times scale.
	Copy(dst, src Tensor)
	// Axpy computes dst += alpha x, both Working or both Exact.
	Axpy(dst Tensor, alpha float32, x Tensor)
	// Act computes dst = act(pre). dst may be pre.
	Act(act Act, dst, pre Tensor)
	// ActGrad computes dx = dy act'(pre). dx may be dy.
	ActGrad(act Act, dx, pre, dy Tensor)
	// SwiGLU computes dst = silu(gate) up, silu(x) = x/(1 + exp(-x)) (Shazeer
	// 2020, arXiv:2002.05202, eq. 6). gate, up, dst [N,C].
	SwiGLU(dst, gate, up Tensor)
	// SwiGLUGrad computes the gradient of SwiGLU. dgate and dup may each be absent.
	SwiGLUGrad(dgate, dup, gate, up, dy Tensor)
	// Dropout computes dst = mask x / (1-p) with the mask of drop. Its gradient is the same call on dy, so no mask is
	// stored. dst may be x.
	Dropout(dst, x Tensor, drop Dropout)
	// SumRows computes dst[c] += sum over n of x[n,c], the gradient of a bias. dst is Exact.
	SumRows(dst, x Tensor)
	// Gather computes dst[n] = x[idx[n]]: x [N,C], idx [B] Int, dst [B,C]. x and dst are both Working or both Exact.
	Gather(dst, x, idx Tensor)
	// Scatter computes dst[idx[n]] += x[n], in the order of n. It is the gradient of Gather. idx [B] Int, x [B,C],
	// dst [N,C], of one type as for Gather.
	Scatter(dst, idx, x Tensor)
	// Put computes dst[idx[n]] = x[n], for indices that are all different, or where equal ones have equal rows of x.
	// Shapes and types are those of Scatter.
	Put(dst, idx, x Tensor)
	// ArgMax computes dst[n] = the index of the largest element of row n of x, the least index of several, and -1 if an
	// element is NaN. x [N,C] Working, C at most 2^24; dst [N] Exact.
	ArgMax(dst, x Tensor)
	// Embed computes dst[n] = word[ids[n]] + position[pos[n]] + tokenType[types[n]].
	// ids, pos, types [N] Int; the tables [V,C]; dst [N,C]. The table tokenType may be absent with types, and then the
	// table position may be absent with pos.
	Embed(dst, ids, pos, types, word, position, tokenType Tensor)
	// EmbedGrad adds the rows of dy to the gradients of the tables, in the order of n. The gradients are Exact, and
	// each may be absent.
	EmbedGrad(dword, dposition, dtokenType, ids, pos, types, dy Tensor)
}

// Matmul has the products of matrices.
type Matmul interface {
	// Gemm computes dst = alpha op(a) op(b), or adds that to dst if accumulate is set. op transposes its operand if
	// ta or tb is set. op(a) [M,K], op(b) [K,N], dst [M,N]. The types are one of three combinations: all three
	// Working, for the gradient of an activation; only dst Exact, for the gradient of a weight; all three Exact, for
	// a Gram matrix.
	Gemm(dst Tensor, alpha float32, a Tensor, ta bool, b Tensor, tb bool, accumulate bool)
	// Linear computes dst = act(x WT + bias). x [N,K], w [M,K], bias [M] or absent, dst [N,M]. pre [N,M] receives the
	// value before act. It may be absent, and must be absent if act is Identity.
	Linear(dst, pre, x, w, bias Tensor, act Act)
	// LowRankDown computes u = dropout(x) AT, the first half of a low-rank path. The product B A is never formed. x
	// [N,K], A [R,K]; u [N,R] Exact.
	//
	// A factor with fewer elements makes a path of G equal groups, whose A and B are the diagonal blocks of those of a
	// path without groups. A [R,K/G] has the blocks of A below each other, and B [M,R/G] those of B. In all four
	// methods G = K/a.Cols or R/b.Cols, where R are the columns of u or du. The mask is that of all K columns.
	LowRankDown(u, x, a Tensor, drop Dropout)
	// LowRankDownGrad computes the gradient of LowRankDown from du [N,R] Exact: da += duT dropout(x), where da is
	// Exact, and dx = dropout(du A), which is added to dx if accumulate is set. dx may be absent, and so may da
	// together with x.
	LowRankDownGrad(dx, da, x, a, du Tensor, drop Dropout, accumulate bool)
	// LowRankUp computes dst += scale u BT, the second half of a low-rank path. u [N,R] Exact, B [M,R], dst [N,M]. If
	// a LayerNorm, a LowRankUp that adds to its dst, and a LowRankDown of that dst follow each other directly, a
	// device may run them as one op.
	LowRankUp(dst, u, b Tensor, scale float32)
	// LowRankUpGrad computes the gradient of LowRankUp from dy [N,M]: du = scale dy B, where du [N,R] is Exact, and
	// db += scale dyT u, where db is Exact. du may be absent, and so may db together with u.
	LowRankUpGrad(du, db, u, b, dy Tensor, scale float32)
}

// Norm has the normalisations of rows over the last axis.
type Norm interface {
	// LayerNorm computes sum = residual + dropout(x) and dst = (sum - mean)/sqrt(var + eps) gamma + beta (Ba et al.
	// 2016, arXiv:1607.06450, eq. 4).
	LayerNorm(o LayerNormArgs)
	// LayerNormGrad computes the gradient of LayerNorm.
	LayerNormGrad(o LayerNormGradArgs)
	// RMSNorm computes dst = x rstd gamma, rstd = 1/sqrt(mean(x^2) + eps) (Zhang and Sennrich 2019, arXiv:1910.07467,
	// eq. 4).
	RMSNorm(o RMSNormArgs)
	// RMSNormGrad computes the gradient of RMSNorm.
	RMSNormGrad(o RMSNormGradArgs)
}

// Attention has the ops of attention over packed sequences of variable length.
type Attention interface {
	// Attention computes dst = softmax(scale q kT + bias) v for each head and sequence. q, dst [NQ, H*D]; k, v [NK,
	// HKV*D]; lse [NQ, H] Exact receives the logarithm of each row's sum of exponentials. A query whose sequence has no
	// keys yields zeros and an lse of -Inf.
	Attention(dst, lse, q, k, v Tensor, o AttnOpts)
	// AttentionGrad computes the gradient of Attention.
	AttentionGrad(o AttentionGradArgs)
	// RoPE multiplies the pair (i, i + D/2) of every head of row n of x [N,H*D], as a complex number, by
	// table[pos[n], i] + i table[pos[n], i + D/2], in place (Su et al. 2021, arXiv:2104.09864, eq. 34, with the pairs
	// of Hugging Face's LLaMA). If inverse is set it multiplies by the conjugate, which is the gradient. table [P,D]
	// Exact has the cosines of the angles of each position, then their sines. pos [N] Int, 0 to P-1; D is even.
	RoPE(x, pos, table Tensor, inverse bool)
}

// Loss has the ops that end a forward pass. scale is 1 over the number of examples of the whole optimizer step, or
// over the sum of their weights, so that accumulation over micro-batches is exact. Losses are Exact.
type Loss interface {
	// CrossEntropy adds scale times the sum of the rows' losses to loss [1]. If l[c] = -log softmax(logits[n])[c], e
	// is the smoothing and y the label, the loss of row n is
	//
	//	rows[n] ((1-e) classes[y] l[y] + e/C sum over c of classes[c] l[c])
	//
	// as in torch.nn.CrossEntropyLoss for one row. logits [B,C]; labels [B] Int; dlogits [B,C] receives the gradient.
	// It may be absent, and it may be logits. A row whose label is below 0 (Hugging Face writes -100) adds no loss
	// and has a gradient of 0.
	CrossEntropy(loss, dlogits, logits, labels Tensor, scale float32, o CrossEntropyOpts)
	// BinaryCrossEntropy adds scale times the sum over all elements of -y log p - (1-y) log(1-p) to loss [1], where p is
	// the logistic function of the logit x, as in torch.nn.BCEWithLogitsLoss. logits [B,C]; targets [B,C] Exact, each 0
	// to 1; dlogits [B,C] receives the gradient scale (p-y). It may be absent, and it may be logits.
	BinaryCrossEntropy(loss, dlogits, logits, targets Tensor, scale float32)
	// MSE computes loss [1] += scale sum (x-y)^2. x [B,1]; y [B] Exact; dx [B,1] receives the gradient and may be
	// absent.
	MSE(loss, dx, x, y Tensor, scale float32)
}

// Indices into the state [StateLen] tensor of GradNorm.
const (
	StateNorm   = iota // global norm of the gradient before clipping
	StateFactor        // factor by which AdamW multiplies the gradient
	StateHalted        // not 0 after a loss or norm that was not finite
	StateLen
)

// Update has the ops of the optimizer, which work in place. All tensors are Exact except AdamW's w.
type Update interface {
	// SumAbs computes dst [1] += sum over i of |x[i]|.
	SumAbs(dst, x Tensor)
	// GradNorm writes to state [StateLen] the norm of g and the factor min(1, maxNorm/norm) that AdamW will apply;
	// with a maxNorm of 0 the factor is 1. If loss [1] or the norm is not finite it sets StateHalted, which nothing
	// resets.
	GradNorm(state, g, loss Tensor, maxNorm float32)
	// AdamW updates p, m and v, all [n], from g times state[StateFactor]. w [n] Working receives p rounded to
	// Working; it is absent if parameters have no working copy. If StateHalted is set AdamW does nothing, so that the
	// parameters keep their values from before the step that failed.
	AdamW(p, w, m, v, g, state Tensor, o AdamWOpts)
}

// ShapeError reports operands whose shapes do not fit, which is a bug in the caller. Package tape panics with it, and
// train.Step returns it as an error.
type ShapeError struct {
	Op   string
	Want string
	Got  []Shape
}

// Error names the op, the shapes that it got and those that it wants.
func (e *ShapeError) Error() string {
	return fmt.Sprintf("compute: %s: shapes are %v; want %s", e.Op, e.Got, e.Want)
}

// TypeError reports a tensor of the wrong element type, which is a bug in the caller too.
type TypeError struct {
	Op        string
	Want, Got DType
	Shape     Shape
}

// Error names the op, the tensor's shape and the two types.
func (e *TypeError) Error() string {
	return fmt.Sprintf("compute: %s: a tensor %v is %v; want %v", e.Op, e.Shape, e.Got, e.Want)
}
