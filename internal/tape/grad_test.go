package tape

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
)

// Sizes of the checks. They all differ, so that swapped axes are noticed.
const (
	n, c, m, r = 7, 6, 5, 3
	eps        = 1e-5
)

var acts = map[string]compute.Act{
	"identity": compute.Identity, "gelu": compute.GELU, "gelu_tanh": compute.GELUTanh,
	"relu": compute.ReLU, "tanh": compute.Tanh, "silu": compute.SiLU,
}

// subsets calls f with every selection of names and its name as a subtest.
func subsets(t *testing.T, names []string, f func(t *testing.T, frozen []string)) {
	for bits := range 1 << len(names) {
		var frozen []string
		for i, name := range names {
			if bits>>i&1 == 1 {
				frozen = append(frozen, name)
			}
		}
		t.Run("frozen="+strings.Join(frozen, "+"), func(t *testing.T) { f(t, frozen) })
	}
}

func drop(site uint32) compute.Dropout {
	return compute.Dropout{P: 0.3, Key: 5, Step: 3, Site: site, Row: 11}
}

func TestLinearGrad(t *testing.T) {
	for name, act := range acts {
		t.Run("act="+name+"/bias=false", func(t *testing.T) {
			subsets(t, []string{"x", "w"}, func(t *testing.T, frozen []string) {
				newGradient(t).check(func(g *gradient) *Var {
					return g.Linear(g.x("x", n, c), g.p("w", m, c), nil, act)
				}, frozen...)
			})
		})
		t.Run("act="+name+"/bias=true", func(t *testing.T) {
			subsets(t, []string{"x", "w", "b"}, func(t *testing.T, frozen []string) {
				newGradient(t).check(func(g *gradient) *Var {
					return g.Linear(g.x("x", n, c), g.p("w", m, c), g.p("b", m), act)
				}, frozen...)
			})
		})
	}
}

func TestActGrad(t *testing.T) {
	for name, act := range acts {
		t.Run("act="+name, func(t *testing.T) {
			newGradient(t).check(func(g *gradient) *Var { return g.Act(g.x("x", n, c), act) })
			newGradient(t).check(func(g *gradient) *Var { return g.Act(g.x("x", n, c), act) }, "x")
		})
	}
}

// lowRank adds scale B A dropout(x) to y.
func (g *gradient) lowRank(y, x *Var, a, b *Param, scale float32, drop compute.Dropout) {
	g.LowRankUp(y, g.LowRankDown(x, a, drop), b, scale)
}

func TestLowRankGrad(t *testing.T) {
	onLinear := func(g *gradient, drop compute.Dropout) *Var {
		x := g.x("x", n, c)
		y := g.Linear(x, g.p("w", m, c), g.p("bias", m), compute.Identity)
		g.lowRank(y, x, g.p("a", r, c), g.p("b", m, r), 1.5, drop)
		return y
	}
	subsets(t, []string{"x", "w", "a", "b"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var { return onLinear(g, compute.Dropout{}) }, append(frozen, "bias")...)
	})
	t.Run("dropout=0.3", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var { return onLinear(g, drop(1)) }, "w", "bias")
	})
	t.Run("frozen=all/adapter=one", func(t *testing.T) {
		// The linear layer has no entry on the tape. The first low-rank path is the first op with a gradient, and the
		// second works in place on the same value.
		newGradient(t).check(func(g *gradient) *Var {
			y := onLinear(g, drop(1))
			g.lowRank(y, g.x("x", n, c), g.p("a2", 2, c), g.p("b2", m, 2), 0.5, drop(2))
			return y
		}, "x", "w", "bias")
	})
	t.Run("in_place=twice", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			y := onLinear(g, drop(1))
			g.lowRank(y, g.x("other", n, 4), g.p("a2", 2, 4), g.p("b2", m, 2), 0.5, drop(2))
			return y
		})
	})
	t.Run("factors=shared", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			y := g.Linear(g.x("x", n, c), g.p("w", m, c), nil, compute.Identity)
			for range 2 {
				g.lowRank(y, g.x("x", n, c), g.p("a", r, c), g.p("b", m, r), 0.5, compute.Dropout{})
			}
			return y
		}, "w")
	})
	t.Run("u=used twice", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			x := g.x("x", n, c)
			y := g.Linear(x, g.p("w", m, c), nil, compute.Identity)
			u := g.LowRankDown(x, g.p("a", r, c), drop(1))
			g.LowRankUp(y, u, g.p("b", m, r), 0.5)
			g.LowRankUp(y, u, g.p("b2", m, r), 2)
			return y
		})
	})
	// As in LoR2C, the low-rank path runs around the norm. It starts from the norm's residual and reads it before the
	// norm does.
	subsets(t, []string{"x", "h", "gamma"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var {
			h := g.x("h", n, c)
			u := g.LowRankDown(h, g.p("a", r, c), drop(4))
			y := g.AddNorm(g.x("x", n, c), h, g.p("gamma", c), g.p("beta", c), eps, drop(3))
			g.LowRankUp(y, u, g.p("b", c, r), 1.5)
			return g.Linear(y, g.p("w", m, c), nil, compute.Tanh)
		}, append(frozen, "beta")...)
	})
}

