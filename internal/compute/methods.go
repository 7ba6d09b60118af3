package compute

// ScaleOpts says what ScaleCols does besides a multiplication by v. The zero value adds nothing.
type ScaleOpts struct {
	// Times [C] Exact is a constant that v is multiplied by. If it is absent it is 1.
	Times Tensor
	// About [C] Working is a constant that columns are scaled about, such as the bias that a row already has. If it
	// is absent it is 0.
	About Tensor
}

// Methods has the ops that only some fine-tuning methods need, besides the low-rank path of Matmul.
type Methods interface {
	// ScaleCols computes dst[n,c] = about[c] + (x[n,c] - about[c]) v[c] times[c]. x, dst [N,C] are both Working or
	// both Exact; v [C] Working. dst may be x.
	ScaleCols(dst, x, v Tensor, o ScaleOpts)
	// ScaleColsGrad computes the gradient of ScaleCols: dx = dy v times, and dv += times (sum over n of
	// dy (x - about)), where dv is Exact. dx may be dy, but then dv must be absent. dx may be absent, and so may dv
	// together with x.
	ScaleColsGrad(dx, dv, x, v, dy Tensor, o ScaleOpts)
	// LowRankInvNorm computes dst[m] = 1/||w[m] + scale (B A)[m]||, the reciprocal of the Euclidean norm of each row
	// of an adapted weight, and 0 for a row of zeros. w [M,K], a [R,K], b [M,R]; dst [M] Exact.
	LowRankInvNorm(dst, w, a, b Tensor, scale float32)
	// PrependRows writes the P rows of prefix before the rows of each sequence: row j of sequence s of dst is
	// prefix[j] for j < P, and x[cu[s]+j-P] for others. prefix [P,C]; x [NK,C]; cu [B+1] Int, the cu_seqlens of x;
	// dst [NK + B P,C].
	PrependRows(dst, prefix, x, cu Tensor)
	// PrependRowsGrad computes the gradient of PrependRows: dx receives the rows of dy that are those of x, and the
	// others are added to dprefix, which is Exact, in the order of sequences. Either may be absent.
	PrependRowsGrad(dx, dprefix, dy, cu Tensor)
	// Softmax computes dst[n,e] = exp(x[n,e]) / (sum over i of exp(x[n,i])). x, dst [N,E] Exact; dst may be x.
	Softmax(dst, x Tensor)
	// SoftmaxGrad computes the gradient of Softmax from its result y: dx = y (dy - (sum over e of y dy)). All are
	// [N,E] Exact; dx may be dy.
	SoftmaxGrad(dx, y, dy Tensor)
	// Gate computes dst[n,eR+k] = w[n,e] u[n,k], or w[n,e] u[n,eR+k] if u has a column for each of dst. It weighs the
	// ranks of E low-rank maps, which one LowRankUp then adds. w [N,E], u [N,R] or [N,E R], dst [N,E R], all Exact.
	Gate(dst, w, u Tensor)
	// GateGrad computes the gradient of Gate. dw and du may each be absent.
	GateGrad(dw, du, w, u, dy Tensor)
}
