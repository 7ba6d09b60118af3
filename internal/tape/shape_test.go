package tape

import (
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
)

// TestShapeErrors calls every op with one shape that does not fit. The panic must name the op and show the shapes of
// all operands.
func TestShapeErrors(t *testing.T) {
	dev := nulldev.Open(8)
	x := func(shape ...int) *Var { return &Var{Value: dev.Temp(shape, compute.Working)} }
	p := func(shape ...int) *Param { return &Param{Value: dev.Alloc(shape, compute.Working)} }
	ints := func(n int) compute.Tensor { return dev.Temp(compute.Shape{n}, compute.Int) }
	floats := func(n int) compute.Tensor { return dev.Temp(compute.Shape{n}, compute.Exact) }
	linear := func(x *Var, w, b *Param) func(*Tape) {
		return func(t *Tape) { t.Linear(x, w, b, compute.Identity) }
	}
	down := func(x *Var, a *Param) func(*Tape) {
		return func(t *Tape) { t.LowRankDown(x, a, compute.Dropout{}) }
	}
	up := func(y *Var, rows, rank int, b *Param) func(*Tape) {
		return func(t *Tape) { t.LowRankUp(y, &Var{Value: dev.Temp(compute.Shape{rows, rank}, compute.Exact)}, b, 1) }
	}
	addNorm := func(x, residual *Var, gamma, beta *Param) func(*Tape) {
		return func(t *Tape) { t.AddNorm(x, residual, gamma, beta, eps, compute.Dropout{}) }
	}
	attention := func(q, k, v *Var, cuQ, cuK int) func(*Tape) {
		return func(t *Tape) {
			t.Attention(q, k, v, compute.AttnOpts{Heads: 2, KVHeads: 1, HeadDim: 3, CuQ: ints(cuQ), CuK: ints(cuK)})
		}
	}
	biased := func(bias *Param, buckets int) func(*Tape) {
		return func(t *Tape) {
			t.BiasedAttention(x(7, 6), x(7, 6), x(7, 6), bias, compute.AttnOpts{
				Heads: 2, KVHeads: 2, HeadDim: 3, CuQ: ints(3), CuK: ints(3), MaxQ: 4, MaxK: 5, Buckets: ints(buckets),
			})
		}
	}
	none := compute.Tensor{}
	angles := func(dim int) compute.Tensor { return dev.Temp(compute.Shape{9, dim}, compute.Exact) }
	entropy := func(labels, rows, classes compute.Tensor) func(*Tape) {
		return func(t *Tape) {
			t.CrossEntropy(floats(1), x(7, 3), labels, 1, compute.CrossEntropyOpts{Rows: rows, Classes: classes})
		}
	}
	embed := func(pos, types int, word, position, kind *Param) func(*Tape) {
		return func(t *Tape) { t.Embed(ints(7), ints(pos), ints(types), word, position, kind) }
	}
	for _, test := range []struct {
		fault string
		op    func(*Tape)
		want  string
	}{
		{"w columns", linear(x(7, 6), p(5, 4), nil),
			"compute: linear: shapes are [[7 6] [5 4] []]; want x [N K], w [M K], bias [M]"},
		{"w axes", linear(x(7, 6), p(5, 6, 1), nil),
			"compute: linear: shapes are [[7 6] [5 6 1] []]; want x [N K], w [M K], bias [M]"},
		{"bias", linear(x(7, 6), p(5, 6), p(6)),
			"compute: linear: shapes are [[7 6] [5 6] [6]]; want x [N K], w [M K], bias [M]"},
		{"A", down(x(7, 6), p(3, 5)), "compute: low rank down: shapes are [[7 6] [3 5]]; want x [N K], A [R K/G]"},
		{"B", up(x(7, 5), 7, 3, p(5, 2)),
			"compute: low rank up: shapes are [[7 3] [5 2] [7 5]]; want u [N R], B [M R/G], y [N M]"},
		{"y", up(x(6, 5), 7, 3, p(5, 3)),
			"compute: low rank up: shapes are [[7 3] [5 3] [6 5]]; want u [N R], B [M R/G], y [N M]"},
		{"gamma", func(t *Tape) { t.LayerNorm(x(7, 6), p(7), p(6), eps) },
			"compute: layer norm: shapes are [[7 6] [7] [6]]; want x [N C], gamma [C], beta [C]"},
		{"beta", func(t *Tape) { t.LayerNorm(x(7, 6), p(6), p(6, 1), eps) },
			"compute: layer norm: shapes are [[7 6] [6] [6 1]]; want x [N C], gamma [C], beta [C]"},
		{"gamma", func(t *Tape) { t.RMSNorm(x(7, 6), p(7), eps) },
			"compute: rms norm: shapes are [[7 6] [7]]; want x [N C], gamma [D], D divides C"},
		{"up", func(t *Tape) { t.SwiGLU(x(7, 6), x(7, 5)) },
			"compute: swiglu: shapes are [[7 6] [7 5]]; want gate [N C], up [N C]"},
		{"pos", func(t *Tape) { t.RoPE(x(7, 6), ints(6), angles(2)) },
			"compute: rope: shapes are [[7 6] [6] [9 2]]; want x [N H*D], D even, pos [N], table [P D]"},
		{"odd D", func(t *Tape) { t.RoPE(x(7, 6), ints(7), angles(3)) },
			"compute: rope: shapes are [[7 6] [7] [9 3]]; want x [N H*D], D even, pos [N], table [P D]"},
		{"D", func(t *Tape) { t.RoPE(x(7, 6), ints(7), angles(4)) },
			"compute: rope: shapes are [[7 6] [7] [9 4]]; want x [N H*D], D even, pos [N], table [P D]"},
		{"residual", addNorm(x(7, 6), x(6, 6), p(6), p(6)),
			"compute: add norm: shapes are [[7 6] [6 6] [6] [6]]; want x [N C], residual [N C], gamma [C], beta [C]"},
		{"gamma", addNorm(x(7, 6), x(7, 6), p(5), p(6)),
			"compute: add norm: shapes are [[7 6] [7 6] [5] [6]]; want x [N C], residual [N C], gamma [C], beta [C]"},
		{"beta", addNorm(x(7, 6), x(7, 6), p(6), p(5)),
			"compute: add norm: shapes are [[7 6] [7 6] [6] [5]]; want x [N C], residual [N C], gamma [C], beta [C]"},
		{"heads of a bias", biased(p(9, 3), 9),
			"compute: attention: shapes are [[9 3] [9]]; want bias [K H], K at most 32, buckets [2P-1]"},
		{"rows of a bias", biased(p(33, 2), 9),
			"compute: attention: shapes are [[33 2] [9]]; want bias [K H], K at most 32, buckets [2P-1]"},
		{"buckets", biased(p(9, 2), 8),
			"compute: attention: shapes are [[9 2] [8]]; want bias [K H], K at most 32, buckets [2P-1]"},
		{"length of buckets", biased(p(9, 2), 7),
			"compute: attention: shapes are [[9 2] [7]]; want bias [K H], K at most 32, buckets [2P-1]"},
		{"q", attention(x(7, 5), x(7, 3), x(7, 3), 3, 3),
			"compute: attention: shapes are [[7 5] [7 3] [7 3] [3] [3]]; want q [NQ H*D], k, v [NK HKV*D], cu_seqlens [B+1]"},
		{"k", attention(x(7, 6), x(7, 6), x(7, 3), 3, 3),
			"compute: attention: shapes are [[7 6] [7 6] [7 3] [3] [3]]; want q [NQ H*D], k, v [NK HKV*D], cu_seqlens [B+1]"},
		{"v", attention(x(7, 6), x(7, 3), x(6, 3), 3, 3),
			"compute: attention: shapes are [[7 6] [7 3] [6 3] [3] [3]]; want q [NQ H*D], k, v [NK HKV*D], cu_seqlens [B+1]"},
		{"cu", attention(x(7, 6), x(7, 3), x(7, 3), 3, 4),
			"compute: attention: shapes are [[7 6] [7 3] [7 3] [3] [4]]; want q [NQ H*D], k, v [NK HKV*D], cu_seqlens [B+1]"},
		{"pos", embed(6, 7, p(9, 6), p(9, 6), p(2, 6)),
			"compute: embed: shapes are [[7] [6] [7] [9 6] [9 6] [2 6]]; want ids, pos, types [N], tables [V C]"},
		{"types", embed(7, 8, p(9, 6), p(9, 6), p(2, 6)),
			"compute: embed: shapes are [[7] [7] [8] [9 6] [9 6] [2 6]]; want ids, pos, types [N], tables [V C]"},
		{"position", embed(7, 7, p(9, 6), p(9, 5), p(2, 6)),
			"compute: embed: shapes are [[7] [7] [7] [9 6] [9 5] [2 6]]; want ids, pos, types [N], tables [V C]"},
		{"token type", embed(7, 7, p(9, 6), p(9, 6), p(2, 5)),
			"compute: embed: shapes are [[7] [7] [7] [9 6] [9 6] [2 5]]; want ids, pos, types [N], tables [V C]"},
		{"labels", entropy(ints(6), none, none),
			"compute: cross entropy: shapes are [[7 3] [6] [] []]; want logits [B C], labels [B], row weights [B], class " +
				"weights [C]"},
		{"rows", entropy(ints(7), floats(6), none),
			"compute: cross entropy: shapes are [[7 3] [7] [6] []]; want logits [B C], labels [B], row weights [B], class " +
				"weights [C]"},
		{"classes", entropy(ints(7), none, floats(7)),
			"compute: cross entropy: shapes are [[7 3] [7] [] [7]]; want logits [B C], labels [B], row weights [B], class " +
				"weights [C]"},
		{"v", func(t *Tape) { t.ScaleCols(x(7, 6), p(5), compute.ScaleOpts{}) },
			"compute: scale columns: shapes are [[7 6] [5] [] []]; want x [N C], v [C], times [C], about [C]"},
		{"times", func(t *Tape) { t.Rescale(x(7, 6), p(6), compute.ScaleOpts{Times: floats(5)}) },
			"compute: rescale: shapes are [[7 6] [6] [5] []]; want x [N C], v [C], times [C], about [C]"},
		{"value read", func(t *Tape) { t.Rescale(&Var{Value: x(7, 6).Value, saved: true}, p(6), compute.ScaleOpts{}) },
			"compute: rescale: shapes are [[7 6]]; want a value that no gradient reads"},
		{"z", func(t *Tape) { t.Add(x(7, 6), x(7, 5), 1) }, "compute: add: shapes are [[7 6] [7 5]]; want x, z [N C]"},
		{"y", func(t *Tape) { t.AddTo(x(7, 6), x(6, 6), 1) }, "compute: add to: shapes are [[7 6] [6 6]]; want y, z [N C]"},
		{"prefix", func(t *Tape) { t.PrependRows(x(7, 6), p(2, 5), ints(3)) },
			"compute: prepend rows: shapes are [[7 6] [2 5] [3]]; want x [NK C], prefix [P C], cu_seqlens [B+1]"},
		{"u", func(t *Tape) { t.Gate(&Var{Value: floats(7).Slice(0, compute.Shape{7, 1})}, x(6, 2)) },
			"compute: gate: shapes are [[7 1] [6 2]]; want w [N E], u [N R]"},
		{"ranks", func(t *Tape) { t.GateEach(x(7, 2), x(7, 3)) },
			"compute: gate each: shapes are [[7 2] [7 3]]; want w [N E], u [N E R]"},
		{"targets", func(t *Tape) { t.BinaryCrossEntropy(floats(1), x(7, 2), floats(14), 1) },
			"compute: binary cross entropy: shapes are [[7 2] [14]]; want logits and targets [B C]"},
		{"columns", func(t *Tape) { t.MSE(floats(1), x(7, 2), floats(7), 1) },
			"compute: mse: shapes are [[7 2] [7]]; want x [B 1], y [B]"},
		{"y", func(t *Tape) { t.MSE(floats(1), x(7, 1), floats(6), 1) },
			"compute: mse: shapes are [[7 1] [6]]; want x [B 1], y [B]"},
	} {
		t.Run("fault="+test.fault, func(t *testing.T) {
			ops := len(dev.Ops)
			defer func() {
				err, ok := recover().(*compute.ShapeError)
				if !ok {
					t.Fatal("no panic with a *compute.ShapeError")
				}
				if err.Error() != test.want {
					t.Errorf("Error() = %s\nwant      %s", err, test.want)
				}
				if len(dev.Ops) != ops {
					t.Errorf("the device was asked for %v first", dev.Ops[ops:])
				}
			}()
			test.op(&Tape{Dev: dev, Train: true})
		})
	}
}
