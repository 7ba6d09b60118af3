package computetest

import "github.com/lor2c/lor2c/internal/compute"

type tensor = compute.Tensor

// shorter returns t without its last element, as one row.
func shorter(t tensor, by int) tensor { return t.Slice(0, compute.Shape{t.Shape.Len() - by}) }

// fault is a mistake that is planted in a method.
type fault struct {
	op, name string
	plant    func(f *faulty, d compute.Device)
}

// faults are mistakes that are easily made in device code.
var faults = []fault{
	{"Fill", "one_past_the_end", func(f *faulty, d compute.Device) {
		f.fill = func(dst tensor, v float32) { d.Fill(shorter(dst, -1), v) }
	}},
	{"Fill", "one_before_the_start", func(f *faulty, d compute.Device) {
		f.fill = func(dst tensor, v float32) { d.Fill(shorter(dst, 0).Slice(-1, dst.Shape), v); d.Fill(dst, v) }
	}},
	{"Axpy", "tail_left_out", func(f *faulty, d compute.Device) {
		f.axpy = func(dst tensor, a float32, x tensor) {
			d.Axpy(shorter(dst, dst.Shape.Len()%4), a, shorter(x, dst.Shape.Len()%4))
		}
	}},
	{"Axpy", "input_overwritten", func(f *faulty, d compute.Device) {
		f.axpy = func(dst tensor, a float32, x tensor) { d.Axpy(dst, a, x); d.Axpy(x, 1, dst) }
	}},
	{"Act", "tanh_for_erf", func(f *faulty, d compute.Device) {
		f.act = func(a compute.Act, dst, pre tensor) {
			if a == compute.GELU {
				a = compute.GELUTanh
			}
			d.Act(a, dst, pre)
		}
	}},
	{"Dropout", "another_site", func(f *faulty, d compute.Device) {
		f.dropout = func(dst, x tensor, drop compute.Dropout) { drop.Site++; d.Dropout(dst, x, drop) }
	}},
	{"Dropout", "row_ignored", func(f *faulty, d compute.Device) {
		f.dropout = func(dst, x tensor, drop compute.Dropout) { drop.Row = 0; d.Dropout(dst, x, drop) }
	}},
	{"Dropout", "high_key_ignored", func(f *faulty, d compute.Device) {
		f.dropout = func(dst, x tensor, drop compute.Dropout) { drop.Key &= 0xffffffff; d.Dropout(dst, x, drop) }
	}},
	{"SumRows", "stale_sum_overwritten", func(f *faulty, d compute.Device) {
		f.sumRows = func(dst, x tensor) { d.Fill(dst, 0); d.SumRows(dst, x) }
	}},
	{"SumRows", "last_row_left_out", func(f *faulty, d compute.Device) {
		f.sumRows = func(dst, x tensor) { d.SumRows(dst, x.View(0, x.Shape[0]-1)) }
	}},
	{"Scatter", "stale_sum_overwritten", func(f *faulty, d compute.Device) {
		f.scatter = func(dst, idx, x tensor) { d.Fill(dst, 0); d.Scatter(dst, idx, x) }
	}},
	{"Put", "added", func(f *faulty, d compute.Device) {
		f.put = func(dst, idx, x tensor) { d.Scatter(dst, idx, x) }
	}},
	{"ArgMax", "last_row_left_out", func(f *faulty, d compute.Device) {
		f.argMax = func(dst, x tensor) { d.ArgMax(dst.View(0, dst.Shape[0]-1), x.View(0, x.Shape[0]-1)) }
	}},
	{"Gemm", "wrong_stride", func(f *faulty, d compute.Device) {
		f.gemm = func(dst tensor, alpha float32, a tensor, ta bool, b tensor, tb, add bool) {
			if m, k := a.Shape[0], a.Shape[1]; ta {
				a, ta = a.Slice(0, compute.Shape{k, m}), false
			}
			d.Gemm(dst, alpha, a, ta, b, tb, add)
		}
	}},
	{"Gemm", "accumulate_ignored", func(f *faulty, d compute.Device) {
		f.gemm = func(dst tensor, alpha float32, a tensor, ta bool, b tensor, tb, add bool) {
			d.Gemm(dst, alpha, a, ta, b, tb, false)
		}
	}},
	{"Gemm", "overwrite_adds", func(f *faulty, d compute.Device) {
		f.gemm = func(dst tensor, alpha float32, a tensor, ta bool, b tensor, tb, add bool) {
			d.Gemm(dst, alpha, a, ta, b, tb, true)
		}
	}},
	{"Linear", "bias_ignored", func(f *faulty, d compute.Device) {
		f.linear = func(dst, pre, x, w, bias tensor, act compute.Act) { d.Linear(dst, pre, x, w, tensor{}, act) }
	}},
	{"Linear", "pre_after_activation", func(f *faulty, d compute.Device) {
		f.linear = func(dst, pre, x, w, bias tensor, act compute.Act) {
			d.Linear(dst, pre, x, w, bias, act)
			if pre.Present() {
				d.Copy(pre, dst)
			}
		}
	}},
	{"LowRankUp", "scale_ignored", func(f *faulty, d compute.Device) {
		f.up = func(dst, u, b tensor, scale float32) { d.LowRankUp(dst, u, b, 1) }
	}},
	{"LowRankUp", "gradients_scale_ignored", func(f *faulty, d compute.Device) {
		f.upGrad = func(du, db, u, b, dy tensor, scale float32) {
			d.LowRankUpGrad(tensor{}, db, u, b, dy, scale)
			if du.Present() {
				d.LowRankUpGrad(du, tensor{}, u, b, dy, 1)
			}
		}
	}},
	{"LowRankUp", "db_overwritten", func(f *faulty, d compute.Device) {
		f.upGrad = func(du, db, u, b, dy tensor, scale float32) {
			if db.Present() {
				d.Fill(db, 0)
			}
			d.LowRankUpGrad(du, db, u, b, dy, scale)
		}
	}},
	// Mistakes of a device that runs both ops together with the norm before them.
	{"LowRankUp", "next_module_reads_the_norm", func(f *faulty, d compute.Device) {
		var dst, u, b tensor
		var by float32
		f.up = func(x, y, z tensor, scale float32) {
			dst, u, b, by = x, y, z, scale
			d.LowRankUp(x, y, z, scale)
		}
		f.down = func(v, x, a tensor, drop compute.Dropout) {
			if dst.Buf == x.Buf && dst.Off == x.Off {
				before := d.Temp(x.Shape, x.DType)
				d.Copy(before, x)
				d.LowRankUp(before, u, b, -by)
				x = before
			}
			d.LowRankDown(v, x, a, drop)
		}
	}},
	{"LowRankDown", "u_without_dropout", func(f *faulty, d compute.Device) {
		f.down = func(u, x, a tensor, _ compute.Dropout) { d.LowRankDown(u, x, a, compute.Dropout{}) }
	}},
	{"LowRankDown", "dx_not_accumulated", func(f *faulty, d compute.Device) {
		f.downGrad = func(dx, da, x, a, du tensor, drop compute.Dropout, _ bool) {
			d.LowRankDownGrad(dx, da, x, a, du, drop, false)
		}
	}},
	{"LowRankDown", "gradient_without_dropout", func(f *faulty, d compute.Device) {
		f.downGrad = func(dx, da, x, a, du tensor, _ compute.Dropout, add bool) {
			d.LowRankDownGrad(dx, da, x, a, du, compute.Dropout{}, add)
		}
	}},
	{"LayerNorm", "eps_ignored", func(f *faulty, d compute.Device) {
		f.norm = func(o compute.LayerNormArgs) {
			o.Eps = 0
			d.LayerNorm(o)
		}
	}},
	{"LayerNorm", "gradients_swapped", func(f *faulty, d compute.Device) {
		f.normGrad = func(o compute.LayerNormGradArgs) {
			o.DX, o.DResidual = o.DResidual, o.DX
			d.LayerNormGrad(o)
		}
	}},
	{"LayerNorm", "stale_gamma_overwritten", func(f *faulty, d compute.Device) {
		f.normGrad = func(o compute.LayerNormGradArgs) {
			if o.DGamma.Present() {
				d.Fill(o.DGamma, 0)
			}
			d.LayerNormGrad(o)
		}
	}},
	{"RMSNorm", "eps_ignored", func(f *faulty, d compute.Device) {
		f.rms = func(o compute.RMSNormArgs) {
			o.Eps = 0
			d.RMSNorm(o)
		}
	}},
	{"RMSNorm", "gain_left_out", func(f *faulty, d compute.Device) {
		f.rms = func(o compute.RMSNormArgs) {
			o.Gamma = d.Temp(o.Gamma.Shape, compute.Working)
			d.Fill(o.Gamma, 1)
			d.RMSNorm(o)
		}
	}},
	{"RMSNorm", "gradient_overwritten", func(f *faulty, d compute.Device) {
		f.rmsGrad = func(o compute.RMSNormGradArgs) {
			o.Accumulate = false
			d.RMSNormGrad(o)
		}
	}},
	{"RMSNorm", "stale_gradient_added_to", func(f *faulty, d compute.Device) {
		f.rmsGrad = func(o compute.RMSNormGradArgs) {
			o.Accumulate = true
			d.RMSNormGrad(o)
		}
	}},
	{"RoPE", "inverse_ignored", func(f *faulty, d compute.Device) {
		f.rope = func(x, pos, table tensor, inverse bool) { d.RoPE(x, pos, table, false) }
	}},
	{"RoPE", "positions_ignored", func(f *faulty, d compute.Device) {
		f.rope = func(x, pos, table tensor, inverse bool) {
			for n := range x.Shape[0] {
				d.RoPE(x.View(n, n+1), pos.View(0, 1), table, inverse)
			}
		}
	}},
	{"RoPE", "one_head_only", func(f *faulty, d compute.Device) {
		f.rope = func(x, pos, table tensor, inverse bool) {
			for n := range x.Shape[0] {
				d.RoPE(x.View(n, n+1).Slice(0, compute.Shape{1, table.Shape.Cols()}), pos.View(n, n+1), table, inverse)
			}
		}
	}},
	{"RoPE", "next_position", func(f *faulty, d compute.Device) {
		f.rope = func(x, pos, table tensor, inverse bool) {
			d.RoPE(x, pos, table.View(1, table.Shape[0]), inverse)
		}
	}},
	{"SwiGLU", "factors_swapped", func(f *faulty, d compute.Device) {
		f.swiglu = func(dst, gate, up tensor) { d.SwiGLU(dst, up, gate) }
	}},
	{"SwiGLU", "gradients_swapped", func(f *faulty, d compute.Device) {
		f.swiGrad = func(dgate, dup, gate, up, dy tensor) { d.SwiGLUGrad(dup, dgate, gate, up, dy) }
	}},
	{"Attention", "causal_ignored", func(f *faulty, d compute.Device) {
		f.attention = func(dst, lse, q, k, v tensor, o compute.AttnOpts) {
			o.Causal = false
			d.Attention(dst, lse, q, k, v, o)
		}
	}},
	{"Attention", "lse_without_maximum", func(f *faulty, d compute.Device) {
		f.attention = func(dst, lse, q, k, v tensor, o compute.AttnOpts) { d.Attention(dst, lse, q, k, v, o); d.Fill(lse, 1) }
	}},
	{"Attention", "scale_ignored", func(f *faulty, d compute.Device) {
		f.attention = func(dst, lse, q, k, v tensor, o compute.AttnOpts) { o.Scale = 1; d.Attention(dst, lse, q, k, v, o) }
	}},
	{"Attention", "keys_for_values_in_blocks", func(f *faulty, d compute.Device) {
		f.attention = func(dst, lse, q, k, v tensor, o compute.AttnOpts) {
			if o.Table.Present() {
				v = k
			}
			d.Attention(dst, lse, q, k, v, o)
		}
	}},
	{"Attention", "bias_ignored", func(f *faulty, d compute.Device) {
		f.attention = func(dst, lse, q, k, v tensor, o compute.AttnOpts) {
			o.Bias, o.Buckets = tensor{}, tensor{}
			d.Attention(dst, lse, q, k, v, o)
		}
	}},
	{"Attention", "bias_of_the_next_distance", func(f *faulty, d compute.Device) {
		f.attention = func(dst, lse, q, k, v tensor, o compute.AttnOpts) {
			if o.Bias.Present() {
				o.Buckets = o.Buckets.View(2, o.Buckets.Shape[0])
			}
			d.Attention(dst, lse, q, k, v, o)
		}
	}},
	{"Attention", "gradient_of_bias_scaled", func(f *faulty, d compute.Device) {
		f.attnGrad = func(o compute.AttentionGradArgs) {
			d.AttentionGrad(o)
			if o.DBias.Present() {
				d.Axpy(o.DBias, o.Scale-1, o.DBias)
			}
		}
	}},
	{"Attention", "gradient_of_bias_overwritten", func(f *faulty, d compute.Device) {
		f.attnGrad = func(o compute.AttentionGradArgs) {
			if o.DBias.Present() {
				d.Fill(o.DBias, 0)
			}
			d.AttentionGrad(o)
		}
	}},
	{"Attention", "gradient_of_another_mask", func(f *faulty, d compute.Device) {
		f.attnGrad = func(o compute.AttentionGradArgs) {
			o.Dropout.Step++
			d.AttentionGrad(o)
		}
	}},
	{"Attention", "keys_swapped_with_values", func(f *faulty, d compute.Device) {
		f.attnGrad = func(o compute.AttentionGradArgs) {
			o.DK, o.DV = o.DV, o.DK
			d.AttentionGrad(o)
		}
	}},
	{"CrossEntropy", "gradient_unscaled", func(f *faulty, d compute.Device) {
		f.entropy = func(loss, dx, x, labels tensor, scale float32, o compute.CrossEntropyOpts) {
			d.CrossEntropy(loss, dx, x, labels, scale, o)
			if dx.Present() {
				d.Axpy(dx, 1/scale-1, dx)
			}
		}
	}},
	{"CrossEntropy", "loss_overwritten", func(f *faulty, d compute.Device) {
		f.entropy = func(loss, dx, x, labels tensor, scale float32, o compute.CrossEntropyOpts) {
			d.Fill(loss, 0)
			d.CrossEntropy(loss, dx, x, labels, scale, o)
		}
	}},
	{"CrossEntropy", "row_weights_ignored", func(f *faulty, d compute.Device) {
		f.entropy = func(loss, dx, x, labels tensor, scale float32, o compute.CrossEntropyOpts) {
			o.Rows = tensor{}
			d.CrossEntropy(loss, dx, x, labels, scale, o)
		}
	}},
	{"CrossEntropy", "class_weights_ignored", func(f *faulty, d compute.Device) {
		f.entropy = func(loss, dx, x, labels tensor, scale float32, o compute.CrossEntropyOpts) {
			o.Classes = tensor{}
			d.CrossEntropy(loss, dx, x, labels, scale, o)
		}
	}},
	{"CrossEntropy", "smoothing_ignored", func(f *faulty, d compute.Device) {
		f.entropy = func(loss, dx, x, labels tensor, scale float32, o compute.CrossEntropyOpts) {
			o.Smoothing = 0
			d.CrossEntropy(loss, dx, x, labels, scale, o)
		}
	}},
	{"BinaryCrossEntropy", "targets_ignored", func(f *faulty, d compute.Device) {
		f.binary = func(loss, dx, x, targets tensor, scale float32) {
			d.Fill(targets, 0)
			d.BinaryCrossEntropy(loss, dx, x, targets, scale)
		}
	}},
	{"BinaryCrossEntropy", "gradient_unscaled", func(f *faulty, d compute.Device) {
		f.binary = func(loss, dx, x, targets tensor, scale float32) {
			d.BinaryCrossEntropy(loss, dx, x, targets, scale)
			if dx.Present() {
				d.Axpy(dx, 1/scale-1, dx)
			}
		}
	}},
	{"GradNorm", "clip_ignored", func(f *faulty, d compute.Device) {
		f.gradNorm = func(state, g, loss tensor, maxNorm float32) { d.GradNorm(state, g, loss, 0) }
	}},
	{"GradNorm", "halt_forgotten", func(f *faulty, d compute.Device) {
		f.gradNorm = func(state, g, loss tensor, maxNorm float32) { d.Fill(state, 0); d.GradNorm(state, g, loss, maxNorm) }
	}},
	{"SumAbs", "sum_overwritten", func(f *faulty, d compute.Device) {
		f.sumAbs = func(dst, x tensor) { d.Fill(dst, 0); d.SumAbs(dst, x) }
	}},
	{"SumAbs", "last_element_left_out", func(f *faulty, d compute.Device) {
		f.sumAbs = func(dst, x tensor) { d.SumAbs(dst, x.View(0, x.Shape[0]-1)) }
	}},
	{"AdamW", "decay_left_out", func(f *faulty, d compute.Device) {
		f.adamW = func(p, w, m, v, g, state tensor, o compute.AdamWOpts) {
			o.WeightDecay = 0
			d.AdamW(p, w, m, v, g, state, o)
		}
	}},
	{"AdamW", "working_copy_left", func(f *faulty, d compute.Device) {
		f.adamW = func(p, w, m, v, g, state tensor, o compute.AdamWOpts) { d.AdamW(p, tensor{}, m, v, g, state, o) }
	}},
	{"AdamW", "working_copy_of_the_step_before", func(f *faulty, d compute.Device) {
		f.adamW = func(p, w, m, v, g, state tensor, o compute.AdamWOpts) {
			if w.Present() {
				d.Copy(w, p)
			}
			d.AdamW(p, tensor{}, m, v, g, state, o)
		}
	}},
	{"Copy", "tail_left_out", func(f *faulty, d compute.Device) {
		f.copy = func(dst, src tensor) { d.Copy(shorter(dst, dst.Shape.Len()%4), shorter(src, src.Shape.Len()%4)) }
	}},
	{"AdamW", "bias_correction_of_one_step", func(f *faulty, d compute.Device) {
		f.adamW = func(p, w, m, v, g, state tensor, o compute.AdamWOpts) { o.Step = 1; d.AdamW(p, w, m, v, g, state, o) }
	}},
	{"Temp", "release_does_nothing", func(f *faulty, d compute.Device) { f.release = func(tensor) {} }},
}
