package nulldev

import "github.com/lor2c/lor2c/internal/compute"

// The methods below implement compute.Methods by recording that they were called.

func (d *Device) ScaleCols(_, _, _ tensor, _ compute.ScaleOpts)           { d.op("ScaleCols") }
func (d *Device) ScaleColsGrad(_, _, _, _, _ tensor, _ compute.ScaleOpts) { d.op("ScaleColsGrad") }
func (d *Device) LowRankInvNorm(_, _, _, _ tensor, _ float32)             { d.op("LowRankInvNorm") }
func (d *Device) PrependRows(_, _, _, _ tensor)                           { d.op("PrependRows") }
func (d *Device) PrependRowsGrad(_, _, _, _ tensor)                       { d.op("PrependRowsGrad") }
func (d *Device) Softmax(_, _ tensor)                                     { d.op("Softmax") }
func (d *Device) SoftmaxGrad(_, _, _ tensor)                              { d.op("SoftmaxGrad") }
func (d *Device) Gate(_, _, _ tensor)                                     { d.op("Gate") }
func (d *Device) GateGrad(_, _, _, _, _ tensor)                           { d.op("GateGrad") }
func (d *Device) SymmetricKL(_, _, _, _, _ tensor, _ float32, _ bool)     { d.op("SymmetricKL") }
func (d *Device) Balance(_, _, _, _ tensor, _ float32)                    { d.op("Balance") }
func (d *Device) Orthogonality(_, _ tensor, _ float32)                    { d.op("Orthogonality") }
func (d *Device) Importance(_, _, _, _, _ tensor, _, _ float32)           { d.op("Importance") }
func (d *Device) SumProducts(_, _, _ tensor, _ float32, _ bool)           { d.op("SumProducts") }
func (d *Device) ZeroSmallest(_, _ tensor, _ int)                         { d.op("ZeroSmallest") }
