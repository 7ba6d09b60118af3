package adapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// anyValue are keys of an adapter_config.json whose value does not change what
// a plain LoRA adapter computes.
var anyValue = []string{
	"auto_mapping", "base_model_name_or_path", "eva_config", "inference_mode", "layers_pattern", "megatron_core",
	"modules_to_save",
	"peft_version", "qalora_group_size", "revision", "runtime_config", "task_type",
	// The names of the tensors show which modules are adapted; see agree.
	"exclude_modules", "layers_to_transform", "target_modules",
	"rank_pattern", "alpha_pattern", // see peftScope
	// The values of these keys are used.
	"lora_alpha", "lora_dropout", "r",
}

// plainValues has, for other keys, the values (as JSON) that mean plain LoRA.
// Every other value is refused. So is a key that is not in this list, because a
// later PEFT may give it a meaning. For any key, the values that PEFT writes
// for "not used" are allowed; see unused.
var plainValues = map[string][]string{
	"peft_type": {`"LORA"`},
	"bias":      {`"none"`},
	// Some ways to initialise LoRA change the weights of the base model, so that
	// the adapter does not belong to the base model on the disk. These do not.
	"use_rslora":        {`true`},
	"init_lora_weights": {`true`, `false`, `"gaussian"`, `"eva"`, `"orthogonal"`},
}

// unused has the values with which PEFT marks an option as not used.
var unused = []string{`null`, `false`, `{}`, `[]`, `""`}

// peftLoRA has the keys of the adapter_config.json of a plain LoRA adapter.
type peftLoRA struct {
	BaseModel     string          `json:"base_model_name_or_path"`
	Rank          int             `json:"r"`
	Alpha         float64         `json:"lora_alpha"`
	Dropout       float64         `json:"lora_dropout"`
	UseRsLoRA     bool            `json:"use_rslora"`
	TargetModules json.RawMessage `json:"target_modules"` // a list, or a regular expression
}

// unsupported marks the error of an adapter that PEFT computes in a way that
// lor2c does not support, or whose files contradict each other. It wraps ErrMismatch and does not change the text of
// the error.
type unsupported struct{ error }

func (unsupported) Is(target error) bool { return target == ErrMismatch }

func (u unsupported) Unwrap() error { return u.error }

// readPEFT reads the adapter_config.json of a plain LoRA adapter. The caller
// must determine the target modules from the tensors; see targetModules.
func readPEFT(dir string) (d Description, targets []string, scope *peftScope, err error) {
	path := filepath.Join(dir, peftFile)
	raw, err := infile.Read(path, infile.Config)
	if err != nil {
		return d, nil, nil, fmt.Errorf("adapter: open %s: %w", path, err)
	}
	var c peftLoRA
	if err := unmarshal(path, raw, &c, strictjson.Unmarshal, "the JSON that PEFT writes"); err != nil {
		return d, nil, nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return d, nil, nil, fmt.Errorf("adapter: open %s: it is not a JSON object; want the JSON that PEFT writes", path)
	}
	if keys["peft_type"] == nil {
		return d, nil, nil, fmt.Errorf("adapter: open %s: there is no peft_type; want the JSON that PEFT writes", path)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if value, ok := plain(key, keys[key]); !ok {
			return d, nil, nil, unsupported{fmt.Errorf("adapter: open %s: %s is %s; lor2c reads plain LoRA adapters of PEFT",
				path, place.List([]string{key}), value)}
		}
	}
	d = Description{Format: format, Method: Configure("lora", Values{
		"rank": c.Rank, "alpha": c.Alpha, "dropout": c.Dropout, "use_rslora": c.UseRsLoRA,
	})}
	d.Base.Path = c.BaseModel
	// A regular expression is ignored.
	_ = json.Unmarshal(c.TargetModules, &targets)
	scope, err = readScope(path, keys)
	return d, targets, scope, err
}

