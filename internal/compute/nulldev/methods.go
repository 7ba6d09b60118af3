package nulldev

import "github.com/lor2c/lor2c/internal/compute"

// The methods below implement compute.Methods by recording that they were called.

func (d *Device) ScaleCols(_, _, _ tensor, _ compute.ScaleOpts)           { d.op("ScaleCols") }
func (d *Device) ScaleColsGrad(_, _, _, _, _ tensor, _ compute.ScaleOpts) { d.op("ScaleColsGrad") }
