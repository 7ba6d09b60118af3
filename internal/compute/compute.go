// Package compute says what a device must be able to do. It holds the contract
// (types, conventions, the definition of the random numbers, the step arena)
// and no arithmetic: internal/cpu is the reference device, compute/nulldev the
// one that only plans memory, and compute/computetest the suite that every
// device with arithmetic passes.
//
// Conventions, true of every method:
//   - tensors are dense and row-major; the last axis is contiguous
//   - activations are packed: [N, C] holds the N real tokens of the batch one
//     sequence after the other, cu_seqlens says where each begins, and there
//     is no pad token
//   - the destination comes first, as in copy(dst, src), and never aliases a
//     source unless the method says that it may
//   - gradients are named after what they are the gradient of: dx is dL/dx
//   - methods that write a parameter gradient ADD to it; those that write an
//     activation gradient overwrite it unless they take an accumulate flag
//   - an absent tensor is the zero Tensor
//   - B sequences, T tokens of one sequence, N packed tokens, C width, H heads,
//     D head width, V vocabulary, R rank, K and M inner and outer widths of a
//     linear layer
//   - shapes and types have been checked by package tape; a device may assume
//     them
//
// Precision. A device works in Working, which may be narrower than float32; what
// a narrow type would spoil is Exact, at least float32:
//   - Working are activations and their gradients, logits, and every parameter as
//     a forward pass reads it
//   - Exact are parameter gradients, the optimizer's parameters, moments and
//     state, losses, labels of a regression, the stats and lse that a gradient
//     goes by, u of a low-rank path and whatever a method accumulates inside
//
// Methods say which tensors are Exact; the others are Working. Where an element of
// Working is as large as one of Exact the two are one type.
package compute

import (
	"errors"
	"fmt"
)

// ErrOutOfMemory is wrapped where a device has less memory than was asked of it.
var ErrOutOfMemory = errors.New("out of device memory")

// DType is an element type.
type DType uint8

const (
	// Working is the device's working precision: float32, bfloat16 on a device
	// opened for it, float64 on the one that gradient checks use.
	Working DType = iota
	// Int is int32: token ids, labels, cu_seqlens.
	Int
	// Exact is float32 on a device whose Working is narrower, else the same as
	// Working.
	Exact
)

