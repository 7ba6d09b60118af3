package adapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/nf4"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
	"github.com/lor2c/lor2c/internal/tape"
)

// These are the files of an adapter directory.
const (
	peftFile        = "adapter_config.json"       // in PEFT's format
	tensorsFile     = "adapter_model.safetensors" // in PEFT's format
	descriptionFile = "lor2c.json"                // what PEFT's config has no keys for
	pickleFile      = "adapter_model.bin"         // written by older releases of PEFT
	modelFile       = "model.safetensors"         // full fine-tuning: the weights of a whole model directory
	format          = 1
)

// Description describes an adapter directory. It is sufficient to recreate the
// method, to detect another base model, and to name the predictions.
type Description struct {
	Format int    `json:"format"`
	Method Config `json:"method"`
	Base   Base   `json:"base"`
	Task   Task   `json:"task"`
	// MaxLength is the length in tokens to which texts were truncated, including
	// special tokens.
	MaxLength int `json:"max_length"`
	// DType is the type of the tensors that Save writes, F32 if it is empty, and Merged the method that was merged into
	// them, if one was.
	DType  checkpoint.DType `json:"-"`
	Merged string           `json:"-"`
	// Packed has the matrices that Save writes in four bits instead, by the names of their parameters.
	Packed map[string]nf4.Matrix `json:"-"`
	// Tokenizer has the content of the files that a reader of the adapter needs to
	// make tokens, by name. Save writes them.
	Tokenizer map[string][]byte `json:"-"`
	// Structure is what Structure of the method returned when it was saved.
	Structure json.RawMessage `json:"structure,omitempty"`
}

// Base identifies the base model of an adapter.
type Base struct {
	Path   string `json:"path"`   // as the user gave it: a directory, or a model of the Hugging Face hub
	Dir    string `json:"-"`      // the directory of its files, if it is not Path
	SHA256 string `json:"sha256"` // of its weights, see Fingerprint
	Type   string `json:"model_type"`
	Width  int    `json:"hidden_size"`
	Layers int    `json:"num_hidden_layers"`
}

// MultiLabel is the Kind of a task in which an example has any number of labels.
const MultiLabel = "multilabel"

// Tokens is the Kind of a task in which each word of a sentence has a label, and tokenTask is PEFT's name for it.
const (
	Tokens    = "tokens"
	tokenTask = "TOKEN_CLS"
)

// Task is what the head predicts. Labels are in the order of its outputs; nil
// means regression.
type Task struct {
	Name   string   `json:"name"`
	Labels []string `json:"labels"`
	// Kind is MultiLabel, Tokens, or empty: then Labels tells classification from regression.
	Kind string `json:"kind,omitempty"`
	// Threshold and Separator are those of data.threshold and data.separator for multilabel.
	Threshold float64 `json:"threshold,omitempty"`
	Separator string  `json:"separator,omitempty"`
	// Text has the names of the one or two text columns of the data. It is nil if an older lor2c wrote the directory.
	Text []string `json:"text,omitempty"`
	// Template is the form of the prompts that a decoder was trained with, of package instruct. It is empty for an
	// encoder, and if an older lor2c wrote the directory.
	Template string `json:"template,omitempty"`
}

// Fingerprint returns the SHA-256 of the weights of a model directory, as 64
// hexadecimal digits. It depends on names and values of the tensors, and not on how
// they are divided into files.
func Fingerprint(dir string) (string, error) {
	m, err := checkpoint.OpenModel(dir)
	if err != nil {
		return "", err
	}
	defer m.Close()
	return m.SHA256()
}

// olderFingerprint identifies weights as an older lor2c did: it is the SHA-256 of the
// concatenated files, in the order of their names.
func olderFingerprint(dir string) (string, error) {
	m, err := checkpoint.OpenModel(dir)
	if err != nil {
		return "", err
	}
	defer m.Close()
	return checkpoint.HashFiles(slices.Sorted(slices.Values(m.Files()))...)
}

// peftConfig is the adapter_config.json that lor2c writes. It has only keys
// that every PEFT since 0.4 reads, because old releases refuse unknown keys.
type peftConfig struct {
	BaseModel     string   `json:"base_model_name_or_path"`
	Bias          string   `json:"bias,omitempty"`
	FanInFanOut   *bool    `json:"fan_in_fan_out,omitempty"`
	Inference     bool     `json:"inference_mode"`
	Alpha         float64  `json:"lora_alpha,omitempty"`
	Dropout       *float64 `json:"lora_dropout,omitempty"`
	ModulesToSave []string `json:"modules_to_save"`
	Type          string   `json:"peft_type"`
	Rank          int      `json:"r,omitempty"`
	TargetModules []string `json:"target_modules,omitempty"`
	TaskType      string   `json:"task_type"`
	Share         bool     `json:"share,omitempty"`
	LoR2CAlpha    float64  `json:"lor2c_alpha,omitempty"`
	LoR2CModules  []span   `json:"lor2c_modules,omitempty"`
	LoR2CInjected []pairOf `json:"lor2c_injected,omitempty"`
	// More has the keys of a method that no other has.
	More map[string]any `json:"-"`
}

// MarshalJSON writes the keys that methods share in their order, then those of More by name.
func (c peftConfig) MarshalJSON() ([]byte, error) {
	type shared peftConfig
	text, err := json.Marshal(shared(c))
	if err != nil || len(c.More) == 0 {
		return text, err
	}
	more, err := json.Marshal(c.More)
	if err != nil {
		return nil, err
	}
	return slices.Concat(text[:len(text)-1], []byte(","), more[1:]), nil
}

