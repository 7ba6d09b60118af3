// Package adapter contains the fine-tuning methods, one file each. A method is
// a set of trainable parameters and a model.Hook that uses them.
package adapter

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/tape"
)

// Method is one fine-tuning method attached to one model. A method embeds Plain
// and overrides what it needs. Methods may share the types of fields, such as
// pairs, but must not embed one another, because an embedded method would
// return its own Params and Hook.
type Method interface {
	// Params returns the trainable parameters besides the head, each once and in a
	// stable order. Their names are those in the adapter's file.
	Params() []*tape.Param
	// Buffers returns the parameters that are saved and restored with Params but
	// that no optimizer updates.
	Buffers() []*tape.Param
	// State returns further parameters that a checkpoint needs to continue
	// training and that an adapter does not need. Their values are Exact.
	State() []*tape.Param
	// Restored is called after Params and Buffers have received the values of a
	// file. It may wait only for what it reads from the device.
	Restored() error
	// Hook returns the method's part in one forward pass. Variables of a pass
	// belong to the returned Hook, not to the method.
	Hook(At) model.Hook
	// Begin prepares the method for one forward pass, before the inputs of the
	// pass are uploaded. It makes the random draws of the pass and writes the
	// tensors that the pass reads. It must not wait for the device.
	Begin(At)
	// Backward is called once in an optimizer step, after all gradients have been
	// queued and before their norm. It may change the gradients. It must not wait
	// for the device.
	Backward(At)
	// Updated is called once in an optimizer step, after the update of the parameters has been queued. It must not
	// wait for the device.
	Updated(At)
	Changing
}

// At is a point of a run. What a method does may depend on it.
type At struct {
	Step, Steps int     // the optimizer step, from 1, and the number of steps of the run; both are 0 outside a run
	Epoch       float64 // passes over the training data; only for Due and Change
	Pass        int     // index of the micro-batch within the step, from 0
	Train       bool    // false in an evaluation
	View        int     // of a Viewer, in an evaluation; 0 is the method as it is
	Seed        uint64  // of the run
	// Loss [1] is the loss of the step, and State [compute.StateLen] is the state
	// of the optimizer. Both are absent in an evaluation.
	Loss, State compute.Tensor
}

// Viewer is a Method that can be evaluated in several forms.
type Viewer interface {
	// Views names the forms. At.View is the number of one of them, counted from 1.
	Views() []string
}

// Plain implements the optional parts of a Method by doing nothing.
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

// Settings has everything that Attach needs to build a method.
type Settings struct {
	Config // valid and resolved
	// Schedule and Run control methods that change during a run. The zero Run
	// means that the model is not part of a run.
	Schedule schedule.Config
	Run      schedule.Run
	Seed     uint64 // seed of the initial values
	// Structure and Progress are what the method returned when it was saved. They
	// are nil for a new method.
	Structure, Progress json.RawMessage
	// From is the path of the file that has Structure, for errors; "" without one.
	From string
}

// Like returns s with the structure of a saved adapter.
func (s Settings) Like(saved *Saved) Settings {
	s.Structure, s.From = saved.Structure, saved.described
	return s
}

// spec describes a method to the rest of the program.
type spec struct {
	// new creates the method.
	new func(builder) (Method, error)
	// about describes the method in one line. Help, documents and model cards
	// contain it.
	about string
	// section returns a new section of the method's settings with their defaults; nil if the method has no settings.
	section func() section
	// learningRate is the method's where a run file has none. docs/defaults.md measures the rates.
	learningRate float64
	// trains reports whether the method trains a parameter of the base model. It
	// is nil if the method trains none.
	trains func(name string) bool
	// peftType is the peft_type of adapter_config.json. describe sets the other
	// keys of that file that depend on the method. A method without a peftType is
	// saved as a whole model.
	peftType string
	describe func(d Description, m Method, c *peftConfig)
	// checkStructure and checkProgress check what the method returned when it was
	// saved. They are nil if it returns nothing.
	checkStructure func(structure json.RawMessage, layers int) error
	checkProgress  func(progress json.RawMessage, limits schedule.Config, step int) []string
	// fromPEFT says how adapters that PEFT wrote are read as this method; nil if PEFT does not have the method.
	fromPEFT *peftForm
	// join makes the tensors of the file of those of the parameters, and split presents the file of an adapter for a
	// model with a number of layers as one that has the parameters; nil if the parameters are the tensors of the file.
	join  func([]checkpoint.Tensor) []checkpoint.Tensor
	split func(file tensorFile, layers int) tensorFile
	// frozen reports whether a tensor of the adapter's file is not trained; nil if all of them are.
	frozen func(name string) bool
	// givenUp returns how many scalars of a tensor of the adapter's file the structure has given up, which are zero for
	// good or without effect; nil if it gives up none.
	givenUp func(structure json.RawMessage, tensor string, shape []int) int
	// library and load are for the model card: the library that loads the adapter,
	// and a sentence that says how.
	library, load string
	// python means that the Python package lor2c_peft loads the adapters.
	python bool
	// unfolded is why no weights of the base model can do what the method does, as a clause; empty if the method is a
	// Folder.
	unfolded string
	// foldedWith is the setting with which the method can be folded, as in a run file; empty if it is with every setting.
	foldedWith string
	// graph says that an ONNX model has what no weight can do as a part of its graph.
	graph bool
	// peftDecoders says that PEFT has the method for decoders alone.
	peftDecoders bool
	// except has the clauses of the contract of methods that do not hold for this
	// method.
	except exception
}

