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
}