// String names d as this package does.
func (d DType) String() string {
	switch d {
	case Working:
		return "Working"
	case Int:
		return "Int"
	case Exact:
		return "Exact"
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Narrow reports whether d's Working is narrower than Exact, so that a trained
// parameter needs a working copy beside its exact value.
func Narrow(d Memory) bool { return d.Bytes(Working) < d.Bytes(Exact) }

// Shape lists axis lengths, outermost first.
type Shape []int

// Len returns the number of elements; 1 for a scalar's empty shape.
func (s Shape) Len() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Rows returns the product of all axes but the last.
func (s Shape) Rows() int { return s[:len(s)-1].Len() }

// Cols returns the length of the last axis.
func (s Shape) Cols() int { return s[len(s)-1] }

// String prints the axis lengths as [N C].
func (s Shape) String() string { return fmt.Sprint([]int(s)) }

// Buffer is storage that only its device understands.
type Buffer any

// Tensor is a shaped view of a buffer. Copying the struct copies the view.
type Tensor struct {
	Shape Shape
	DType DType
	Buf   Buffer
	Off   int // first element within Buf
}

// Present reports whether t is more than the zero Tensor.
func (t Tensor) Present() bool { return t.Buf != nil }

// View returns rows [i, j) of t's first axis, sharing storage.
func (t Tensor) View(i, j int) Tensor {
	v := t
	v.Off += i * t.Shape[1:].Len()
	v.Shape = append(Shape{j - i}, t.Shape[1:]...)
	return v
}

// Slice returns n elements from element at on, as shape s, sharing storage.
func (t Tensor) Slice(at int, s Shape) Tensor {
	v := t
	v.Off += at
	v.Shape = s
	return v
}

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
	// Tanh is the hyperbolic tangent, used by pooler and classification head.
	Tanh
)

// AttnOpts describes one attention call over packed rows.
type AttnOpts struct {
	Heads, KVHeads, HeadDim int
	// CuQ and CuK are cu_seqlens [B+1] Int of query rows and of key rows. They
	// are the same tensor, except where only some rows of a layer are asked
	// for, as in the last layer before a classification head.
	CuQ, CuK   Tensor
	MaxQ, MaxK int     // longest sequence among the query rows, and the key rows
	Causal     bool    // query i of a sequence sees keys j <= i + (TK - TQ)
	Scale      float32 // of the scores, above 0
	// Dropout acts on the probabilities. The mask element of query row n, head
	// h and key j of the sequence is row (Dropout.Row + n)*Heads + h, column j.
	Dropout Dropout
}

// Device is one place where a step can run.
//
// No method but Download, Sync and Close waits for queued work. A device that
// fails keeps its first error; from then on every method does nothing, so that
// callers ask once a step and not once an op.
type Device interface {
	// Name says which device this is, for logs.
	Name() string
	Memory
	Elementwise
	Matmul
	Norm
	Attention
	Loss
	Update

	// Err returns the first failure, or nil, without waiting.
	Err() error
	// Sync waits for queued work and returns Err.
	Sync() error
	// Close waits, then frees everything. The device is unusable afterwards.
	Close() error
}

// Stats counts what tests assert and logs report.
type Stats struct {
	PersistentBytes int64 // by Alloc
	ArenaBytes      int64 // size of the step arena now
	ArenaPeak       int64 // most that was in use at one time
	ScratchBytes    int64 // taken besides, as far as that is counted
	Free            int64 // bytes that could still be taken; 0 where that is not known
	Grown           int64 // times the arena had to grow since the device was opened
	Syncs           int64 // times the host waited for the device
}

// Memory allocates and moves data.
type Memory interface {
	// Bytes returns the size of one element of a type.
	Bytes(d DType) int64
	// Alloc returns a zeroed tensor that lives until Close: weights,
	// parameters, optimizer state.
	Alloc(s Shape, d DType) Tensor
	// Free returns a tensor of Alloc before Close.
	Free(t Tensor)
	// Reserve sizes the step arena in bytes; within them Temp never allocates.
	Reserve(bytes int64)
	// Temp returns a tensor of the step arena with undefined contents. It
	// lives until Release or Reset.
	Temp(s Shape, d DType) Tensor
	// Release returns one Temp tensor early, so that a later Temp of the same
	// size takes its place.
	Release(t Tensor)
	// Reset returns the whole arena: the start of a step.
	Reset()
	// Upload copies to a Working or Exact tensor, rounding to its type; the source
	// may be reused at once.
	Upload(dst Tensor, src []float32)
	// UploadInts copies to an Int tensor; the source may be reused at once.
	UploadInts(dst Tensor, src []int32)
	// Download waits for src, a Working or Exact tensor, and copies it.
	Download(dst []float32, src Tensor)
	Stats() Stats
}

// Elementwise covers pointwise maps, row sums and row selection.
type Elementwise interface {
	// Fill sets every element of a Working or Exact tensor.
	Fill(dst Tensor, v float32)
	// Copy copies src, of any type, to dst of the same type; or Working to Exact
	// and Exact to Working, rounding to nearest even: the cast.
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
	// SwiGLUGrad is its gradient; dgate and dup may each be absent.
	SwiGLUGrad(dgate, dup, gate, up, dy Tensor)
	// Dropout computes dst = mask x / (1-p) with the mask that drop names. The
	// gradient is the same call on dy, so no mask is stored. dst may be x.
	Dropout(dst, x Tensor, drop Dropout)
	// SumRows computes dst[c] += sum over n of x[n,c], a bias gradient. dst is
	// Exact.
	SumRows(dst, x Tensor)
	// Gather computes dst[n] = x[idx[n]]: x [N,C], idx [B] Int, dst [B,C].
	Gather(dst, x, idx Tensor)
	// Scatter computes dst[idx[n]] += x[n], in the order of n: the gradient of
	// Gather. idx [B] Int, x [B,C], dst [N,C].
	Scatter(dst, idx, x Tensor)
	// Embed computes dst[n] = word[ids[n]] + position[pos[n]] + tokenType[types[n]].
	// ids, pos, types [N] Int; the tables [V,C]; dst [N,C].
	Embed(dst, ids, pos, types, word, position, tokenType Tensor)
	// EmbedGrad adds to the tables' gradients, which are Exact, in the order of
	// n; each may be absent.
	EmbedGrad(dword, dposition, dtokenType, ids, pos, types, dy Tensor)
}

// Matmul is the dense contractions.
type Matmul interface {
	// Gemm computes dst = alpha op(a) op(b), or adds it to dst, op transposing
	// where ta or tb is set. op(a) [M,K], op(b) [K,N], dst [M,N]. All three are
	// Working, an activation's gradient; or dst alone is Exact, a weight's; or all
	// three are Exact, a Gram matrix.
	Gemm(dst Tensor, alpha float32, a Tensor, ta bool, b Tensor, tb bool, accumulate bool)
	// Linear computes dst = act(x WT + bias). x [N,K], w [M,K], bias [M] or
	// absent, dst [N,M]. pre [N,M] receives the value before act; it may be
	// absent, and must be when act is Identity.
	Linear(dst, pre, x, w, bias Tensor, act Act)
	// LowRankDown computes u = dropout(x) AT, the first half of a low-rank path,
	// which never forms B A. x [N,K], A [R,K]; u [N,R] Exact.
	LowRankDown(u, x, a Tensor, drop Dropout)
	// LowRankDownGrad is its gradient for du [N,R] Exact: da += duT dropout(x), da
	// Exact, and dx = dropout(du A), added to dx where accumulate is set. dx may
	// be absent; so may da, and x with it.
	LowRankDownGrad(dx, da, x, a, du Tensor, drop Dropout, accumulate bool)
	// LowRankUp computes dst += scale u BT, the second half. u [N,R] Exact,
	// B [M,R], dst [N,M]. Devices may run a LayerNorm, a LowRankUp to its dst and
	// a LowRankDown of it that follow each other as one.
	LowRankUp(dst, u, b Tensor, scale float32)
	// LowRankUpGrad is its gradient for dy [N,M]: du = scale dy B, du [N,R] Exact,
	// and db += scale dyT u, db Exact. du may be absent; so may db, and u with it.
	LowRankUpGrad(du, db, u, b, dy Tensor, scale float32)
}

// Norm is row normalisation over the last axis.
type Norm interface {
	// LayerNorm computes sum = residual + dropout(x) and
	// dst = (sum - mean)/sqrt(var + eps) gamma + beta (Ba et al. 2016,
	// arXiv:1607.06450, eq. 4). x, residual, sum, dst
	// [N,C]; gamma, beta [C]; stats [N,2] Exact receives mean and
	// 1/sqrt(var + eps), of sum as it is stored.
	// sum may be x. With an absent residual, sum is absent and drop zero: x is
	// normalised as it is.
	LayerNorm(dst, sum, stats, x, residual, gamma, beta Tensor, eps float32, drop Dropout)
	// LayerNormGrad is its gradient; sum is what was normalised. dresidual
	// receives the gradient of sum, dx that of x before dropout; each may be
	// absent, as may dgamma and dbeta, which are Exact and added to.
	LayerNormGrad(dx, dresidual, dgamma, dbeta, sum, gamma, stats, dy Tensor, drop Dropout)
	// RMSNorm computes dst = x rstd gamma, rstd = 1/sqrt(mean(x^2) + eps) (Zhang
	// and Sennrich 2019, arXiv:1910.07467, eq. 4). x, dst [N,C]; gamma [C]; rstd
	// [N] Exact receives that of each row.
	RMSNorm(dst, rstd, x, gamma Tensor, eps float32)
	// RMSNormGrad is its gradient, which is added to dx where accumulate is set.
	// dx may be absent, as may dgamma, which is Exact and added to.
	RMSNormGrad(dx, dgamma, x, gamma, rstd, dy Tensor, accumulate bool)
}

// Attention is softmax(scale q kT) v by heads, variable-length.
type Attention interface {
	// Attention: q, dst [NQ, H*D]; k, v [NK, HKV*D]; lse [NQ, H] Exact
	// receives the log of each row's sum of exponentials. A query whose sequence has no key
	// yields zeros and an lse of -Inf.
	Attention(dst, lse, q, k, v Tensor, o AttnOpts)
	// AttentionGrad: y and lse are the outputs of Attention. dq may be absent.
	AttentionGrad(dq, dk, dv, q, k, v, y, lse, dy Tensor, o AttnOpts)
	// RoPE turns the pair (i, i + D/2) of every head of row n of x [N,H*D] by
	// the angle pos[n] base^(-2i/D), in place (Su et al. 2021, arXiv:2104.09864,
	// eq. 34, with the pairs of Hugging Face's LLaMA). inverse turns back, which
	// is the gradient. pos [N] Int, not negative and below 2^24; D even. Angles
	// are not rounded to Working or Exact.
	RoPE(x, pos Tensor, headDim int, base float64, inverse bool)
}

// CrossEntropyOpts weighs the terms of a cross-entropy. The zero value is the
// plain negative log-likelihood.
type CrossEntropyOpts struct {
	// Rows [B] Exact is what each row's loss is multiplied by; absent means 1.
	Rows Tensor
	// Classes [C] Exact is what the loss of a class is multiplied by; absent
	// means 1.
	Classes Tensor
	// Smoothing is the share of the target that is spread evenly over all
	// classes, 0 to 1 (Szegedy et al. 2016, arXiv:1512.00567, section 7).
	Smoothing float32
}

// Loss ends a forward pass. scale is 1 over the examples of the whole
// optimizer step, or over the sum of their weights, so that accumulation over
// micro-batches is exact. Losses are Exact.
type Loss interface {
	// CrossEntropy adds scale times the sum of the rows' losses to loss [1]. With
	// l[c] = -log softmax(logits[n])[c], e the smoothing and y the label, the
	// loss of row n is
	//
	//	rows[n] ((1-e) classes[y] l[y] + e/C sum over c of classes[c] l[c])
	//
	// as torch.nn.CrossEntropyLoss has it for one row. logits [B,C]; labels [B]
	// Int; dlogits [B,C] receives the gradient and may be absent, or be logits. A
	// row whose label is below 0 (Hugging Face writes -100) adds no loss and has
	// a gradient of 0.
	CrossEntropy(loss, dlogits, logits, labels Tensor, scale float32, o CrossEntropyOpts)
	// MSE: x [B,1]; y [B] Exact; loss [1] += scale sum (x-y)^2; dx [B,1]
	// receives the gradient and may be absent.
	MSE(loss, dx, x, y Tensor, scale float32)
}

// Indices into the state [StateLen] tensor of GradNorm.
const (
	StateNorm   = iota // global norm of the gradient before clipping
	StateFactor        // what AdamW multiplies the gradient by
	StateHalted        // not 0 once a loss or norm was not finite
	StateLen
)

// AdamWOpts are the scalars of one update (Loshchilov and Hutter 2019,
// arXiv:1711.05101, algorithm 2).
type AdamWOpts struct {
	LR, Beta1, Beta2, Eps, WeightDecay float64
	Step                               int // from 1
}

// Update applies the optimizer in place. All of it is Exact, but for AdamW's w.
type Update interface {
	// SumAbs computes dst [1] += sum over i of |x[i]|.
	SumAbs(dst, x Tensor)
	// GradNorm writes state [StateLen]: the norm of g, and the factor
	// min(1, maxNorm/norm) that AdamW will apply (maxNorm 0 does not clip).
	// When loss [1] or the norm is not finite it sets StateHalted, for good.
	GradNorm(state, g, loss Tensor, maxNorm float32)
	// AdamW updates p, m, v, all [n], from g times state[StateFactor]. w [n]
	// Working receives p rounded to it, and is absent where parameters have no
	// working copy. Once state is halted it does nothing, so that the
	// parameters stay as they were before the step that went wrong.
	AdamW(p, w, m, v, g, state Tensor, o AdamWOpts)
}

// ShapeError reports a caller's bug: package tape panics with it, and
// train.Step turns it into an error once.
type ShapeError struct {
	Op   string
	Want string
	Got  []Shape
}

// Error names the op, the shapes it wants and those it got.
func (e *ShapeError) Error() string {
	return fmt.Sprintf("compute: %s: shapes are %v; want %s", e.Op, e.Got, e.Want)
}

// TypeError reports a tensor of the wrong element type: a caller's bug too.
type TypeError struct {
	Op        string
	Want, Got DType
	Shape     Shape
}

// Error names the op, the tensor's shape and the two types.
func (e *TypeError) Error() string {
	return fmt.Sprintf("compute: %s: a tensor %v is %v; want %v", e.Op, e.Shape, e.Got, e.Want)
}
