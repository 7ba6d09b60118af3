package tape

import (
	"fmt"
	"math"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/nf4"
)

// vector returns a constant with elements around 1.
func (g *gradient) vector(d compute.DType, n int) compute.Tensor {
	v, values := g.dev.Temp(compute.Shape{n}, d), make([]float32, n)
	for i := range values {
		values[i] = 1 + float32(i%5)/8
	}
	g.dev.Upload(v, values)
	return v
}

func (g *gradient) scaleOpts(n int) compute.ScaleOpts {
	return compute.ScaleOpts{Times: g.vector(compute.Exact, n), About: g.vector(compute.Working, n)}
}

func TestScaleColsGrad(t *testing.T) {
	subsets(t, []string{"x", "v"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var {
			return g.ScaleCols(g.x("x", n, c), g.p("v", c), compute.ScaleOpts{})
		}, frozen...)
	})
	t.Run("options=all", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			x := g.x("x", n, c)
			return g.Add(g.ScaleCols(x, g.p("v", c), g.scaleOpts(c)), x, 1)
		})
	})
}

// TestRescaleGrad scales values in place: the output of a layer to which a low-rank path has been added, the ranks of
// that path, and a value that another op has read before.
func TestRescaleGrad(t *testing.T) {
	subsets(t, []string{"x", "w", "a", "b", "v", "e"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var {
			x := g.x("x", n, c)
			y := g.Linear(x, g.p("w", m, c), nil, compute.Identity)
			u := g.LowRankDown(x, g.p("a", r, c), drop(1))
			g.Rescale(u, g.p("e", r), compute.ScaleOpts{})
			g.LowRankUp(y, u, g.p("b", m, r), 1.5)
			g.Rescale(y, g.p("v", m), g.scaleOpts(m))
			return y
		}, frozen...)
	})
	t.Run("read=before", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			y := g.Linear(g.x("x", n, c), g.p("w", m, c), nil, compute.Identity)
			z := g.Copy(y)
			g.Rescale(y, g.p("v", m), compute.ScaleOpts{})
			return g.Add(z, y, 0.5)
		})
	})
	t.Run("leaf=constant", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			y := g.Const(g.x("x", n, c).Value)
			g.Rescale(y, g.p("v", c), compute.ScaleOpts{})
			return g.Act(y, compute.Tanh)
		}, "x")
	})
}

func TestAddGrad(t *testing.T) {
	subsets(t, []string{"x", "z"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var { return g.Add(g.x("x", n, c), g.x("z", n, c), 0.75) }, frozen...)
		newGradient(t).check(func(g *gradient) *Var {
			y := g.Copy(g.x("x", n, c))
			g.AddTo(y, g.x("z", n, c), 0.75)
			return y
		}, frozen...)
	})
	t.Run("x=z", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var { return g.Add(g.x("x", n, c), g.x("x", n, c), 0.75) })
	})
	t.Run("type=Exact", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			x := g.x("x", n, c)
			u := g.Add(g.LowRankDown(x, g.p("a", r, c), drop(1)), g.LowRankDown(x, g.p("a2", r, c), drop(2)), 1)
			y := g.Zeros(x, m)
			g.LowRankUp(y, u, g.p("b", m, r), 1.5)
			return y
		})
	})
	t.Run("copy=consumed", func(t *testing.T) {
		// As in an adapter around a norm that is computed twice.
		newGradient(t).check(func(g *gradient) *Var {
			x, h := g.x("x", n, c), g.x("h", n, c)
			z := g.AddNorm(g.Copy(x), h, g.p("gamma", c), g.p("beta", c), eps, compute.Dropout{})
			f := g.Linear(z, g.p("w", c, c), nil, compute.Tanh)
			return g.AddNorm(g.Add(x, f, 1), h, g.p("gamma", c), g.p("beta", c), eps, compute.Dropout{})
		})
	})
}

