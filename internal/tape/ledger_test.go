package tape_test

import (
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
)

type tensor = compute.Tensor

// ledger is a device that computes nothing and records which tensors of the
// arena are live. Every Temp of the null device has its own Buffer, so that a
// released tensor can be distinguished from one that took its place.
type ledger struct {
	compute.Device
	*testing.T
	live     map[compute.Buffer]tensor
	released map[compute.Buffer]bool
}

func newLedger(t *testing.T) *ledger {
	return &ledger{nulldev.Open(4), t, map[compute.Buffer]tensor{}, map[compute.Buffer]bool{}}
}

func (l *ledger) Name() string { return "ledger" }

func (l *ledger) Temp(s compute.Shape, d compute.DType) tensor {
	x := l.Device.Temp(s, d)
	l.live[x.Buf] = x
	return x
}

func (l *ledger) Release(x tensor) {
	l.Helper()
	if _, ok := l.live[x.Buf]; !ok {
		l.Errorf("release of %v, which is not live; released before: %v", x.Shape, l.released[x.Buf])
	}
	delete(l.live, x.Buf)
	l.released[x.Buf] = true
	l.Device.Release(x)
}

// shapes returns the shapes of all live tensors.
func (l *ledger) shapes() (shapes []compute.Shape) {
	for _, x := range l.live {
		shapes = append(shapes, x.Shape)
	}
	return shapes
}

// use reports operands of op that have been released.
func (l *ledger) use(op string, operands ...tensor) {
	l.Helper()
	for i, x := range operands {
		if x.Present() && l.released[x.Buf] {
			l.Errorf("%s reads or writes operand %d, %v, after its release", op, i, x.Shape)
		}
	}
}

func (l *ledger) Upload(dst tensor, _ []float32)            { l.use("Upload", dst) }
func (l *ledger) UploadInts(dst tensor, _ []int32)          { l.use("UploadInts", dst) }
func (l *ledger) Download(_ []float32, src tensor)          { l.use("Download", src) }
func (l *ledger) Fill(dst tensor, _ float32)                { l.use("Fill", dst) }
func (l *ledger) Copy(dst, src tensor)                      { l.use("Copy", dst, src) }
func (l *ledger) Axpy(dst tensor, _ float32, x tensor)      { l.use("Axpy", dst, x) }
func (l *ledger) Act(_ compute.Act, dst, pre tensor)        { l.use("Act", dst, pre) }
func (l *ledger) ActGrad(_ compute.Act, dx, pre, dy tensor) { l.use("ActGrad", dx, pre, dy) }
func (l *ledger) Dropout(dst, x tensor, _ compute.Dropout)  { l.use("Dropout", dst, x) }
func (l *ledger) SumRows(dst, x tensor)                     { l.use("SumRows", dst, x) }
func (l *ledger) Gather(dst, x, idx tensor)                 { l.use("Gather", dst, x, idx) }
func (l *ledger) Scatter(dst, idx, x tensor)                { l.use("Scatter", dst, idx, x) }
func (l *ledger) CrossEntropy(loss, dx, x, labels tensor, _ float32, o compute.CrossEntropyOpts) {
	l.use("CrossEntropy", loss, dx, x, labels, o.Rows, o.Classes)
}
func (l *ledger) BinaryCrossEntropy(loss, dx, x, y tensor, _ float32) {
	l.use("BinaryCrossEntropy", loss, dx, x, y)
}
func (l *ledger) MSE(loss, dx, x, y tensor, _ float32) { l.use("MSE", loss, dx, x, y) }

func (l *ledger) Embed(dst, ids, pos, types, word, position, kind tensor) {
	l.use("Embed", dst, ids, pos, types, word, position, kind)
}

func (l *ledger) EmbedGrad(dword, dposition, dkind, ids, pos, types, dy tensor) {
	l.use("EmbedGrad", dword, dposition, dkind, ids, pos, types, dy)
}

func (l *ledger) Gemm(dst tensor, _ float32, a tensor, _ bool, b tensor, _, _ bool) {
	l.use("Gemm", dst, a, b)
}

func (l *ledger) Linear(dst, pre, x, w, bias tensor, _ compute.Act) {
	l.use("Linear", dst, pre, x, w, bias)
}