// exception is a set of clauses of the contract of methods, which a test checks for all others.
type exception uint8

const (
	// roundsStart methods change the output of the model as they are attached, but by rounding alone.
	roundsStart exception = 1 << iota
	// movesStart methods change the output of the model as they are attached.
	movesStart
	// A method with rewritesBase changes weights of the base model when it is
	// attached.
	rewritesBase
	// A method with perMicroBatch draws something, or adds to the loss something that is not a sum over examples, for
	// each micro-batch, so that gradients depend on how a batch is divided.
	perMicroBatch
)

// methods has all methods. A new method needs a line here and a file.
var methods map[string]spec

// The map is filled here because the constructors use functions that read it.
func init() {
	methods = map[string]spec{
		"adalora":   adaLoRASpec,
		"adamix":    adaMixSpec,
		"adapter":   bottleneckSpec,
		"aslora":    asLoRASpec,
		"bitfit":    bitfitSpec,
		"dora":      doraSpec,
		"dylora":    dyLoRASpec,
		"full":      fullSpec,
		"head":      headSpec,
		"hydralora": hydraLoRASpec,
		"ia3":       ia3Spec,
		"lor2c":     lor2cSpec,
		"lora":      loraSpec,
		"loramoe":   loRAMoESpec,
		"melora":    meLoRASpec,
		"olora":     oloraSpec,
		"pissa":     pissaSpec,
		"prefix":    prefixSpec,
		"reslora":   resLoRASpec,
		"sharelora": shareLoRASpec,
		"vera":      veraSpec,
	}
}

// Names returns the names of the methods in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(methods)) }

// About returns the description of a method in one line.
func About(name string) string { return methods[name].about }

// WhyNotFolded returns why a method cannot be merged into the weights of the base model, as a clause, or "" if it can.
func WhyNotFolded(name string) string { return methods[name].unfolded }

// InGraph reports whether an ONNX model can have what no weight can do of a method.
func InGraph(name string) bool { return methods[name].graph }

// FoldedWith returns the setting, as in a run file, without which a method cannot be merged into the weights of the
// base model, or "" if no setting prevents it.
func FoldedWith(name string) string { return methods[name].foldedWith }

// Attach creates a method for m. If s has a Structure, the caller must still
// restore the values of the parameters. Otherwise attaching does not change the
// output of the model, because every B starts at zero. Linear layers that are adapted by default are those of the
// network; see [Config.On].
func Attach(dev compute.Device, m model.Network, s Settings) (Method, error) {
	s.Config = s.On(siteNames(m))
	method, err := methods[s.name].new(builder{dev, m, s})
	if err != nil && s.From != "" {
		return nil, fmt.Errorf("adapter: open %s: %w", s.From, err)
	}
	return method, err
}

// Count returns the number of scalars in params.
func Count(params []*tape.Param) (n int) {
	for _, p := range params {
		n += p.Value.Shape.Len()
	}
	return n
}

// filePrefix is PEFT's prefix of the path of every module.
const filePrefix = peftRoot + "model."

// peftRoot begins the names of all tensors of PEFT, also of those that belong to no module.
const peftRoot = "base_model."

// builder has the arguments of a constructor.
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

// lowRankA returns an A [r,in] for a low-rank map that belongs to a layer,
// drawn from U(-1/sqrt(in), 1/sqrt(in)), which is PyTorch's kaiming_uniform
// with a = sqrt 5. A has no gradient in its first step, because B is zero then.
func (b builder) lowRankA(module string, layer, r, in int) *tape.Param {
	p := b.param(module+".lora_A.weight", r, in)
	p.Factor, p.Layer, p.Idle = "A", layer, tape.IdleAtStart
	b.uniform(p, 1/math.Sqrt(float64(in)))
	return p
}

// lowRankB returns a B [out,r] of zeros for a low-rank map that belongs to a
// layer.
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

// down returns A dropout(x), with dropout mask number `mask` of the layer.
func (w pair) down(p *model.Pass, layer, mask int, x *tape.Var) *tape.Var {
	return p.LowRankDown(x, w.A, p.MethodMask(layer, mask, w.drop, x))
}

// up adds scale B u to y in place. u is the result of down.
func (w pair) up(p *model.Pass, u, y *tape.Var) {
	p.LowRankUp(y, u, w.B, w.scale)
	p.Release(u)
}

// pair returns a low-rank map with the given settings that belongs to a layer.
func (b builder) pair(c Factors, module string, layer, in, out int) pair {
	return pair{b.lowRankA(module, layer, c.Rank, in), b.lowRankB(module, layer, out, c.Rank), c.Scale(),
		float32(c.Dropout)}
}
