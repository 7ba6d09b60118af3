// Package adapter holds the fine-tuning methods, one file each. A method is a
// set of trainable parameters and a model.Hook that uses them.
package adapter

import (
	"encoding/json"
	"maps"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/tape"
)

// Method is one fine-tuning method attached to one model. Embed Plain and override what the method needs. Methods
// share fields, such as pairs, and never embed one another: an embedded method would hand down its Params and its Hook.
type Method interface {
	// Params lists the trainable parameters besides the head, each once and in a stable order. Their names are those
	// in the adapter's file.
	Params() []*tape.Param
	// Buffers lists the parameters that are saved and restored beside Params and that no optimizer updates.
	Buffers() []*tape.Param
	// State lists what a checkpoint holds besides, so that training can go on, and an adapter does not. The values are
	// Exact.
	State() []*tape.Param
	// Restored is called after Params and Buffers have received the values of a file. It waits for nothing but what it
	// reads.
	Restored() error
	// Hook returns the method's part in one forward pass. State of a pass belongs in the result, not in the method.
	Hook(At) model.Hook
	// Begin prepares the method for one forward pass, before the pass is uploaded: it draws what the pass draws and
	// writes the tensors that the pass reads. It must not wait for the device.
	Begin(At)
	// Backward is called once in an optimizer step, when all gradients have been queued and their norm has not. It
	// may change the gradients. It must not wait for the device.
	Backward(At)
	// Updated is called once in an optimizer step, after the update of the parameters has been queued. It must not
	// wait for the device.
	Updated(At)
	Changing
}

// At is the position of a run that a method may depend on.
type At struct {
	Step, Steps int     // the optimizer step, from 1, and how many the run has; both 0 outside a run
	Epoch       float64 // passes over the training data; only for Due and Change
	Pass        int     // the micro-batch within the step, from 0
	Train       bool    // false in an evaluation
	View        int     // of a Viewer, in an evaluation; 0 is the method as it is
	Seed        uint64  // of the run
	// Loss [1] is the loss of the step, and State [compute.StateLen] what the optimizer says of it. Both are absent
	// in an evaluation.
	Loss, State compute.Tensor
}

// Viewer is a Method that can be evaluated in several forms.
type Viewer interface {
	// Views names the forms. At.View is the number of one of them, counted from 1.
	Views() []string
}

// Plain is the part of a Method that has no buffers and does nothing.
type Plain struct{}

// Buffers returns nil.
func (Plain) Buffers() []*tape.Param { return nil }

// State returns nil.
func (Plain) State() []*tape.Param { return nil }

// Restored does nothing.
func (Plain) Restored() error { return nil }

// Begin does nothing.
func (Plain) Begin(At) {}

// Backward does nothing.
func (Plain) Backward(At) {}

// Updated does nothing.
func (Plain) Updated(At) {}

// Settings is what a method is attached with.
type Settings struct {
	Config // valid and resolved
	// Schedule and Run steer methods that change while a run goes on. The zero Run stands for a model outside a run.
	Schedule schedule.Config
	Run      schedule.Run
	Seed     uint64 // draws initial values
	// Structure and Progress are what the method returned when it was saved; nil for a method as it begins.
	Structure, Progress json.RawMessage
}

// spec describes a method to the rest of the program.
type spec struct {
	// new builds the method.
	new func(builder) (Method, error)
	// about describes the method in one line, for help, documents and model cards.
	about string
	// section returns a new section of the method's settings with their defaults; nil if the method has no settings.
	section func() section
	// learningRate is the method's where a run file has none. docs/defaults.md measures the rates.
	learningRate float64
	// trains reports whether the method trains a parameter of the base model; nil if it trains none.
	trains func(name string) bool
	// peftType is the peft_type of adapter_config.json, and describe fills in what else that file says of a method. A
	// method without a peftType is saved as a whole model.
	peftType string
	describe func(d Description, m Method, c *peftConfig)
	// checkStructure and checkProgress check what the method returned when it was saved; nil if it returns nothing.
	checkStructure func(structure json.RawMessage, layers int) error
	checkProgress  func(progress json.RawMessage, limits schedule.Config, step int) []string
	// library and load say in the model card what loads the adapter, and how.
	library, load string
	// unfolded is why no weights of the base model can do what the method does, as a clause; empty if the method is a
	// Folder.
	unfolded string
	// except names the clauses of the contract of methods that this one does not keep by its nature.
	except exception
}

