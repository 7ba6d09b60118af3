package adapter

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// peftForm is a kind of adapter of PEFT that lor2c reads without a lor2c.json, as a method of its own.
type peftForm struct {
	name string // in messages
	dora bool   // the form of LORA that has use_dora
	// used lists keys of this kind whose values are used, or do not change what the adapter computes. plain has, for
	// other keys, the values (as JSON) that do not change it either, besides those that mean that an option is not used.
	used  []string
	plain map[string][]string
	// tensor is a regular expression for the names of tensors after the path of the linear layer that they belong to.
	// It is empty if the tensors belong to no linear layer.
	tensor string
	values func(c peftKeys) Values // of the method
	check  func(c peftKeys) error  // nil if there is nothing to check; its error says what is wrong with a value
	// targets gives the method the linear layers that have tensors; nil if they are its target modules.
	targets func(c *Config, file tensorFile, found []string) error
}

// peftKeys has the keys of an adapter_config.json whose values are used.
type peftKeys struct {
	BaseModel string  `json:"base_model_name_or_path"`
	TaskType  string  `json:"task_type"`
	Rank      int     `json:"r"`
	Alpha     float64 `json:"lora_alpha"`
	Dropout   float64 `json:"lora_dropout"`
	UseRsLoRA bool    `json:"use_rslora"`
	// AdaLoRA.
	InitRank   int     `json:"init_r"`
	TargetRank int     `json:"target_r"`
	Start      int     `json:"tinit"`
	Final      int     `json:"tfinal"`
	Every      int     `json:"deltaT"`
	Steps      int     `json:"total_step"`
	Beta1      float64 `json:"beta1"`
	Beta2      float64 `json:"beta2"`
	Orthogonal float64 `json:"orth_reg_weight"`
	// VeRA.
	VeRADropout    float64 `json:"vera_dropout"`
	Initial        float64 `json:"d_initial"`
	SaveProjection *bool   `json:"save_projection"`
	// Prefix tuning.
	Tokens     int  `json:"num_virtual_tokens"`
	Layers     int  `json:"num_layers"`
	Submodules *int `json:"num_transformer_submodules"`
}

// anyValue are keys of an adapter_config.json whose value does not change what an adapter of any kind computes, or is
// used.
var anyValue = []string{
	"auto_mapping", "base_model_name_or_path", "inference_mode", "modules_to_save", "peft_version", "revision",
	"runtime_config", "task_type", "peft_type",
	// The names of the tensors show which modules are adapted; see agree.
	"exclude_modules", "layers_pattern", "layers_to_transform", "target_modules",
}

// loraUsed are the keys of LoRA whose values are used or do not matter.
var loraUsed = []string{
	"eva_config", "megatron_core", "qalora_group_size", "r", "lora_alpha", "lora_dropout",
	"rank_pattern", "alpha_pattern", // see peftScope
}

// loraPlain has the values of other keys of LoRA that do not change what it computes. Some ways to initialise LoRA
// change the weights of the base model, so that the adapter does not belong to the base model on the disk. These do
// not.
var loraPlain = map[string][]string{
	"bias":              {`"none"`},
	"use_rslora":        {`true`},
	"init_lora_weights": {`true`, `false`, `"gaussian"`, `"eva"`, `"orthogonal"`},
}

// unused has the values with which PEFT marks an option as not used. Of keys that are in neither list a later PEFT may
// have others.
var unused = []string{`null`, `false`, `{}`, `[]`, `""`}

// rewritten says what to do about an adapter for which PEFT has changed the base model.
const rewritten = "it belongs to a base model that PEFT changed when it began; let PEFT write it as plain LoRA, with " +
	"save_pretrained(DIR, path_initial_model_for_weight_conversion=INITIAL)"

// refusals has the reasons for which values of a key are refused, by the key and the beginning of the value.
var refusals = map[string]map[string]string{
	"init_lora_weights": {
		`"pissa`: rewritten, `"olora`: rewritten, `"corda`: rewritten,
		`"loftq`: "it belongs to a base model that PEFT changed and quantised when it began",
	},
}

// formOf returns the kind of adapter that an adapter_config.json describes, and the method that computes it.
func formOf(path string, keys map[string]json.RawMessage) (method string, form *peftForm, err error) {
	var kind string
	_ = json.Unmarshal(keys["peft_type"], &kind)
	dora := string(keys["use_dora"]) == "true"
	var kinds []string
	for name, m := range methods {
		if m.fromPEFT == nil {
			continue
		}
		kinds = append(kinds, m.peftType)
		if m.peftType == kind && m.fromPEFT.dora == dora {
			method, form = name, m.fromPEFT
		}
	}
	if form == nil {
		slices.Sort(kinds)
		return "", nil, unsupported{fmt.Errorf("adapter: open %s: peft_type is %s; lor2c reads %s of PEFT", path,
			shown(keys["peft_type"]), place.List(slices.Compact(kinds)))}
	}
	return method, form, nil
}

// checkKeys returns an error for a key with a value that makes the adapter compute something else.
func (f *peftForm) checkKeys(path string, keys map[string]json.RawMessage) error {
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := compact(keys[key])
		if slices.Contains(anyValue, key) || slices.Contains(f.used, key) || slices.Contains(f.plain[key], value) ||
			slices.Contains(unused, value) || f.dora && key == "use_dora" {
			continue
		}
		why := "lor2c reads plain " + f.name + " adapters of PEFT"
		for begin, reason := range refusals[key] {
			if strings.HasPrefix(value, begin) {
				why = reason
			}
		}
		return unsupported{fmt.Errorf("adapter: open %s: %s is %s; %s", path, place.List([]string{key}), shown(keys[key]),
			why)}
	}
	return nil
}

// tensorOf matches the name of a tensor of a linear layer. Its groups are the path of the linear layer and what
// follows.
var tensorOf = regexp.MustCompile(
	`^base_model\.model\.(.+)\.(lora_[AB]\.weight|lora_[ABE]|lora_magnitude_vector|vera_lambda_[bd]|ia3_l)$`)

// modulePath returns the linear layer of a tensor, without PEFT's prefix, and what follows it in the name.
func modulePath(tensor string) (module, leaf string, ok bool) {
	found := tensorOf.FindStringSubmatch(tensor)
	if found == nil {
		return "", "", false
	}
	return found[1], found[2], true
}

// rankDimension returns which dimension of a tensor is the rank, or -1.
func rankDimension(leaf string) int {
	switch {
	case strings.HasPrefix(leaf, "lora_A"), leaf == "lora_E":
		return 0
	case strings.HasPrefix(leaf, "lora_B"):
		return 1
	}
	return -1
}

// startsNeutral reports whether a tensor changes nothing at the value that a new method gives it, and does at zero.
func startsNeutral(leaf string) bool { return leaf == "lora_magnitude_vector" || leaf == "ia3_l" }
