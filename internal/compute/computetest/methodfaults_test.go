package computetest

import (
	"github.com/lor2c/lor2c/internal/compute"
)

// methodHooks replace methods of compute.Methods.
type methodHooks struct {
	scale     func(dst, x, v tensor, o compute.ScaleOpts)
	scaleGrad func(dx, dv, x, v, dy tensor, o compute.ScaleOpts)
}

func honestMethods(dev compute.Device) methodHooks {
	return methodHooks{scale: dev.ScaleCols, scaleGrad: dev.ScaleColsGrad}
}

func (f *faulty) ScaleCols(dst, x, v tensor, o compute.ScaleOpts) { f.scale(dst, x, v, o) }

func (f *faulty) ScaleColsGrad(dx, dv, x, v, dy tensor, o compute.ScaleOpts) {
	f.scaleGrad(dx, dv, x, v, dy, o)
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

// methodFaults are mistakes in the ops of compute.Methods.
var methodFaults = []fault{
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
