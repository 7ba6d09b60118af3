package model

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// Source returns the initial values of a parameter, by its name in a checkpoint
// of the whole network. It returns false for a parameter of the head that it
// does not have. New then draws it at random.
type Source func(name string, shape compute.Shape) (values []float32, ok bool, err error)

// NoValues is a Source that has every parameter and no values, for a device that only counts memory.
func NoValues(string, compute.Shape) ([]float32, bool, error) { return nil, true, nil }

// builder collects the parameters of a network, and the first error.
type builder struct {
	dev    compute.Device
	src    Source
	seed   uint64
	trains func(name string) bool // reports whether a parameter of the network is trained; nil if none is
	// stored is how frozen matrices may be stored: Working, BFloat16 or Float16.
	stored compute.DType
	// fourBit has the names of matrices that are allocated in four bits unless they are trained.
	fourBit map[string]bool
	prefix  string
	head    bool // set while the parameters of the head are made
	params  []*tape.Param
	drawn   []*tape.Param // parameters of the network that src does not have and that were drawn
	err     error
}

func (b *builder) param(name string, shape ...int) *tape.Param { return b.read(name, false, shape...) }

// matrix returns a parameter that only linear layers and embeddings read.
func (b *builder) matrix(name string, rows, cols int) *tape.Param {
	return b.read(name, true, rows, cols)
}

// read returns a parameter with the values of src.
func (b *builder) read(name string, matrix bool, shape ...int) *tape.Param {
	name = b.prefix + name
	if b.err != nil {
		return &tape.Param{Name: name}
	}
	if b.fourBit[name] && (b.trains == nil || !b.trains(name)) {
		p := &tape.Param{Name: name, Value: b.dev.Alloc(shape, compute.NF4)}
		b.params = append(b.params, p)
		return p
	}
	values, ok, err := b.src(name, shape)
	if err != nil {
		b.err = err
		return &tape.Param{Name: name}
	}
	// Only parameters of the head may be missing from src.
	var p *tape.Param
	if trained := b.trains != nil && b.trains(name) || b.head || !ok; matrix && !trained {
		p = tape.NewFrozen(b.dev, name, b.stored, shape[0], shape[1])
	} else {
		p = tape.NewParam(b.dev, name, trained, shape...)
	}
	if !ok {
		values = make([]float32, p.Value.Shape.Len())
		if len(shape) > 1 {
			// Hugging Face's initializer_range; biases start at 0.
			compute.Normal(values, b.seed, p.Name, 0.02)
		}
		if !b.head {
			b.drawn = append(b.drawn, p)
			p.Upload(b.dev, values)
			return p
		}
	}
	p.Upload(b.dev, values)
	b.params = append(b.params, p)
	return p
}

func (b *builder) linear(name string, out, in int) Linear {
	return Linear{b.matrix(name+".weight", out, in), b.param(name+".bias", out)}
}

func (b *builder) norm(name string, width int) norm {
	return norm{b.param(name+".weight", width), b.param(name+".bias", width)}
}