func TestLayerNormGrad(t *testing.T) {
	subsets(t, []string{"x", "gamma", "beta"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var {
			return g.LayerNorm(g.x("x", n, c), g.p("gamma", c), g.p("beta", c), eps)
		}, frozen...)
	})
}

func TestRMSNormGrad(t *testing.T) {
	subsets(t, []string{"x", "gamma"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var { return g.RMSNorm(g.x("x", n, c), g.p("gamma", c), eps) }, frozen...)
		newGradient(t).check(func(g *gradient) *Var {
			x := g.x("x", n, c)
			return g.SwiGLU(g.RMSNorm(x, g.p("gamma", c/3), 0.1), x)
		}, frozen...)
	})
}

func TestSwiGLUGrad(t *testing.T) {
	subsets(t, []string{"gate", "up"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var { return g.SwiGLU(g.x("gate", n, c), g.x("up", n, c)) }, frozen...)
	})
	t.Run("gate=up", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var { return g.SwiGLU(g.x("x", n, c), g.x("x", n, c)) })
	})
}

// angles returns a table of p positions for heads of width dim, for RoPE.
func (g *gradient) angles(p, dim int, base float64) compute.Tensor {
	x := g.dev.Alloc(compute.Shape{p, dim}, compute.Exact)
	for i := range dim / 2 {
		for n := range p {
			sin, cos := math.Sincos(float64(n) * math.Pow(base, -2*float64(i)/float64(dim)))
			cpu.Data[float64](x)[n*dim+i], cpu.Data[float64](x)[n*dim+dim/2+i] = cos, sin
		}
	}
	return x
}

func TestRoPEGrad(t *testing.T) {
	turned := func(g *gradient) *Var {
		x := g.Linear(g.x("x", n, c), g.p("w", 8, c), nil, compute.Identity)
		g.RoPE(x, g.ints(0, 1, 2, 0, 1, 500, 3), g.angles(501, 4, 1e4))
		return x
	}
	subsets(t, []string{"x", "w"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(turned, frozen...)
	})
	t.Run("reader=low rank", func(t *testing.T) {
		// Two ops read the rotated value, and one adds to it before the rotation.
		newGradient(t).check(func(g *gradient) *Var {
			in := g.x("x", n, c)
			x := g.Linear(in, g.p("w", 8, c), nil, compute.Identity)
			g.lowRank(x, in, g.p("a", r, c), g.p("b", 8, r), 0.5, compute.Dropout{})
			g.RoPE(x, g.ints(4, 0, 9, 1, 1, 70, 3), g.angles(71, 4, 5e5))
			return g.SwiGLU(x, g.Linear(x, g.p("w2", 8, 8), nil, compute.Tanh))
		})
	})
}

func TestAddNormGrad(t *testing.T) {
	for _, p := range []compute.Dropout{{}, drop(1)} {
		t.Run(fmt.Sprintf("dropout=%v", p.P), func(t *testing.T) {
			subsets(t, []string{"x", "residual", "gamma", "beta"}, func(t *testing.T, frozen []string) {
				newGradient(t).check(func(g *gradient) *Var {
					return g.AddNorm(g.x("x", n, c), g.x("residual", n, c), g.p("gamma", c), g.p("beta", c), eps, p)
				}, frozen...)
			})
		})
	}
	t.Run("residual=used twice", func(t *testing.T) {
		// As in a block, the residual is also the input of the linear layer. Here it is also read after the norm, so
		// that it already has a gradient when the norm adds to it.
		newGradient(t).check(func(g *gradient) *Var {
			h := g.x("h", n, c)
			y := g.AddNorm(g.Linear(h, g.p("w", c, c), nil, compute.GELU), h, g.p("gamma", c), g.p("beta", c), eps, drop(1))
			return g.AddNorm(
				g.Linear(h, g.p("w2", c, c), nil, compute.Identity), y, g.p("gamma", c), g.p("beta", c), eps, drop(2),
			)
		})
	})
	t.Run("residual=read after", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			h := g.x("h", n, c)
			y := g.AddNorm(g.x("x", n, c), h, g.p("gamma", c), g.p("beta", c), eps, drop(1))
			return g.AddNorm(g.Act(h, compute.Tanh), y, g.p("gamma", c), g.p("beta", c), eps, compute.Dropout{})
		}, "gamma")
	})
}

