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
	// SymmetricKL adds scale/2 times the sum over rows of KL(q||p) + KL(p||q) to loss [1] Exact, where p and q are
	// the softmax of the rows of x and z (Wang et al. 2022, arXiv:2205.12410). dx and dz [B,C] receive the gradients
	// and may each be absent. With detach the first distribution of each KL is a constant. x, z [B,C].
	SymmetricKL(loss, dx, dz, x, z Tensor, scale float32, detach bool)
	// Balance adds scale var(q f)/(mean(q f)^2 + 1e-10) to loss [1], over all elements of q and of the factors f, and
	// writes the gradient to dq (Dou et al. 2024, arXiv:2312.09979). The variance is that of a sample. One element
	// alone adds nothing. q, f, dq [B,E] and loss are Exact. dq may be absent.
	Balance(loss, dq, q, f Tensor, scale float32)
	// Orthogonality adds scale ||c - I|| to loss [1], where c [R,R] is a Gram matrix, and replaces c by
	// scale (c - I)/||c - I||, or by zeros if c is I. The norm is Frobenius'. Both are Exact. A Gemm of the new c
	// with twice the factor is the gradient of the factor (Zhang et al. 2023, arXiv:2303.10512).
	Orthogonality(loss, c Tensor, scale float32)
	// Importance updates the moving averages of the sensitivity i = |p g state[StateFactor]| of each parameter and of
	// its deviation: mean = beta1 mean + (1-beta1) i, dev = beta2 dev + (1-beta2) |i - mean| with the new mean
	// (Zhang et al. 2022, arXiv:2206.12562). mean, dev, p, g [n] Exact. If StateHalted is set it does nothing.
	Importance(mean, dev, p, g, state Tensor, beta1, beta2 float32)
	// SumProducts computes dst[i] += alpha (sum over j of x[i,j] y[i,j]), or with columns
	// dst[j] += alpha (sum over i of x[i,j] y[i,j]). x, y [I,J]; all are Exact.
	SumProducts(dst, x, y Tensor, alpha float32, columns bool)
	// ZeroSmallest sets x[i] to 0 if scores[i] is at most the k-th smallest score, so equal scores are treated
	// alike. With a k of 0 it does nothing. x [n] Working or Exact, scores [n] Exact.
	ZeroSmallest(x, scores Tensor, k int)
}
