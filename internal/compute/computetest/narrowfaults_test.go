package computetest

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
)

// bits applies f to every element of a tensor of the narrow device.
func bits(x tensor, f func(v float32) float32) {
	for i, v := 0, cpu.Data[float32](x); x.Present() && i < len(v); i++ {
		v[i] = f(v[i])
	}
}

// rounded rounds an Exact tensor as if its type were Working.
func rounded(x tensor) { bits(x, func(v float32) float32 { return float32(half.round(float64(v))) }) }

// nudged changes every element by a unit in the last place of bfloat16.
func nudged(x tensor) {
	bits(x, func(v float32) float32 { return math.Float32frombits(math.Float32bits(v) + 1<<16) })
}

// narrowFaults are mistakes that show only if Working is narrow: too few bits in an Exact tensor, or too many or
// wrong roundings in a Working one.
var narrowFaults = []fault{
	{"Copy", "truncated", func(f *faulty, d compute.Device) {
		f.copy = func(dst, src tensor) {
			bits(src, func(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ 0xffff) })
			d.Copy(dst, src)
		}
	}},
	{"Copy", "ties_away_from_zero", func(f *faulty, d compute.Device) {
		f.copy = func(dst, src tensor) {
			d.Copy(dst, src)
			if dst.DType == compute.Working {
				for i, v := range cpu.Data[float32](src) {
					cpu.Data[float32](dst)[i] = math.Float32frombits((math.Float32bits(v) + 1<<15) &^ 0xffff)
				}
			}
		}
	}},
	{"Copy", "exact_by_way_of_Float", func(f *faulty, d compute.Device) {
		f.copy = func(dst, src tensor) { d.Copy(dst, src); rounded(dst) }
	}},
	{"Axpy", "one_unit_off", func(f *faulty, d compute.Device) {
		f.axpy = func(dst tensor, a float32, x tensor) { d.Axpy(dst, a, x); nudged(dst) }
	}},
	{"SumRows", "sum_in_Float", func(f *faulty, d compute.Device) {
		f.sumRows = func(dst, x tensor) {
			for n := range x.Shape[0] {
				d.SumRows(dst, x.View(n, n+1))
				rounded(dst)
			}
		}
	}},
	{"Gemm", "sum_in_Float", func(f *faulty, d compute.Device) {
		f.gemm = func(dst tensor, alpha float32, a tensor, ta bool, b tensor, tb, add bool) {
			if ta && !tb { // sum over the rows of both
				for k := range a.Shape[0] {
					d.Gemm(dst, alpha, a.View(k, k+1), ta, b.View(k, k+1), tb, add || k > 0)
					rounded(dst)
				}
				return
			}
			d.Gemm(dst, alpha, a, ta, b, tb, add)
		}
	}},
	{"Gemm", "gradient_rounded", func(f *faulty, d compute.Device) {
		f.gemm = func(dst tensor, alpha float32, a tensor, ta bool, b tensor, tb, add bool) {
			d.Gemm(dst, alpha, a, ta, b, tb, add)
			rounded(dst)
		}
	}},
	{"Gemm", "exact_factors_rounded", func(f *faulty, d compute.Device) {
		f.gemm = func(dst tensor, alpha float32, a tensor, ta bool, b tensor, tb, add bool) {
			d.Gemm(dst, alpha, a, ta, b, tb, add)
			if a.DType == compute.Exact && !add {
				x, y := d.Temp(a.Shape, compute.Working), d.Temp(b.Shape, compute.Working)
				d.Copy(x, a)
				d.Copy(y, b)
				d.Gemm(dst, alpha, x, ta, y, tb, false)
			}
		}
	}},
	{"RMSNorm", "root_rounded", func(f *faulty, d compute.Device) {
		f.rms = func(o compute.RMSNormArgs) { d.RMSNorm(o); rounded(o.RStd) }
	}},
	{"RoPE", "one_unit_off", func(f *faulty, d compute.Device) {
		f.rope = func(x, pos, table tensor, inverse bool) {
			d.RoPE(x, pos, table, inverse)
			nudged(x)
		}
	}},
	{"SwiGLU", "one_unit_off", func(f *faulty, d compute.Device) {
		f.swiglu = func(dst, gate, up tensor) { d.SwiGLU(dst, gate, up); nudged(dst) }
	}},
	{"Linear", "one_unit_off", func(f *faulty, d compute.Device) {
		f.linear = func(dst, pre, x, w, bias tensor, act compute.Act) { d.Linear(dst, pre, x, w, bias, act); nudged(dst) }
	}},
	{"LowRankDown", "u_rounded", func(f *faulty, d compute.Device) {
		f.down = func(u, x, a tensor, drop compute.Dropout) { d.LowRankDown(u, x, a, drop); rounded(u) }
	}},
	{"LowRankDown", "gradient_rounded", func(f *faulty, d compute.Device) {
		f.downGrad = func(dx, da, x, a, du tensor, drop compute.Dropout, add bool) {
			d.LowRankDownGrad(dx, da, x, a, du, drop, add)
			rounded(da)
		}
	}},
	{"LowRankUp", "gradients_rounded", func(f *faulty, d compute.Device) {
		f.upGrad = func(du, db, u, b, dy tensor, scale float32) { d.LowRankUpGrad(du, db, u, b, dy, scale); rounded(db) }
	}},
	{"LayerNorm", "stats_rounded", func(f *faulty, d compute.Device) {
		f.norm = func(o compute.LayerNormArgs) { d.LayerNorm(o); rounded(o.Stats) }
	}},
	{"LayerNorm", "gradient_rounded", func(f *faulty, d compute.Device) {
		f.normGrad = func(o compute.LayerNormGradArgs) { d.LayerNormGrad(o); rounded(o.DBeta) }
	}},
	{"Attention", "lse_rounded", func(f *faulty, d compute.Device) {
		f.attention = func(dst, lse, q, k, v tensor, o compute.AttnOpts) { d.Attention(dst, lse, q, k, v, o); rounded(lse) }
	}},
	{"Attention", "dv_two_units_off", func(f *faulty, d compute.Device) {
		f.attnGrad = func(o compute.AttentionGradArgs) {
			d.AttentionGrad(o)
			nudged(o.DV)
			nudged(o.DV)
		}
	}},
	{"CrossEntropy", "loss_rounded", func(f *faulty, d compute.Device) {
		f.entropy = func(loss, dx, x, labels tensor, scale float32, o compute.CrossEntropyOpts) {
			d.CrossEntropy(loss, dx, x, labels, scale, o)
			rounded(loss)
		}
	}},
	{"AdamW", "moments_rounded", func(f *faulty, d compute.Device) {
		f.adamW = func(p, w, m, v, g, state tensor, o compute.AdamWOpts) { d.AdamW(p, w, m, v, g, state, o); rounded(v) }
	}},
	{"AdamW", "parameters_by_way_of_w", func(f *faulty, d compute.Device) {
		f.adamW = func(p, w, m, v, g, state tensor, o compute.AdamWOpts) {
			d.AdamW(p, w, m, v, g, state, o)
			if w.Present() {
				d.Copy(p, w)
			}
		}
	}},
}
