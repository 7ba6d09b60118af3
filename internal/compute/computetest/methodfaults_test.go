package computetest

import (
	"github.com/lor2c/lor2c/internal/compute"
)

// methodHooks replace methods of compute.Methods.
type methodHooks struct {
	scale     func(dst, x, v tensor, o compute.ScaleOpts)
	scaleGrad func(dx, dv, x, v, dy tensor, o compute.ScaleOpts)
	invNorm   func(dst, w, a, b tensor, scale float32)
	prepend   func(dst, prefix, x, cu tensor)
	preGrad   func(dx, dprefix, dy, cu tensor)
	soft      func(dst, x tensor)
	softGrad  func(dx, y, dy tensor)
	gate      func(dst, w, u tensor)
	gateGrad  func(dw, du, w, u, dy tensor)
	kl        func(loss, dx, dz, x, z tensor, scale float32, detach bool)
	balance   func(loss, dq, q, f tensor, scale float32)
	ortho     func(loss, c tensor, scale float32)
	sense     func(mean, dev, p, g, state tensor, beta1, beta2 float32)
	products  func(dst, x, y tensor, alpha float32, columns bool)
	smallest  func(x, scores tensor, k int)
	uploadNF4 func(dst tensor, codes []byte, scales []float32)
	frozen    func(s compute.Shape, d compute.DType) tensor
}

func honestMethods(dev compute.Device) methodHooks {
	return methodHooks{
		scale: dev.ScaleCols, scaleGrad: dev.ScaleColsGrad, invNorm: dev.LowRankInvNorm, prepend: dev.PrependRows,
		preGrad: dev.PrependRowsGrad, soft: dev.Softmax, softGrad: dev.SoftmaxGrad, gate: dev.Gate, gateGrad: dev.GateGrad,
		kl: dev.SymmetricKL, balance: dev.Balance, ortho: dev.Orthogonality, sense: dev.Importance, products: dev.SumProducts,
		smallest: dev.ZeroSmallest, uploadNF4: dev.UploadNF4, frozen: dev.AllocFrozen,
	}
}

func (f *faulty) ScaleCols(dst, x, v tensor, o compute.ScaleOpts) { f.scale(dst, x, v, o) }

func (f *faulty) ScaleColsGrad(dx, dv, x, v, dy tensor, o compute.ScaleOpts) {
	f.scaleGrad(dx, dv, x, v, dy, o)
}

func (f *faulty) LowRankInvNorm(dst, w, a, b tensor, scale float32)   { f.invNorm(dst, w, a, b, scale) }
func (f *faulty) PrependRows(dst, prefix, x, cu tensor)               { f.prepend(dst, prefix, x, cu) }
func (f *faulty) PrependRowsGrad(dx, dprefix, dy, cu tensor)          { f.preGrad(dx, dprefix, dy, cu) }
func (f *faulty) Softmax(dst, x tensor)                               { f.soft(dst, x) }
func (f *faulty) SoftmaxGrad(dx, y, dy tensor)                        { f.softGrad(dx, y, dy) }
func (f *faulty) AllocFrozen(s compute.Shape, d compute.DType) tensor { return f.frozen(s, d) }
func (f *faulty) Gate(dst, w, u tensor)                               { f.gate(dst, w, u) }
func (f *faulty) GateGrad(dw, du, w, u, dy tensor)                    { f.gateGrad(dw, du, w, u, dy) }

func (f *faulty) SymmetricKL(loss, dx, dz, x, z tensor, scale float32, detach bool) {
	f.kl(loss, dx, dz, x, z, scale, detach)
}

func (f *faulty) Balance(loss, dq, q, g tensor, scale float32) { f.balance(loss, dq, q, g, scale) }
func (f *faulty) Orthogonality(loss, c tensor, scale float32)  { f.ortho(loss, c, scale) }

func (f *faulty) Importance(mean, dev, p, g, state tensor, beta1, beta2 float32) {
	f.sense(mean, dev, p, g, state, beta1, beta2)
}

func (f *faulty) SumProducts(dst, x, y tensor, alpha float32, columns bool) {
	f.products(dst, x, y, alpha, columns)
}

func (f *faulty) ZeroSmallest(x, scores tensor, k int) { f.smallest(x, scores, k) }

func (f *faulty) UploadNF4(dst tensor, codes []byte, scales []float32) {
	f.uploadNF4(dst, codes, scales)
}

func (d *narrow) SymmetricKL(loss, dx, dz, x, z tensor, scale float32, detach bool) {
	wantExact(loss)
	wantWorking(dx, dz, x, z)
	d.Device.SymmetricKL(loss, dx, dz, x, z, scale, detach)
	store(dx, dz)
}