// attend is attention over sequences of 3, 1 and 4 keys, with as many queries or with one query each.
func attend(g *gradient, first bool, drop compute.Dropout) *Var {
	const heads, kvHeads, d, keys = 4, 2, 3, 8
	o := compute.AttnOpts{
		Heads: heads, KVHeads: kvHeads, HeadDim: d, CuK: g.ints(0, 3, 4, 8), MaxK: 4, MaxQ: 4, Scale: 0.6, Dropout: drop,
	}
	rows := keys
	if o.CuQ = o.CuK; first {
		o.CuQ, o.MaxQ, rows = g.ints(0, 1, 2, 3), 1, 3
	}
	return g.Attention(g.x("q", rows, heads*d), g.x("k", keys, kvHeads*d), g.x("v", keys, kvHeads*d), o)
}

// attendBiased is two layers of attention with one bias, over sequences of 3, 1 and 4 keys.
func attendBiased(g *gradient, first bool) *Var {
	const heads, d, keys = 2, 3, 8
	o := compute.AttnOpts{
		Heads: heads, KVHeads: heads, HeadDim: d, CuK: g.ints(0, 3, 4, 8), MaxK: 4, MaxQ: 4, Scale: 0.6, Dropout: drop(1),
		Buckets: g.ints(2, 1, 0, 3, 4, 4, 1, 0, 1),
	}
	k, v, bias := g.x("k", keys, heads*d), g.x("v", keys, heads*d), g.p("bias", 5, heads)
	o.CuQ = o.CuK
	q := g.BiasedAttention(g.x("q", keys, heads*d), k, v, bias, o)
	if first {
		q = g.Gather(q, g.ints(0, 3, 4))
		o.CuQ, o.MaxQ = g.ints(0, 1, 2, 3), 1
	}
	return g.BiasedAttention(q, k, v, bias, o)
}

func TestAttentionGrad(t *testing.T) {
	for _, first := range []bool{false, true} {
		for _, p := range []compute.Dropout{{}, drop(1)} {
			t.Run(fmt.Sprintf("first=%v/dropout=%v", first, p.P), func(t *testing.T) {
				subsets(t, []string{"q", "k", "v"}, func(t *testing.T, frozen []string) {
					newGradient(t).check(func(g *gradient) *Var { return attend(g, first, p) }, frozen...)
				})
			})
		}
	}
	t.Run("bias", func(t *testing.T) {
		for _, first := range []bool{false, true} {
			subsets(t, []string{"q", "k", "v", "bias"}, func(t *testing.T, frozen []string) {
				newGradient(t).check(func(g *gradient) *Var { return attendBiased(g, first) }, frozen...)
			})
		}
	})
	t.Run("q=k=v", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			x, cu := g.x("x", n, c), g.ints(0, 3, n)
			return g.Attention(
				x, x, x, compute.AttnOpts{Heads: 2, KVHeads: 2, HeadDim: c / 2, CuQ: cu, CuK: cu, MaxQ: 4, MaxK: 4, Scale: 0.7},
			)
		})
	})
}

func TestDropoutGrad(t *testing.T) {
	newGradient(t).check(func(g *gradient) *Var { return g.Dropout(g.x("x", n, c), drop(1)) })
	newGradient(t).check(func(g *gradient) *Var {
		x := g.x("x", n, c)
		if y := g.Dropout(x, compute.Dropout{P: 1e-6}); y != x {
			t.Error("a dropout that drops nothing made a copy")
		}
		return g.Act(x, compute.Tanh)
	})
}

func TestGatherGrad(t *testing.T) {
	newGradient(t).check(func(g *gradient) *Var { return g.Gather(g.x("x", n, c), g.ints(4, 0, 4)) })
	newGradient(t).check(func(g *gradient) *Var {
		// Both the gathered rows and the whole tensor are read, as in a last layer that gathers its query rows. The
		// gradient must be added to in either order.
		x := g.x("x", n, c)
		first, all := g.Gather(x, g.ints(0, 3)), g.Linear(x, g.p("w", m, c), nil, compute.Identity)
		last := g.Gather(x, g.ints(3, 0))
		sum := g.AddNorm(first, last, g.p("gamma", c), g.p("beta", c), eps, compute.Dropout{})
		return g.AddNorm(
			g.Gather(all, g.ints(2, 6)), g.Linear(sum, g.p("w", m, c), nil, compute.Tanh), g.p("one", m), g.p("zero", m), eps,
			drop(1),
		)
	})
}