// span is a LoR2C module from the input of layer start to the output of layer
// end.
type span struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// pairOf is the LoRA of an injected layer.
type pairOf struct {
	Layer         int      `json:"layer"`
	TargetModules []string `json:"target_modules"`
	Rank          int      `json:"r"`
	Alpha         float64  `json:"lora_alpha"`
	Dropout       float64  `json:"lora_dropout"`
}

// peft returns d as an adapter_config.json.
func (d Description) peft(m Method, head []*tape.Param) peftConfig {
	c := peftConfig{
		BaseModel: d.Base.Path, Inference: true, TaskType: "SEQ_CLS", Type: methods[d.Method.name].peftType,
		ModulesToSave: []string{"classifier"},
	}
	// A decoder has no head, and its adapter is loaded with the language model. PEFT finds linear layers by the names
	// that they have in the model.
	if len(head) == 0 {
		c.TaskType, c.ModulesToSave = "CAUSAL_LM", nil
		d.Method = d.Method.On(model.DecoderSiteNames)
	} else {
		d.Method = d.Method.On(model.EncoderSites(d.Base.Type))
	}
	if d.Task.Kind == Tokens {
		c.TaskType = tokenTask
	}
	for _, p := range head {
		switch {
		case isPooler(p):
			c.ModulesToSave = []string{"classifier", "pooler"}
		case strings.HasPrefix(p.Name, "pre_classifier."):
			c.ModulesToSave = []string{"classifier", "pre_classifier"}
		}
	}
	if methods[d.Method.name].library != "peft" {
		c.Dropout = new(float64) // in the format of lor2c
	}
	if describe := methods[d.Method.name].describe; describe != nil {
		describe(d, m, &c)
	}
	return c
}

// readDescription reads lor2c.json, or derives a description from the
// adapter_config.json of an adapter that PEFT wrote. It returns the path of that
// file and, for such an adapter, its scope.
func readDescription(dir string) (d Description, path string, scope *peftScope, err error) {
	path = filepath.Join(dir, descriptionFile)
	raw, err := infile.Read(path, infile.Config)
	if errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(dir, peftFile)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return d, path, nil,
				place.Mistake(fmt.Errorf("adapter: open %s: there is neither %s nor %s, only %s; want a directory that lor2c "+
					"train or PEFT wrote",
					dir, descriptionFile, peftFile, entries(dir)))
		}
		d, scope, err = readPEFT(dir)
		return d, path, scope, err
	}
	if err != nil {
		return d, path, nil, fmt.Errorf("adapter: open %s: %w", path, err)
	}
	if err := unmarshal(path, raw, &d, strictjson.UnmarshalKnown, "the file that lor2c train wrote"); err != nil {
		return d, path, nil, err
	}
	if d.Format != format {
		return d, path, nil, fmt.Errorf("adapter: open %s: format is %d; this lor2c reads %d", path, d.Format, format)
	}
	if faults := d.check(); faults != nil {
		return d, path, nil, inFile(path, faults, sameKeys)
	}
	d.Method.Resolve()
	if d.Structure != nil {
		var compact bytes.Buffer
		if err := json.Compact(&compact, d.Structure); err != nil {
			return d, path, nil, err
		}
		d.Structure = compact.Bytes()
	}
	return d, path, nil, nil
}

// check returns every fault of a description that does not depend on the model.
func (d Description) check() (faults []error) {
	fault := func(ok bool, format string, a ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, a...))
		}
	}
	faults = d.Method.Validate()
	fault(d.Base.Layers >= 0 &&
		d.Base.Layers <= maxLayers, "base.num_hidden_layers is %d; want 0 to %d", d.Base.Layers, maxLayers)
	fault(d.MaxLength >= 0, "max_length is %d; want at least 0", d.MaxLength)
	fault(d.Task.Kind == "" || d.Task.Kind == Tokens && d.Task.Labels != nil ||
		d.Task.Kind == MultiLabel && d.Task.Labels != nil && d.Task.Separator != "",
		"task.kind is %s; want none, %s with labels, or %s with labels and a separator", place.Quote(d.Task.Kind), Tokens,
		MultiLabel)
	fault((d.Task.Threshold > 0 || d.Task.Kind != MultiLabel) && d.Task.Threshold < 1,
		"task.threshold is %g; want more than 0 and less than 1", d.Task.Threshold)
	sorted := slices.Sorted(slices.Values(d.Task.Labels))
	for i := 1; i < len(sorted); i++ {
		fault(sorted[i-1] != sorted[i], "task.labels has %s twice; want every label once", place.Quote(sorted[i]))
	}
	if targets, ok := d.Method.Value("target_modules").([]string); ok && !everyLinear(targets) {
		if err := checkTargets(targets, anySite()); err != nil {
			fault(false, "method.target_modules: %w", err)
		}
	}
	if s, check := d.Structure, methods[d.Method.name].checkStructure; s != nil && check == nil {
		fault(false, "structure is there for method %s, which has none", place.Quote(d.Method.name))
	} else if s != nil {
		if err := check(s, d.Base.Layers); err != nil {
			fault(false, "structure: %w", strictjson.WithoutPlace(err))
		}
	}
	return faults
}

// maxLayers is the largest number of layers, which is more than any encoder
// has.
const maxLayers = 1000

// entries returns the names in a directory, for the error about a missing file.
func entries(dir string) string {
	list, err := os.ReadDir(dir)
	if err != nil || len(list) == 0 {
		return "nothing"
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return place.List(names)
}
