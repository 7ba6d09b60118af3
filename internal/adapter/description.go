package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tape"
)

// The files of an adapter directory.
const (
	peftFile        = "adapter_config.json"       // as PEFT writes it
	tensorsFile     = "adapter_model.safetensors" // likewise
	descriptionFile = "lor2c.json"                // what PEFT's config has no room for
	modelFile       = "model.safetensors"         // full fine-tuning: a whole model directory
	format          = 1
)

// Description says what the tensors of an adapter directory are: enough to
// rebuild the method, to refuse another base, and to name its predictions.
type Description struct {
	Format int    `json:"format"`
	Method Config `json:"method"`
	Base   Base   `json:"base"`
	Task   Task   `json:"task"`
	// MaxLength is where texts were truncated, special tokens included.
	MaxLength int `json:"max_length"`
	// Structure is that of a LoR2C method; nil means as it begins.
	Structure *Structure `json:"structure,omitempty"`
}

// Base identifies the model that an adapter belongs to.
type Base struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"` // of its weights, see Fingerprint
	Type   string `json:"model_type"`
	Width  int    `json:"hidden_size"`
	Layers int    `json:"num_hidden_layers"`
}

// Task is what the head predicts. Labels are in the order of its outputs; nil
// means regression.
type Task struct {
	Name   string   `json:"name"`
	Labels []string `json:"labels"`
}

// BaseOf identifies the model of dir.
func BaseOf(m *model.Model, dir string) (Base, error) {
	sum, err := Fingerprint(dir)
	return Base{Path: dir, SHA256: sum, Type: m.Type, Width: m.Width, Layers: m.Layers}, err
}

// Fingerprint returns the SHA-256 of the weights of a model directory, as 64
// hexadecimal digits: of what the tensors hold, in whatever files they lie.
func Fingerprint(dir string) (string, error) {
	m, err := checkpoint.OpenModel(dir)
	if err != nil {
		return "", err
	}
	defer m.Close()
	return m.SHA256()
}

// olderFingerprint is how lor2c identified weights before Fingerprint: the
// SHA-256 of the files, one after the other in the order of their names.
func olderFingerprint(dir string) (string, error) {
	m, err := checkpoint.OpenModel(dir)
	if err != nil {
		return "", err
	}
	defer m.Close()
	return checkpoint.HashFiles(slices.Sorted(slices.Values(m.Files()))...)
}

// peftConfig is the part of adapter_config.json that both we and PEFT use. It is
// kept to what every PEFT since 0.4 reads: an unknown key is an error to old
// releases.
type peftConfig struct {
	BaseModel     string   `json:"base_model_name_or_path"`
	Bias          string   `json:"bias,omitempty"`
	FanInFanOut   *bool    `json:"fan_in_fan_out,omitempty"`
	Inference     bool     `json:"inference_mode"`
	Alpha         float64  `json:"lora_alpha,omitempty"`
	Dropout       float64  `json:"lora_dropout"`
	ModulesToSave []string `json:"modules_to_save"`
	Type          string   `json:"peft_type"`
	Rank          int      `json:"r,omitempty"`
	TargetModules []string `json:"target_modules,omitempty"`
	TaskType      string   `json:"task_type"`
	Share         bool     `json:"share,omitempty"`
	LoR2CAlpha    float64  `json:"lor2c_alpha,omitempty"`
	LoR2CModules  []span   `json:"lor2c_modules,omitempty"`
	LoR2CInjected []pairOf `json:"lor2c_injected,omitempty"`
	RankPattern   any      `json:"rank_pattern,omitempty"`
	AlphaPattern  any      `json:"alpha_pattern,omitempty"`
	RSLoRA        bool     `json:"use_rslora,omitempty"`
	DoRA          bool     `json:"use_dora,omitempty"`
	ToTransform   any      `json:"layers_to_transform,omitempty"`
}