func (d *narrow) Balance(loss, dq, q, f tensor, scale float32) {
	wantExact(loss, dq, q, f)
	d.Device.Balance(loss, dq, q, f, scale)
}

func (d *narrow) Orthogonality(loss, c tensor, scale float32) {
	wantExact(loss, c)
	d.Device.Orthogonality(loss, c, scale)
}

func (d *narrow) Importance(mean, dev, p, g, state tensor, beta1, beta2 float32) {
	wantExact(mean, dev, p, g, state)
	d.Device.Importance(mean, dev, p, g, state, beta1, beta2)
}

func (d *narrow) SumProducts(dst, x, y tensor, alpha float32, columns bool) {
	wantExact(dst, x, y)
	d.Device.SumProducts(dst, x, y, alpha, columns)
}

func (d *narrow) ZeroSmallest(x, scores tensor, k int) {
	wantExact(scores)
	d.Device.ZeroSmallest(x, scores, k)
}

func (d *narrow) LowRankInvNorm(dst, w, a, b tensor, scale float32) {
	wantExact(dst)
	wantWorking(w, a, b)
	d.Device.LowRankInvNorm(dst, w, a, b, scale)
}

func (d *narrow) PrependRows(dst, prefix, x, cu tensor) {
	wantWorking(dst, prefix, x)
	d.Device.PrependRows(dst, prefix, x, cu)
}

func (d *narrow) PrependRowsGrad(dx, dprefix, dy, cu tensor) {
	wantWorking(dx, dy)
	wantExact(dprefix)
	d.Device.PrependRowsGrad(dx, dprefix, dy, cu)
}

func (d *narrow) Softmax(dst, x tensor)        { wantExact(dst, x); d.Device.Softmax(dst, x) }
func (d *narrow) SoftmaxGrad(dx, y, dy tensor) { wantExact(dx, y, dy); d.Device.SoftmaxGrad(dx, y, dy) }
func (d *narrow) Gate(dst, w, u tensor)        { wantExact(dst, w, u); d.Device.Gate(dst, w, u) }
func (d *narrow) GateGrad(dw, du, w, u, z tensor) {
	wantExact(dw, du, w, u, z)
	d.Device.GateGrad(dw, du, w, u, z)
}

func (d *narrow) ScaleCols(dst, x, v tensor, o compute.ScaleOpts) {
	are(dst.DType, x)
	wantWorking(v, o.About)
	wantExact(o.Times)
	d.Device.ScaleCols(dst, x, v, o)
	store(dst)
}

func (d *narrow) ScaleColsGrad(dx, dv, x, v, dy tensor, o compute.ScaleOpts) {
	are(dy.DType, dx, x)
	wantWorking(v, o.About)
	wantExact(dv, o.Times)
	d.Device.ScaleColsGrad(dx, dv, x, v, dy, o)
	store(dx)
}

// ones returns a tensor like x that is full of ones.
func ones(d compute.Device, x tensor) tensor {
	y := d.Temp(x.Shape, x.DType)
	d.Fill(y, 1)
	return y
}