// TestRoutedGrad is a router with experts that share their ranks, or have their own.
func TestRoutedGrad(t *testing.T) {
	const experts = 3
	for name, each := range map[string]bool{"shared": false, "own": true} {
		t.Run("ranks="+name, func(t *testing.T) {
			subsets(t, []string{"x", "router", "a", "b"}, func(t *testing.T, frozen []string) {
				newGradient(t).check(func(g *gradient) *Var {
					x := g.x("x", n, c)
					w := g.Softmax(g.LowRankDown(x, g.p("router", experts, c), compute.Dropout{}))
					var z *Var
					if each {
						z = g.GateEach(w, g.LowRankDown(x, g.p("a", experts*r, c), drop(1)))
					} else {
						z = g.Gate(w, g.LowRankDown(x, g.p("a", r, c), drop(1)))
					}
					y := g.Zeros(x, m)
					g.LowRankUp(y, z, g.p("b", m, experts*r), 1.5)
					return y
				}, frozen...)
			})
		})
	}
}

func TestPrependRowsGrad(t *testing.T) {
	subsets(t, []string{"x", "prefix"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var {
			return g.PrependRows(g.x("x", n, c), g.p("prefix", 2, c), g.ints(0, 3, 3, n))
		}, frozen...)
	})
	t.Run("read=also directly", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			x, cu := g.x("x", n, c), g.ints(0, 4, n)
			long := g.PrependRows(x, g.p("prefix", 2, c), cu)
			return g.Attention(x, long, long, compute.AttnOpts{
				Heads: 2, KVHeads: 2, HeadDim: c / 2, CuQ: cu, CuK: g.ints(0, 6, n+4), MaxQ: 4, MaxK: 6, Scale: 0.7,
			})
		})
	})
}

// TestPenaltyGrad adds terms to the loss of the task: the divergence of two passes and the balance of experts.
func TestPenaltyGrad(t *testing.T) {
	subsets(t, []string{"x", "z"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var {
			x, z := g.x("x", n, m), g.x("z", n, m)
			g.CrossEntropy(g.loss, x, g.ints(0, 4, 1, 2, 2, 3, 0), 1.0/9, compute.CrossEntropyOpts{})
			g.SymmetricKL(g.loss, x, z, 0.5, false)
			return nil
		}, frozen...)
	})
	for _, frozen := range [][]string{nil, {"x"}, {"router"}, {"x", "router"}} {
		t.Run(fmt.Sprintf("balance/frozen=%v", frozen), func(t *testing.T) {
			newGradient(t).check(func(g *gradient) *Var {
				w := g.Softmax(g.LowRankDown(g.x("x", n, c), g.p("router", 4, c), compute.Dropout{}))
				factors := g.dev.Temp(compute.Shape{2, 4}, compute.Exact)
				g.dev.Upload(factors, []float32{1.1, 1.1, 0.9, 0.9, 0.9, 0.9, 1.1, 1.1})
				g.Balance(g.loss, w, g.ints(0, 0, 0, 1, 1, 1, 1), factors, 0.5)
				return g.Copy(w)
			}, frozen...)
		})
	}
}

// TestGroupedGrad is a low-rank path in two groups, as in MELoRA.
func TestGroupedGrad(t *testing.T) {
	subsets(t, []string{"x", "a", "b"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var {
			x := g.x("x", n, c)
			y := g.Zeros(x, 8)
			g.lowRank(y, x, g.p("a", 4, c/2), g.p("b", 8, 2), 1.5, drop(1))
			return y
		}, frozen...)
	})
}

// TestQuantizedGrad is a linear layer with a quantised weight and a low-rank path beside it.
func TestQuantizedGrad(t *testing.T) {
	subsets(t, []string{"x", "a", "b", "bias"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var {
			x, values := g.x("x", n, c), make([]float32, m*c)
			for i := range values {
				values[i] = float32(math.Sin(float64(i)))
			}
			q := nf4.Quantize(values, []int{m, c}, false)
			w := &Param{Value: g.dev.Alloc(compute.Shape{m, c}, compute.NF4)}
			g.dev.UploadNF4(w.Value, q.Codes, q.Expanded())
			y := g.Linear(x, w, g.p("bias", m), compute.Identity)
			g.lowRank(y, x, g.p("a", r, c), g.p("b", m, r), 1.5, drop(1))
			return y
		}, frozen...)
	})
}
