package adapter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tape"
)

// The formats of an export.
const (
	FormatPEFT      = "peft"       // the adapter as PEFT writes adapters of the method
	FormatMerged    = "merged"     // a model directory with the adapter in its weights
	FormatMergedNF4 = "merged-nf4" // the same, with the weights of linear layers in four bits as bitsandbytes stores them
	FormatLoRA      = "lora"       // a LoRA adapter of PEFT that does the same
	FormatONNX      = "onnx"       // an encoder with its head and adapter as an ONNX model
	FormatGGUF      = "gguf"       // a decoder with the adapter in its weights, for llama.cpp
	FormatGGUFLoRA  = "gguf-lora"  // a LoRA adapter that does the same, for llama.cpp
)

// Formats lists the formats of an export.
var Formats = []string{FormatPEFT, FormatMerged, FormatMergedNF4, FormatLoRA, FormatONNX, FormatGGUF, FormatGGUFLoRA}

// IsMerged reports whether a format is a whole model that has the precision of the base model's weights, or another.
func IsMerged(format string) bool {
	return format == FormatMerged || format == FormatMergedNF4 || format == FormatGGUF
}

// InOneFile reports whether a format is a file of another program beside a model card, and not a directory that lor2c
// reads.
func InOneFile(format string) bool {
	return format == FormatONNX || isGGUF(format)
}

func isGGUF(format string) bool { return format == FormatGGUF || format == FormatGGUFLoRA }

// CheckExport returns an error if an adapter cannot be exported in a format, as far as its description shows that.
func CheckExport(d Description, format string) error {
	method := d.Method.name
	m := methods[method]
	refuse := func(why string) error {
		return place.Mistake(fmt.Errorf("adapter: export %s as %s: %s", method, format, why))
	}
	unfolded := m.unfolded
	if key, want, ok := strings.Cut(m.foldedWith, ": "); ok && fmt.Sprint(d.Method.Value(key)) != want {
		unfolded = fmt.Sprintf("an adapter with method.%s %v cannot be merged into base weights, unlike one with %s", key,
			d.Method.Value(key), want)
	}
	decoder := slices.Contains(model.DecoderTypes(), d.Base.Type)
	switch {
	case format == FormatONNX && decoder:
		return refuse("ONNX models are written for encoders, and the base is a " + d.Base.Type + " decoder; want " +
			FormatMerged)
	case format == FormatONNX && m.graph:
		return nil
	case isGGUF(format) && !decoder:
		return refuse("GGUF files are written for decoders, and the base is a " + d.Base.Type + " encoder; want " +
			FormatONNX)
	case isGGUF(format) && unfolded != "":
		return refuse(unfolded + ", and llama.cpp has only changes of weights; want lor2c serve, which computes with the " +
			"adapter itself, or an adapter of LoRA")
	case format == FormatPEFT && m.library != FormatPEFT && unfolded == "":
		return refuse("PEFT does not read such adapters; want " + FormatMerged + ", or " + FormatLoRA +
			" if the method adds low-rank products")
	case format == FormatPEFT && m.library != FormatPEFT:
		return refuse("PEFT does not read such adapters, and " + unfolded +
			"; want the adapter directory itself, which lor2c eval reads")
	case format == FormatPEFT && m.peftDecoders && !decoder:
		return refuse("PEFT has this method for decoders alone and cannot load it on a " + d.Base.Type +
			" encoder; want the adapter directory itself, which lor2c eval reads")
	case format != FormatPEFT && unfolded != "":
		return refuse(unfolded)
	}
	return nil
}

// Form is what an adapter becomes in an export: another method with other settings on the same base model.
type Form struct {
	Config
	Structure json.RawMessage // see Settings
	format    string
	from      Method
	updates   []Update
}

// NewForm returns the form of m, which has the values of saved, in a format that CheckExport allows. It waits for the
// device.
func NewForm(dev compute.Device, saved *Saved, m Method, format string) (f Form, err error) {
	f = Form{format: format, from: m}
	switch format {
	case FormatPEFT:
		f.Config, f.Structure = saved.Method, saved.Structure
	case FormatMerged, FormatMergedNF4, FormatONNX, FormatGGUF:
		f.Config = NewConfig("full")
	case FormatLoRA, FormatGGUFLoRA:
		f.Config, f.updates, err = AsLoRA(dev, m.(Folder))
	}
	if err != nil {
		return f, place.Mistake(fmt.Errorf("adapter: export %s as %s: %w", saved.Method.name, format, err))
	}
	return f, nil
}

// Fill gives a method that Attach has made of f on the network n, whose parameters have the values of the base model's
// files, and the head of n the values of the exported adapter with its head. All values are rounded to what d can have.
func (f Form) Fill(dev compute.Device, m Method, n model.Network, head []*tape.Param, d checkpoint.DType) error {
	var err error
	switch f.format {
	case FormatMerged, FormatMergedNF4, FormatONNX, FormatGGUF:
		err = Merge(dev, f.folder(), n)
	case FormatLoRA, FormatGGUFLoRA:
		err = Fill(dev, m, f.updates)
	default:
		copyValues(dev, m.Params(), f.from.Params())
		copyValues(dev, m.Buffers(), f.from.Buffers())
		err = m.Restored()
	}
	if err != nil {
		return err
	}
	copyValues(dev, n.Head(), head)
	for _, p := range append(m.Params(), n.Head()...) {
		v := p.Values(dev)
		as := d
		if f.format == FormatGGUF && len(p.Value.Shape) == 1 { // a GGUF file has vectors in float32
			as = checkpoint.F32
		}
		if i := checkpoint.Round(v, as); i >= 0 {
			return fmt.Errorf("adapter: export: value %d of %s is out of the range of %s", i, p.Name, strings.ToLower(string(d)))
		}
		p.Upload(dev, v)
	}
	return dev.Err()
}

// folder returns what Fill merges into weights: of LoR2C in an ONNX model the LoRA that was injected.
func (f Form) folder() Folder {
	if m, ok := f.from.(*LoR2C); ok {
		return m.injected
	}
	return f.from.(Folder)
}

// Beside returns what computes on the network that Fill has filled what the exported method computes, if Attach has
// made m of f: m, or in an ONNX model the paths of LoR2C around layers.
func (f Form) Beside(m Method) Method {
	if whole, ok := f.from.(*LoR2C); ok && f.format == FormatONNX {
		return whole.withoutInjected()
	}
	return m
}

// copyValues gives each parameter of to the values of the one at its place in from.
func copyValues(dev compute.Device, to, from []*tape.Param) {
	for i, p := range to {
		p.Upload(dev, from[i].Values(dev))
	}
}