func TestEmbedGrad(t *testing.T) {
	subsets(t, []string{"word", "position", "token type"}, func(t *testing.T, frozen []string) {
		newGradient(t).check(func(g *gradient) *Var {
			return g.Embed(
				g.ints(4, 0, 4, 1), g.ints(0, 1, 2, 0), g.ints(0, 1, 1, 0), g.p("word", 5, c), g.p("position", 3, c),
				g.p("token type", 2, c),
			)
		}, frozen...)
	})
	t.Run("without token types", func(t *testing.T) {
		subsets(t, []string{"word", "position"}, func(t *testing.T, frozen []string) {
			newGradient(t).check(func(g *gradient) *Var {
				return g.Embed(
					g.ints(4, 0, 4, 1), g.ints(0, 1, 2, 0), compute.Tensor{}, g.p("word", 5, c), g.p("position", 3, c), nil,
				)
			}, frozen...)
		})
	})
	t.Run("word alone", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			return g.Embed(g.ints(4, 0, 4, 1), compute.Tensor{}, compute.Tensor{}, g.p("word", 5, c), nil, nil)
		})
	})
}

// weights returns the weights of a cross-entropy over n rows and m classes.
func (g *gradient) weights() compute.CrossEntropyOpts {
	full := func(values ...float32) compute.Tensor {
		x := g.dev.Temp(compute.Shape{len(values)}, compute.Exact)
		g.dev.Upload(x, values)
		return x
	}
	return compute.CrossEntropyOpts{Rows: full(1, 0.5, 2, 0, 1, 3, 1), Classes: full(1, 2, 0.5, 0, 3), Smoothing: 0.1}
}

func TestLossGrad(t *testing.T) {
	t.Run("loss=cross entropy", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			g.CrossEntropy(
				g.loss, g.Linear(g.x("x", n, c), g.p("w", m, c), g.p("b", m), compute.Identity), g.ints(0, 4, 1, 2, 2, 3, 0),
				1.0/9, g.weights(),
			)
			return nil
		})
	})
	t.Run("loss=binary cross entropy", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			y := g.dev.Temp(compute.Shape{n, 2}, compute.Exact)
			g.dev.Upload(y, []float32{0, 1, 1, 1, 0, 0, 0.25, 1, 1, 0, 0, 1, 0.5, 0})
			g.BinaryCrossEntropy(g.loss, g.Linear(g.x("x", n, c), g.p("w", 2, c), g.p("b", 2), compute.Identity), y, 1.0/9)
			return nil
		})
	})
	t.Run("loss=mse", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			y := g.dev.Temp(compute.Shape{n}, compute.Exact)
			g.dev.Upload(y, []float32{3, -1, 0.5, 2, 0, 1, -2})
			g.MSE(g.loss, g.Linear(g.x("x", n, c), g.p("w", 1, c), g.p("b", 1), compute.Identity), y, 1.0/9)
			return nil
		})
	})
	t.Run("loss=leaf", func(t *testing.T) {
		newGradient(t).check(func(g *gradient) *Var {
			g.CrossEntropy(g.loss, g.x("logits", 3, m), g.ints(0, 4, 1), 0.5, compute.CrossEntropyOpts{})
			return nil
		})
	})
}

// TestAccumulation uses one value as the operand of every op that overwrites gradients.
func TestAccumulation(t *testing.T) {
	newGradient(t).check(func(g *gradient) *Var {
		x := g.x("x", n, c)
		sum := g.AddNorm(
			g.Act(x, compute.GELU), g.Act(x, compute.Tanh), g.p("gamma", c), g.p("beta", c), eps, compute.Dropout{},
		)
		for i, y := range []*Var{
			g.Dropout(x, drop(7)),
			g.LayerNorm(x, g.p("gamma", c), g.p("beta", c), eps),
			g.RMSNorm(x, g.p("gamma", c), eps),
			g.SwiGLU(x, x),
			g.Linear(x, g.p("w", c, c), nil, compute.Identity),
			g.Linear(x, g.p("w", c, c), nil, compute.GELUTanh),
		} {
			sum = g.AddNorm(y, sum, g.p("gamma", c), g.p("beta", c), eps, drop(uint32(8+i)))
		}
		g.lowRank(sum, x, g.p("a", r, c), g.p("b", c, r), 0.5, compute.Dropout{})
		return sum
	})
}