// methodFaults are mistakes in the ops of compute.Methods.
var methodFaults = []fault{
	{"AllocFrozen", "not_zero", func(f *faulty, d compute.Device) {
		f.frozen = func(s compute.Shape, t compute.DType) tensor {
			w, values := d.AllocFrozen(s, t), make([]float32, s.Len())
			values[len(values)-1] = 1
			d.Upload(w, values)
			return w
		}
	}},
	{"AllocFrozen", "first_row_lost_in_a_product", func(f *faulty, d compute.Device) {
		f.frozen = func(s compute.Shape, t compute.DType) tensor {
			w := d.AllocFrozen(s, t)
			f.linear = func(dst, pre, x, read, bias tensor, act compute.Act) {
				d.Linear(dst, pre, x, read, bias, act)
				if read.Buf == w.Buf {
					d.Fill(dst.Slice(0, compute.Shape{1}), 0)
				}
			}
			return w
		}
	}},
	{"ScaleCols", "times_ignored", func(f *faulty, d compute.Device) {
		f.scale = func(dst, x, v tensor, o compute.ScaleOpts) { d.ScaleCols(dst, x, v, compute.ScaleOpts{About: o.About}) }
	}},
	{"ScaleCols", "about_ignored", func(f *faulty, d compute.Device) {
		f.scale = func(dst, x, v tensor, o compute.ScaleOpts) { d.ScaleCols(dst, x, v, compute.ScaleOpts{Times: o.Times}) }
	}},
	{"ScaleCols", "gradient_of_the_scaled_rows", func(f *faulty, d compute.Device) {
		f.scaleGrad = func(dx, dv, x, v, dy tensor, o compute.ScaleOpts) {
			d.ScaleColsGrad(dx, tensor{}, x, v, dy, o)
			if dv.Present() {
				scaled := d.Temp(x.Shape, x.DType)
				d.ScaleCols(scaled, x, v, o)
				d.ScaleColsGrad(tensor{}, dv, scaled, v, dy, o)
			}
		}
	}},
	{"ScaleCols", "dv_overwritten", func(f *faulty, d compute.Device) {
		f.scaleGrad = func(dx, dv, x, v, dy tensor, o compute.ScaleOpts) {
			if dv.Present() {
				d.Fill(dv, 0)
			}
			d.ScaleColsGrad(dx, dv, x, v, dy, o)
		}
	}},
	{"ScaleCols", "gradient_about_zero", func(f *faulty, d compute.Device) {
		f.scaleGrad = func(dx, dv, x, v, dy tensor, o compute.ScaleOpts) {
			d.ScaleColsGrad(dx, dv, x, v, dy, compute.ScaleOpts{Times: o.Times})
		}
	}},
	{"LowRankInvNorm", "scale_ignored", func(f *faulty, d compute.Device) {
		f.invNorm = func(dst, w, a, b tensor, scale float32) { d.LowRankInvNorm(dst, w, a, b, 1) }
	}},
	{"LowRankInvNorm", "norm_of_the_base", func(f *faulty, d compute.Device) {
		f.invNorm = func(dst, w, a, b tensor, scale float32) { d.LowRankInvNorm(dst, w, a, b, 0) }
	}},
	{"PrependRows", "prefix_after_the_rows", func(f *faulty, d compute.Device) {
		f.prepend = func(dst, prefix, x, cu tensor) {
			d.PrependRows(dst, prefix, x, cu)
			n, all := x.Shape[0], dst.Shape[0]
			d.Copy(dst.View(0, n), x)
			d.Copy(dst.View(all-prefix.Shape[0], all), prefix)
		}
	}},
	{"PrependRows", "dprefix_overwritten", func(f *faulty, d compute.Device) {
		f.preGrad = func(dx, dprefix, dy, cu tensor) {
			if dprefix.Present() {
				d.Fill(dprefix, 0)
			}
			d.PrependRowsGrad(dx, dprefix, dy, cu)
		}
	}},
	{"PrependRows", "last_sequence_left_out", func(f *faulty, d compute.Device) {
		f.preGrad = func(dx, dprefix, dy, cu tensor) {
			d.PrependRowsGrad(dx, tensor{}, dy, cu)
			if dprefix.Present() && cu.Shape[0] > 2 {
				cu = cu.View(0, cu.Shape[0]-1)
				dy = dy.View(0, dy.Shape[0]-dprefix.Shape[0])
			}
			d.PrependRowsGrad(tensor{}, dprefix, dy, cu)
		}
	}},
	{"Softmax", "gradient_without_the_mean", func(f *faulty, d compute.Device) {
		f.softGrad = func(dx, y, dy tensor) { d.Gate(dx, y, dy) }
	}},
	{"Softmax", "first_row_only", func(f *faulty, d compute.Device) {
		f.soft = func(dst, x tensor) { d.Softmax(dst.View(0, 1), x.View(0, 1)) }
	}},
	{"Gate", "weights_ignored", func(f *faulty, d compute.Device) {
		f.gate = func(dst, w, u tensor) { d.Gate(dst, ones(d, w), u) }
	}},
	{"Gate", "dw_without_the_ranks", func(f *faulty, d compute.Device) {
		f.gateGrad = func(dw, du, w, u, dy tensor) {
			d.GateGrad(tensor{}, du, w, u, dy)
			d.GateGrad(dw, tensor{}, w, ones(d, u), dy)
		}
	}},
	{"SymmetricKL", "detach_ignored", func(f *faulty, d compute.Device) {
		f.kl = func(loss, dx, dz, x, z tensor, scale float32, _ bool) { d.SymmetricKL(loss, dx, dz, x, z, scale, true) }
	}},
	{"SymmetricKL", "loss_of_one_side", func(f *faulty, d compute.Device) {
		f.kl = func(loss, dx, dz, x, z tensor, scale float32, detach bool) {
			d.SymmetricKL(loss, tensor{}, tensor{}, x, z, scale/2, detach)
			spare := d.Temp(loss.Shape, loss.DType)
			d.SymmetricKL(spare, dx, dz, x, z, scale, detach)
		}
	}},
	{"Balance", "factors_ignored", func(f *faulty, d compute.Device) {
		f.balance = func(loss, dq, q, g tensor, scale float32) { d.Balance(loss, dq, q, ones(d, g), scale) }
	}},
	{"Balance", "loss_overwritten", func(f *faulty, d compute.Device) {
		f.balance = func(loss, dq, q, g tensor, scale float32) { d.Fill(loss, 0); d.Balance(loss, dq, q, g, scale) }
	}},
	{"Orthogonality", "scale_ignored", func(f *faulty, d compute.Device) {
		f.ortho = func(loss, c tensor, scale float32) { d.Orthogonality(loss, c, 1) }
	}},
	{"Importance", "clip_ignored", func(f *faulty, d compute.Device) {
		f.sense = func(mean, dev, p, g, state tensor, beta1, beta2 float32) {
			unclipped := d.Temp(state.Shape, state.DType)
			d.Copy(unclipped, state)
			d.Fill(unclipped.View(1, 2), 1)
			d.Importance(mean, dev, p, g, unclipped, beta1, beta2)
		}
	}},
	{"Importance", "one_rate_for_both", func(f *faulty, d compute.Device) {
		f.sense = func(mean, dev, p, g, state tensor, beta1, _ float32) {
			d.Importance(mean, dev, p, g, state, beta1, beta1)
		}
	}},
	{"SumProducts", "dst_overwritten", func(f *faulty, d compute.Device) {
		f.products = func(dst, x, y tensor, alpha float32, columns bool) {
			d.Fill(dst, 0)
			d.SumProducts(dst, x, y, alpha, columns)
		}
	}},
	{"ZeroSmallest", "one_too_few", func(f *faulty, d compute.Device) {
		f.smallest = func(x, scores tensor, k int) { d.ZeroSmallest(x, scores, k-1) }
	}},
	{"GroupedDown", "gradient_of_the_first_group", func(f *faulty, d compute.Device) {
		f.downGrad = func(dx, da, x, a, du tensor, drop compute.Dropout, add bool) {
			d.LowRankDownGrad(dx, da, x, a, du, drop, add)
			if da.Present() {
				d.Copy(da.View(da.Shape[0]-1, da.Shape[0]), da.View(0, 1))
			}
		}
	}},
	{"GroupedDown", "mask_of_another_row", func(f *faulty, d compute.Device) {
		f.down = func(u, x, a tensor, drop compute.Dropout) { drop.Row++; d.LowRankDown(u, x, a, drop) }
	}},
	{"GroupedUp", "groups_in_another_order", func(f *faulty, d compute.Device) {
		f.up = func(dst, u, b tensor, scale float32) {
			turned := d.Temp(b.Shape, b.DType)
			half := b.Shape[0] / 2
			d.Copy(turned.View(0, half), b.View(half, 2*half))
			d.Copy(turned.View(half, 2*half), b.View(0, half))
			d.Copy(turned.View(2*half, b.Shape[0]), b.View(2*half, b.Shape[0]))
			d.LowRankUp(dst, u, turned, scale)
		}
	}},
	{"UploadNF4", "halves_of_a_byte_exchanged", func(f *faulty, d compute.Device) {
		f.uploadNF4 = func(dst tensor, codes []byte, scales []float32) {
			turned := make([]byte, len(codes))
			for i, c := range codes {
				turned[i] = c<<4 | c>>4
			}
			d.UploadNF4(dst, turned, scales)
		}
	}},
	{"UploadNF4", "one_scale_for_all", func(f *faulty, d compute.Device) {
		f.uploadNF4 = func(dst tensor, codes []byte, scales []float32) {
			same := make([]float32, len(scales))
			for i := range same {
				same[i] = scales[0]
			}
			d.UploadNF4(dst, codes, same)
		}
	}},
}

// narrowMethodFaults show only if Working is narrow.
var narrowMethodFaults = []fault{
	{"ScaleCols", "exact_rows_rounded", func(f *faulty, d compute.Device) {
		f.scale = func(dst, x, v tensor, o compute.ScaleOpts) { d.ScaleCols(dst, x, v, o); rounded(dst) }
	}},
	{"ScaleCols", "dv_rounded", func(f *faulty, d compute.Device) {
		f.scaleGrad = func(dx, dv, x, v, dy tensor, o compute.ScaleOpts) {
			d.ScaleColsGrad(dx, dv, x, v, dy, o)
			rounded(dv)
		}
	}},
}