// plain reports whether key may have the value raw. It also returns the value
// as text for an error.
func plain(key string, raw json.RawMessage) (value string, ok bool) {
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		line.Reset()
		line.Write(raw)
	}
	value = line.String()
	switch {
	case slices.Contains(anyValue, key), slices.Contains(plainValues[key], value), key != "peft_type" &&
		slices.Contains(unused, value):
		return value, true
	}
	if len(value) > 60 || strings.ContainsFunc(value, func(r rune) bool { return !strconv.IsPrint(r) }) {
		value = place.Quote(value)
	}
	return value, false
}

// pairName matches the name of a LoRA factor. Its groups are the path of the layers, the layer and the
// linear layer.
var pairName = regexp.MustCompile(`^base_model\.model\.((?:roberta|bert)\.encoder\.layer|model\.layers)\.(\d{1,6})\.(.+)\.lora_[AB]\.weight$`)

// targetModules returns the target modules of a LoRA adapter by the names of
// its tensors. These show what was adapted, whether the configuration has a
// list, a regular expression or all-linear. A list that names the same modules
// is returned unchanged. Layers may have LoRA on different modules if the configuration, whose scope is given, says so.
func targetModules(file tensorFile, path string, listed []string, scope *peftScope) ([]string, error) {
	layers := map[string][]string{} // the linear layers with LoRA in each encoder layer
	last, root := 0, ""
	var found []string
	for _, name := range file.Names() {
		if !strings.Contains(name, "lora_") {
			continue
		}
		m := pairName.FindStringSubmatch(name)
		if m == nil || !slices.Contains(anySite(), m[3]) {
			return nil, unsupported{fmt.Errorf("adapter: open %s: tensor %s does not adapt a linear layer of any layer; "+
				"lor2c reads LoRA on %s",
				path, place.Quote(name), place.List(anySite()))}
		}
		if l, err := strconv.Atoi(m[2]); err == nil {
			last = max(last, l)
		}
		root = m[1]
		if !slices.Contains(layers[m[2]], m[3]) {
			layers[m[2]] = append(layers[m[2]], m[3])
		}
		if !slices.Contains(found, m[3]) {
			found = append(found, m[3])
		}
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("adapter: open %s: it has no tensor of LoRA; want the tensors that PEFT writes", path)
	}
	slices.Sort(found)
	for l := range last + 1 {
		has := layers[strconv.Itoa(l)]
		for _, name := range found {
			if !slices.Contains(has, name) && scope.adapts(fmt.Sprintf("%s.%d.%s", root, l, name)) {
				return nil, unsupported{fmt.Errorf("adapter: open %s: layer %d has LoRA on %s and other layers also on %s; want "+
					"the same modules in every layer, or a configuration that leaves some out", path, l, orNone(has),
					place.Quote(name))}
			}
		}
	}
	var named []string
	for _, name := range anySite() {
		if targeted(listed, name) {
			named = append(named, name)
		}
	}
	slices.Sort(named)
	if slices.Equal(named, found) && checkTargets(listed, anySite()) == nil {
		return listed, nil
	}
	return found, nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return place.List(names)
}

// unmarshal decodes the text of a file of an adapter directory.
func unmarshal(path string, text []byte, v any, decode func([]byte, any) error, want string) error {
	if what := infile.Describe(text[:min(len(text), 64)]); what != "" {
		return fmt.Errorf("adapter: open %s: it is not JSON but %s", path, what)
	}
	if err := decode(text, v); err != nil {
		return fmt.Errorf("adapter: open %s:%w; want %s", path, err, want)
	}
	return nil
}

// inFile joins faults, each after the path. rename changes the keys that they
// name.
func inFile(path string, faults []error, rename *strings.Replacer) error {
	for i, fault := range faults {
		faults[i] = fmt.Errorf("adapter: open %s: %s", path, rename.Replace(fault.Error()))
	}
	return errors.Join(faults...)
}

var (
	sameKeys = strings.NewReplacer()
	peftKeys = strings.NewReplacer("method.rank", "r", "method.alpha", "lora_alpha", "method.dropout", "lora_dropout")
)
