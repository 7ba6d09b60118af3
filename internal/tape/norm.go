package tape

import "github.com/lor2c/lor2c/internal/compute"

// LayerNorm normalises the rows of x. x, y [N,C]; gamma, beta [C].
func (t *Tape) LayerNorm(x *Var, gamma, beta *Param, eps float32) *Var {
	c := x.Value.Shape.Cols()
	check(
		is(gamma.Value, c) && is(beta.Value, c), "layer norm", "x [N C], gamma [C], beta [C]", x.Value, gamma.Value,
		beta.Value,
	)
	params("layer norm", gamma, beta)
	y := t.out("layer norm", x.Value.Shape, x.needs || gamma.Trains() || beta.Trains(), x)
	stats := t.exact(compute.Shape{x.Value.Shape.Rows(), 2})
	t.Dev.LayerNorm(compute.LayerNormArgs{
		Dst: y.Value, Stats: stats, X: x.Value, Gamma: gamma.Value, Beta: beta.Value, Eps: eps,
	})
	t.watch("layer norm", gamma.Name, y)
	if !y.needs {
		t.Dev.Release(stats)
		return y
	}
	x.saved = true
	t.push(y, func(dy compute.Tensor) {
		norm := func(dx compute.Tensor) {
			t.Dev.LayerNormGrad(compute.LayerNormGradArgs{
				DX: dx, DGamma: gamma.grad(), DBeta: beta.grad(), Sum: x.Value, Gamma: gamma.Value, Stats: stats,
				DY: dy,
			})
		}
		if !x.needs {
			norm(compute.Tensor{})
		}
		t.accumulate(x, norm)
	}, stats)
	return y
}

// AddNorm returns y = LayerNorm(residual + dropout(x)), the end of each half of a post-norm block. x, residual, y
// [N,C]. It consumes x: the sum is stored in x's memory. No op may read x afterwards, and none but the op that made x
// may have used it before. Reading a consumed value is a bug in the caller and panics.
func (t *Tape) AddNorm(x, residual *Var, gamma, beta *Param, eps float32, drop compute.Dropout) *Var {
	c := x.Value.Shape.Cols()
	check(is(residual.Value, x.Value.Shape...) && is(gamma.Value, c) && is(beta.Value, c), "add norm",
		"x [N C], residual [N C], gamma [C], beta [C]", x.Value, residual.Value, gamma.Value, beta.Value)
	params("add norm", gamma, beta)
	y := t.out("add norm", x.Value.Shape, x.needs || residual.needs || gamma.Trains() || beta.Trains(), x, residual)
	x.consumed = "add norm"
	stats, sum := t.exact(compute.Shape{x.Value.Shape.Rows(), 2}), x.Value
	t.Dev.LayerNorm(compute.LayerNormArgs{
		Dst: y.Value, Sum: sum, Stats: stats, X: x.Value, Residual: residual.Value, Gamma: gamma.Value,
		Beta: beta.Value, Eps: eps, Drop: drop,
	})
	t.watch("add norm", gamma.Name, y)
	if !y.needs {
		t.Dev.Release(stats)
		return y
	}
	x.saved = true
	t.push(y, func(dy compute.Tensor) {
		var dx, dres, spare compute.Tensor
		if x.needs {
			// Only the norm reads x, so this is the first gradient of x.
			dx, _ = t.gradOf(x)
		}
		if residual.needs {
			g, accumulate := t.gradOf(residual)
			if dres = g; accumulate {
				spare = t.temp(g.Shape)
				dres = spare
			}
		}
		t.Dev.LayerNormGrad(compute.LayerNormGradArgs{
			DX: dx, DResidual: dres, DGamma: gamma.grad(), DBeta: beta.grad(), Sum: sum, Gamma: gamma.Value,
			Stats: stats, DY: dy, Drop: drop,
		})
		if spare.Present() {
			t.Dev.Axpy(residual.grad, 1, spare)
			t.Dev.Release(spare)
		}
	}, stats)
	return y
}

// RMSNorm divides the rows of x by their root mean square. Where gamma is shorter than a row, it does so for each part
// of a row of that length, which normalises every head on its own. x, y [N,C]; gamma [D], where D divides C.
func (t *Tape) RMSNorm(x *Var, gamma *Param, eps float32) *Var {
	n, c, d := x.Value.Shape.Rows(), x.Value.Shape.Cols(), gamma.Value.Shape.Len()
	check(is(gamma.Value, d) && d > 0 && c%d == 0, "rms norm", "x [N C], gamma [D], D divides C", x.Value, gamma.Value)
	params("rms norm", gamma)
	y := t.out("rms norm", x.Value.Shape, x.needs || gamma.Trains(), x)
	parts := func(x compute.Tensor) compute.Tensor { return x.Slice(0, compute.Shape{n * c / d, d}) }
	rstd := t.exact(compute.Shape{n * c / d})
	t.Dev.RMSNorm(compute.RMSNormArgs{
		Dst: parts(y.Value), RStd: rstd, X: parts(x.Value), Gamma: gamma.Value, Eps: eps,
	})
	t.watch("rms norm", gamma.Name, y)
	if !y.needs {
		t.Dev.Release(rstd)
		return y
	}
	x.saved = true
	t.push(y, func(dy compute.Tensor) {
		var dx compute.Tensor
		accumulate := false
		if x.needs {
			var whole compute.Tensor
			whole, accumulate = t.gradOf(x)
			dx = parts(whole)
		}
		t.Dev.RMSNormGrad(compute.RMSNormGradArgs{
			DX: dx, DGamma: gamma.grad(), X: parts(x.Value), Gamma: gamma.Value, RStd: rstd, DY: parts(dy),
			Accumulate: accumulate,
		})
	}, rstd)
	return y
}