// span is one LoR2C module: from the input of layer start to the output of end.
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
		BaseModel: d.Base.Path, Inference: true, TaskType: "SEQ_CLS", Type: map[string]string{"lora": "LORA", "lor2c": "LOR2C", "head": "HEAD"}[d.Method.Name],
		ModulesToSave: []string{"classifier"},
	}
	for _, p := range head {
		if isPooler(p) {
			c.ModulesToSave = []string{"classifier", "pooler"}
		}
	}
	switch m := m.(type) {
	case *LoRA:
		no := false
		c.Bias, c.FanInFanOut, c.Rank, c.Alpha = "none", &no, d.Method.Rank, d.Method.Alpha
		c.Dropout, c.TargetModules = *d.Method.Dropout, d.Method.TargetModules
	case *LoR2C:
		c.Rank, c.LoR2CAlpha, c.Dropout, c.Share = d.Method.Rank, d.Method.Alpha, *d.Method.Dropout, d.Method.Share
		for _, s := range m.modules {
			c.LoR2CModules = append(c.LoR2CModules, span{s.first, s.last})
		}
		for _, l := range m.order {
			i := d.Method.injected()
			c.LoR2CInjected = append(c.LoR2CInjected, pairOf{l, i.TargetModules, i.Rank, i.Alpha, *i.Dropout})
		}
	}
	return c
}

// readDescription reads lor2c.json, or makes one from an adapter_config.json
// that another program wrote.
func readDescription(dir string) (d Description, err error) {
	path := filepath.Join(dir, descriptionFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return readPEFT(dir)
	}
	if err != nil {
		return d, fmt.Errorf("adapter: open %s: %w", dir, err)
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return d, fmt.Errorf("adapter: open %s:%s; want the file that lor2c train wrote", path, jsonFault(raw, err))
	}
	if d.Format != format {
		return d, fmt.Errorf("adapter: open %s: format is %d; this lor2c reads %d", path, d.Format, format)
	}
	if faults := d.Method.Validate(); faults != nil {
		return d, fmt.Errorf("adapter: open %s: %w", path, errors.Join(faults...))
	}
	d.Method.Resolve()
	return d, nil
}

// jsonFault formats an error of json.Unmarshal about raw as line:column: what is
// wrong.
func jsonFault(raw []byte, err error) string {
	at, what, _ := place.JSON(err)
	return fmt.Sprintf("%s: %s", place.At(raw, at), what)
}

func readPEFT(dir string) (d Description, err error) {
	path := filepath.Join(dir, peftFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, place.Mistake(fmt.Errorf("adapter: open %s: there is neither %s nor %s; want a directory that lor2c train or PEFT wrote",
			dir, descriptionFile, peftFile))
	}
	if err != nil {
		return d, fmt.Errorf("adapter: open %s: %w", dir, err)
	}
	var c peftConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return d, fmt.Errorf("adapter: open %s:%s; want the JSON that PEFT writes", path, jsonFault(raw, err))
	}
	unsupported := func(key string, value any) error {
		return fmt.Errorf("adapter: open %s: %s is %v; lor2c reads plain LoRA adapters of PEFT", path, key, value)
	}
	full := func(pattern any) bool {
		m, ok := pattern.(map[string]any)
		return pattern != nil && !(ok && len(m) == 0)
	}
	switch {
	case c.Type != "LORA":
		return d, unsupported("peft_type", fmt.Sprintf("%q", c.Type))
	case c.RSLoRA:
		return d, unsupported("use_rslora", true)
	case c.DoRA:
		return d, unsupported("use_dora", true)
	case full(c.RankPattern):
		return d, unsupported("rank_pattern", c.RankPattern)
	case full(c.AlphaPattern):
		return d, unsupported("alpha_pattern", c.AlphaPattern)
	case c.ToTransform != nil:
		return d, unsupported("layers_to_transform", c.ToTransform)
	case c.Bias != "" && c.Bias != "none":
		return d, unsupported("bias", fmt.Sprintf("%q", c.Bias))
	}
	d = Description{Format: format, Method: Config{Name: "lora", Rank: c.Rank, Alpha: c.Alpha, Dropout: &c.Dropout, TargetModules: c.TargetModules}}
	d.Base.Path = c.BaseModel
	if faults := d.Method.Validate(); faults != nil {
		return d, fmt.Errorf("adapter: open %s: %w", path, errors.Join(faults...))
	}
	return d, nil
}
