// Package adapter holds the fine-tuning methods, one file each. A method is a
// set of trainable parameters and a model.Hook that uses them.
package adapter

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// Method is one fine-tuning method attached to one model.
type Method interface {
	// Params lists the trainable parameters besides the head, in a stable
	// order. Their names are those of the adapter's file.
	Params() []*tape.Param
	// Hook returns the method's part in one forward pass. State of a pass
	// belongs in the result, not in the method.
	Hook() model.Hook
}

// methods is the whole list: adding one is a line here and a file.
var methods = map[string]func(builder, *Structure) (Method, error){
	"lor2c": newLoR2C,
	"lora":  newLoRA,
	"full":  newFull,
	"head":  newHead,
}

// Names lists the methods in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(methods)) }

// Attach builds the method of a valid, resolved c for m. The output of the
// model does not change by it, because every B starts at zero. seed draws A.
func Attach(dev compute.Device, m *model.Model, c Config, seed uint64) (Method, error) {
	return AttachAs(dev, m, c, nil, seed)
}

// AttachAs builds a LoR2C method as merging and injection left it; nil means as
// it begins, and is what other methods want. The values of the parameters are
// still to be restored.
func AttachAs(dev compute.Device, m *model.Model, c Config, s *Structure, seed uint64) (Method, error) {
	return methods[c.Name](builder{dev, m, c, seed}, s)
}

// Count returns the number of scalars in params.
func Count(params []*tape.Param) (n int) {
	for _, p := range params {
		n += p.Value.Shape.Len()
	}
	return n
}

// factorName finds layer and factor in the name of a low-rank parameter.
var factorName = regexp.MustCompile(`\.layer\.(\d+)\..*\.lora_([AB])\.weight$`)

// Factor returns the layer of a low-rank parameter, a merged module's first, and
// whether it is an A or a B; false for an A that layers share and for others.
func Factor(p *tape.Param) (layer int, factor string, ok bool) {
	found := factorName.FindStringSubmatch(p.Name)
	if found == nil {
		return 0, "", false
	}
	layer, err := strconv.Atoi(found[1])
	return layer, found[2], err == nil
}

// filePrefix is what PEFT puts before the path of every module.
const filePrefix = "base_model.model."

// builder is what a constructor needs.
type builder struct {
	dev compute.Device
	*model.Model
	Config
	seed uint64
}

// path returns the name of a module below the encoder, as in the file.
func (b builder) path(module string) string { return filePrefix + b.Prefix + "." + module }

func (b builder) param(name string, shape ...int) *tape.Param {
	return tape.NewParam(b.dev, name, true, shape...)
}

// loraA makes an A [r,in] drawn from U(-1/sqrt(in), 1/sqrt(in)), which is
// PyTorch's kaiming_uniform with a = sqrt 5.
func (b builder) loraA(module string, r, in int) *tape.Param {
	p := b.param(module+".lora_A.weight", r, in)
	values := make([]float32, r*in)
	compute.Uniform(values, b.seed, p.Name, 1/math.Sqrt(float64(in)))
	p.Upload(b.dev, values)
	return p
}

// loraB makes a B [out,r] of zeros.
func (b builder) loraB(module string, out, r int) *tape.Param {
	return b.param(module+".lora_B.weight", out, r)
}

// pair is a low-rank map x -> scale B A dropout(x).
type pair struct {
	A, B  *tape.Param
	scale float32
	drop  float32
}

// down returns A dropout(x) with dropout mask number mask of the layer.
func (w pair) down(p *model.Pass, layer, mask int, x *tape.Var) *tape.Var {
	return p.LowRankDown(x, w.A, p.MethodMask(layer, mask, w.drop, x))
}

// up adds scale B u to y in place, u from down.
func (w pair) up(p *model.Pass, u, y *tape.Var) {
	p.LowRankUp(y, u, w.B, w.scale)
	p.Release(u)
}

func (b builder) pair(module string, in, out int) pair {
	return pair{b.loraA(module, b.Rank, in), b.loraB(module, out, b.Rank), b.Scale(), float32(*b.Dropout)}
}

// noSite reports a target that names no linear layer of an encoder block.
func noSite(op, target string) error {
	return fmt.Errorf("adapter: %s lora: target module %q is no linear layer of this encoder; want some of %v", op, target, model.SiteNames)
}
