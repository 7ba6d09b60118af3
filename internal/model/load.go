package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// Source returns the initial values of a parameter, by its name in a checkpoint
// of the whole network. It returns false for a parameter of the head that it
// does not have. New then draws it at random.
type Source func(name string, shape compute.Shape) (values []float32, ok bool, err error)

// New allocates the network of c with the given number of outputs and copies
// the values of src into it. If src does not have the head, it is drawn from
// seed. Trained parameters keep exact values; these are the parameters of the
// head, and those of the encoder for whose names trains, if it is not nil,
// returns true. Weights that c.FourBit lists
// and that are not trained are allocated in four bits, and are left to the
// caller.
func New(
	dev compute.Device, c Config, outputs int, seed uint64, trains func(name string) bool, src Source,
) (*Encoder, error) {
	b := builder{dev: dev, src: src, seed: seed, trains: trains, fourBit: c.FourBit}
	m := &Encoder{Config: c, Prefix: c.Type, act: activations[c.Activation]}
	b.prefix = m.Prefix + "."
	e := "embeddings."
	m.word = b.param(e+"word_embeddings.weight", c.Vocab, c.Width)
	m.position = b.param(e+"position_embeddings.weight", c.Positions, c.Width)
	m.types = b.param(e+"token_type_embeddings.weight", c.Types, c.Width)
	m.norm = b.norm(e+"LayerNorm", c.Width)
	for l := 0; l < c.Layers && b.err == nil; l++ {
		var k block
		for i, name := range SiteNames {
			in, out := c.Width, c.Width
			switch name {
			case Intermediate:
				out = c.FF
			case Output:
				in = c.FF
			}
			s := Site{Layer: l, Index: i, Name: name, Path: m.LayerPath(l) + "." + name}
			m.sites = append(m.sites, s)
			k.linear = append(k.linear, b.linear(strings.TrimPrefix(s.Path, b.prefix), out, in))
		}
		p := fmt.Sprintf("encoder.layer.%d.", l)
		k.norm1, k.norm2 = b.norm(p+"attention.output.LayerNorm", c.Width), b.norm(p+"output.LayerNorm", c.Width)
		m.blocks = append(m.blocks, k)
	}
	if c.Type == "bert" {
		// A checkpoint without a pooler, as sentence encoders have, gets a new one.
		// Because it starts at random, it belongs to the head, which is trained.
		m.pooler = b.linear("pooler.dense", c.Width, c.Width)
	}
	m.base = b.params
	b.params, b.prefix, b.head = b.drawn, "", true
	if c.Type == "roberta" {
		m.dense = b.linear("classifier.dense", c.Width, c.Width)
	}
	m.out = b.linear(outName(c), outputs, c.Width)
	m.head = b.params
	return m, b.err
}

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

// Load reads a Hugging Face model directory. It returns an error if a value that the
// model uses is not finite, or if the sizes in config.json are not those of the
// weights. head describes the classification head; values that are not read from the
// directory are drawn from seed. trains is as for New.
func Load(dev compute.Device, dir string, head Head, seed uint64, trains func(name string) bool) (*Encoder, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	w, err := bitsandbytes.Open(dir)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := checkWeights(w, dir, &c); err != nil {
		return nil, err
	}
	origin := headOrigin(w, c, head)
	buf := make([]float32, max(c.Vocab, c.Positions, c.Types, c.FF, c.Width, head.Outputs)*c.Width)
	m, err := New(dev, c, head.Outputs, seed, trains, func(name string, shape compute.Shape) ([]float32, bool, error) {
		stored, found := storedName(w, c, name)
		// The only parameter that checkWeights allows to be missing is the pooler.
		if !found || isHead(c, name) && origin != HeadTaken {
			return nil, false, nil
		}
		defer w.Drop(stored)
		dst := buf[:shape.Len()]
		if err := w.ReadFinite(dst, stored); err != nil {
			return nil, false, err
		}
		if strings.HasPrefix(name, outName(c)+".") {
			dst = permuted(dst, head.Rows)
		}
		return dst, true, nil
	})
	if err != nil {
		return nil, err
	}
	m.HeadOrigin = origin
	return m, uploadFourBit(dev, m, func(name string) (string, bool) { return storedName(w, c, name) }, w)
}

// headOrigin decides whether the head in w can be used.
func headOrigin(w *bitsandbytes.Model, c Config, head Head) HeadOrigin {
	stored := map[string][]int{}
	for _, name := range w.Names() {
		if strings.HasPrefix(name, "classifier.") {
			_, stored[name], _ = w.Info(name)
		}
	}
	want := map[string][]int{outName(c) + ".weight": {head.Outputs, c.Width}, outName(c) + ".bias": {head.Outputs}}
	if c.Type == "roberta" {
		want["classifier.dense.weight"], want["classifier.dense.bias"] = []int{c.Width, c.Width}, []int{c.Width}
	}
	switch {
	case len(stored) == 0:
		return HeadMissing
	case head.Rows == nil || !maps.EqualFunc(stored, want, slices.Equal):
		return HeadUnrelated
	}
	return HeadTaken
}

// outName returns the name of the layer that computes the logits.
func outName(c Config) string {
	if c.Type == "bert" {
		return "classifier"
	}
	return "classifier.out_proj"
}

// storedName returns the name under which the weights have a parameter.
// Published checkpoints have names with or without the encoder's prefix, and
// the first BERT releases have gamma and beta for the weight and bias of a
// LayerNorm.
func storedName(w *bitsandbytes.Model, c Config, name string) (string, bool) {
	old := name
	if base, ok := strings.CutSuffix(name, "LayerNorm.weight"); ok {
		old = base + "LayerNorm.gamma"
	} else if base, ok := strings.CutSuffix(name, "LayerNorm.bias"); ok {
		old = base + "LayerNorm.beta"
	}
	for _, n := range []string{name, old} {
		for _, stored := range []string{n, strings.TrimPrefix(n, c.Type+".")} {
			if _, _, ok := w.Info(stored); ok {
				return stored, true
			}
		}
	}
	return "", false
}
