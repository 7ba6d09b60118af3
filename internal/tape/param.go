package tape

import "github.com/lor2c/lor2c/internal/compute"

// Param is a tensor that outlives a step.
type Param struct {
	Name  string         // name of the tensor in a checkpoint
	Value compute.Tensor // Working; forward passes read it
	// Storage is how the device stores Value: as Working, or frozen weights as BFloat16 or Float16.
	Storage compute.DType
	// Master is the exact value, in Exact, of a parameter that is trained on a device whose Working is narrower than
	// Exact. Value is Master rounded. On other devices, and for other parameters, Master is absent.
	Master compute.Tensor
	Grad   compute.Tensor // Exact; absent while frozen
	// Frozen means that the optimizer does not update the parameter.
	Frozen bool
	// LRRatio is the ratio of the parameter's learning rate to that of the adapter; 0 means 1.
	LRRatio float64
	// Idle is when the parameter may have no gradient although it is trained.
	Idle Idle
	// Factor is A or B for a factor of a low-rank map that belongs to layer Layer, and empty for other parameters.
	Factor string
	Layer  int
}

// Idle says in which steps a trained parameter may have no gradient.
type Idle uint8

const (
	// NeverIdle parameters have a gradient in every step.
	NeverIdle Idle = iota
	// IdleAtStart parameters have no gradient in their first step, like an A whose B is zero.
	IdleAtStart
	// OftenIdle parameters have a gradient only in some steps, like an expert that only some steps draw.
	OftenIdle
)

// NewParam allocates a parameter of zeros. trained is true if the run will
// train it.
func NewParam(dev compute.Device, name string, trained bool, shape ...int) *Param {
	p := &Param{Name: name, Value: dev.Alloc(shape, compute.Working)}
	if trained && compute.Narrow(dev) {
		p.Master = dev.Alloc(shape, compute.Exact)
	}
	return p
}

// NewFrozen allocates a matrix of zeros that the run does not train and that only linear layers and embeddings read.
// storage is Working, BFloat16 or Float16.
func NewFrozen(dev compute.Device, name string, storage compute.DType, rows, cols int) *Param {
	return &Param{Name: name, Value: dev.AllocFrozen(compute.Shape{rows, cols}, storage), Storage: storage}
}

// Upload sets the value of p, and Master if p has one.
func (p *Param) Upload(dev compute.Device, values []float32) {
	dev.Upload(p.Value, values)
	if p.Master.Present() {
		dev.Upload(p.Master, values)
	}
}

// Values returns the exact values of p, dequantised if they are stored in four bits. It waits for the device.
func (p *Param) Values(dev compute.Device) []float32 {
	values := make([]float32, p.Value.Shape.Len())
	if p.Value.DType != compute.NF4 {
		dev.Download(values, p.Exact())
		return values
	}
	dense := dev.Alloc(p.Value.Shape, compute.Working)
	dev.Copy(dense, p.Value)
	dev.Download(values, dense)
	dev.Free(dense)
	return values
}

// Exact returns the tensor with the unrounded value of p. It is the one to save, measure and compare.
func (p *Param) Exact() compute.Tensor {
	if p.Master.Present() {
		return p.Master
	}
	return p.Value
}

// Trains reports whether p has a gradient. It is false for a nil Param.
func (p *Param) Trains() bool { return p != nil && p.Grad.Present() }

// value returns the value of p, or an absent tensor if p is nil.
func (p *Param) value() compute.Tensor {
	if p == nil {
		return compute.Tensor{}
	}
	return p.Value
}

// grad returns the gradient of p, or an absent tensor if p is nil or frozen.
func (p *Param) grad() compute.Tensor {
	if p == nil {
		return compute.Tensor{}
	}
	return p.Grad
}

// Dense returns the value of p as a Working tensor, and a function that must be called when it is no longer read. A
// quantised value is dequantised to the step arena; any other is returned itself.
func (t *Tape) Dense(p *Param) (w compute.Tensor, release func()) {
	if p.Value.DType != compute.NF4 {
		return p.Value, func() {}
	}
	w = t.temp(p.Value.Shape)
	t.Dev.Copy(w, p.Value)
	return w, func() { t.Dev.Release(w) }
}

// factor returns the value of p as the device's products read it, and a function that must be called when it is no
// longer read.
func (t *Tape) factor(p *Param) (w compute.Tensor, release func()) {
	if p.Value.DType == compute.NF4 && t.Dev.ReadsNF4() {
		return p.Value, func() {}
	}
	return t.Dense(p)
}