// exception is a set of clauses of the contract of methods, which a test checks for all others.
type exception uint8

const (
	// roundsStart methods change the output of the model as they are attached, but by rounding alone.
	roundsStart exception = 1 << iota
	// rewritesBase methods change weights of the base model as they are attached.
	rewritesBase
)

// methods is the whole list: adding a method is a line here and a file.
var methods map[string]spec

// The constructors use functions that look methods up.
func init() {
	methods = map[string]spec{
		"bitfit":    bitfitSpec,
		"dora":      doraSpec,
		"dylora":    dyLoRASpec,
		"full":      fullSpec,
		"head":      headSpec,
		"ia3":       ia3Spec,
		"lor2c":     lor2cSpec,
		"lora":      loraSpec,
		"olora":     oloraSpec,
		"pissa":     pissaSpec,
		"sharelora": shareLoRASpec,
		"vera":      veraSpec,
	}
}

// Names lists the methods in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(methods)) }

// About describes a method in one line.
func About(name string) string { return methods[name].about }

// WhyNotFolded returns why a method cannot be merged into the weights of the base model, as a clause, or "" if it can.
func WhyNotFolded(name string) string { return methods[name].unfolded }

// Attach builds a method for m. Where s has a Structure, the values of the parameters are still to be restored; otherwise
// attaching does not change the output of the model, because every B starts at zero.
func Attach(dev compute.Device, m model.Network, s Settings) (Method, error) {
	return methods[s.name].new(builder{dev, m, s})
}

// Count returns the number of scalars in params.
func Count(params []*tape.Param) (n int) {
	for _, p := range params {
		n += p.Value.Shape.Len()
	}
	return n
}

// filePrefix is what PEFT puts before the path of every module.
const filePrefix = "base_model.model."

// builder is what a constructor needs.
type builder struct {
	dev compute.Device
	model.Network
	Settings
}

// settingsOf returns the settings of the method that b builds. T is the type of its section.
func settingsOf[T section](b builder) T { return b.own.(T) }

func (b builder) param(name string, shape ...int) *tape.Param {
	return tape.NewParam(b.dev, name, true, shape...)
}

// frozen returns a parameter that no optimizer updates.
func (b builder) frozen(name string, shape ...int) *tape.Param {
	return tape.NewParam(b.dev, name, false, shape...)
}

// values waits for the device and returns the exact values of a parameter.
func (b builder) values(p *tape.Param) []float32 {
	v := make([]float32, p.Value.Shape.Len())
	b.dev.Download(v, p.Exact())
	return v
}

// lowRankA makes an A [r,in] of a map that belongs to a layer, drawn from U(-1/sqrt(in), 1/sqrt(in)), which is PyTorch's
// kaiming_uniform with a = sqrt 5. It has no gradient in its first step, because its B is zero then.
func (b builder) lowRankA(module string, layer, r, in int) *tape.Param {
	p := b.param(module+".lora_A.weight", r, in)
	p.Factor, p.Layer, p.Idle = "A", layer, tape.IdleAtStart
	values := make([]float32, r*in)
	compute.Uniform(values, b.Seed, p.Name, 1/math.Sqrt(float64(in)))
	p.Upload(b.dev, values)
	return p
}

// lowRankB returns a B [out,r] of zeros for a map that belongs to a layer.
func (b builder) lowRankB(module string, layer, out, r int) *tape.Param {
	p := b.param(module+".lora_B.weight", out, r)
	p.Factor, p.Layer = "B", layer
	return p
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

// pair returns a low-rank map with the given settings that belongs to a layer.
func (b builder) pair(c Factors, module string, layer, in, out int) pair {
	return pair{b.lowRankA(module, layer, c.Rank, in), b.lowRankB(module, layer, out, c.Rank), c.Scale(), float32(c.Dropout)}
}