func (l *ledger) LowRankDown(u, x, a tensor, _ compute.Dropout) { l.use("LowRankDown", u, x, a) }

func (l *ledger) LowRankDownGrad(dx, da, x, a, du tensor, _ compute.Dropout, _ bool) {
	l.use("LowRankDownGrad", dx, da, x, a, du)
}

func (l *ledger) LowRankUp(dst, u, b tensor, _ float32) { l.use("LowRankUp", dst, u, b) }

func (l *ledger) LowRankUpGrad(du, db, u, b, dy tensor, _ float32) {
	l.use("LowRankUpGrad", du, db, u, b, dy)
}

func (l *ledger) LayerNorm(o compute.LayerNormArgs) {
	l.use("LayerNorm", o.Dst, o.Sum, o.Stats, o.X, o.Residual, o.Gamma, o.Beta)
}

func (l *ledger) LayerNormGrad(o compute.LayerNormGradArgs) {
	l.use("LayerNormGrad", o.DX, o.DResidual, o.DGamma, o.DBeta, o.Sum, o.Gamma, o.Stats, o.DY)
}

func (l *ledger) RMSNorm(o compute.RMSNormArgs) { l.use("RMSNorm", o.Dst, o.RStd, o.X, o.Gamma) }

func (l *ledger) RMSNormGrad(o compute.RMSNormGradArgs) {
	l.use("RMSNormGrad", o.DX, o.DGamma, o.X, o.Gamma, o.RStd, o.DY)
}

func (l *ledger) RoPE(x, pos, table tensor, _ bool) { l.use("RoPE", x, pos, table) }
func (l *ledger) SwiGLU(dst, gate, up tensor)       { l.use("SwiGLU", dst, gate, up) }

func (l *ledger) SwiGLUGrad(dgate, dup, gate, up, dy tensor) {
	l.use("SwiGLUGrad", dgate, dup, gate, up, dy)
}

func (l *ledger) Attention(dst, lse, q, k, v tensor, o compute.AttnOpts) {
	l.use("Attention", dst, lse, q, k, v, o.CuQ, o.CuK, o.Bias, o.Buckets)
}

func (l *ledger) AttentionGrad(o compute.AttentionGradArgs) {
	l.use("AttentionGrad", o.DQ, o.DK, o.DV, o.Q, o.K, o.V, o.Y, o.LSE, o.DY, o.CuQ, o.CuK,
		o.Bias, o.Buckets, o.DBias)
}

func (l *ledger) ScaleCols(dst, x, v tensor, o compute.ScaleOpts) {
	l.use("ScaleCols", dst, x, v, o.Times, o.About)
}

func (l *ledger) ScaleColsGrad(dx, dv, x, v, dy tensor, o compute.ScaleOpts) {
	l.use("ScaleColsGrad", dx, dv, x, v, dy, o.Times, o.About)
}

func (l *ledger) LowRankInvNorm(dst, w, a, b tensor, _ float32) {
	l.use("LowRankInvNorm", dst, w, a, b)
}
func (l *ledger) PrependRows(dst, prefix, x, cu tensor) { l.use("PrependRows", dst, prefix, x, cu) }
func (l *ledger) PrependRowsGrad(dx, dprefix, dy, cu tensor) {
	l.use("PrependRowsGrad", dx, dprefix, dy, cu)
}
func (l *ledger) Softmax(dst, x tensor)            { l.use("Softmax", dst, x) }
func (l *ledger) SoftmaxGrad(dx, y, dy tensor)     { l.use("SoftmaxGrad", dx, y, dy) }
func (l *ledger) Gate(dst, w, u tensor)            { l.use("Gate", dst, w, u) }
func (l *ledger) GateGrad(dw, du, w, u, dy tensor) { l.use("GateGrad", dw, du, w, u, dy) }

func (l *ledger) SymmetricKL(loss, dx, dz, x, z tensor, _ float32, _ bool) {
	l.use("SymmetricKL", loss, dx, dz, x, z)
}

func (l *ledger) Balance(loss, dq, q, f tensor, _ float32) { l.use("Balance", loss, dq, q, f) }
