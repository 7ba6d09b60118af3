package config

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/lor2c/lor2c/internal/place"
)

// unknown returns the text of the fault for a key that does not exist. It
// suggests the key that may have been meant: a section if the value is a
// mapping, and a key with a value otherwise.
func (s *schema) unknown(name string, asSection, asLeaf bool) string {
	var candidates []string
	// Only the top level has sections, so none is suggested below it.
	if asSection {
		for _, top := range s.sections[""] {
			if s.sections[top] != nil {
				candidates = append(candidates, top)
			}
		}
	}
	if asLeaf {
		candidates = append(candidates, s.names()...)
	}
	if near := s.meant(name, candidates); near != "" {
		return "unknown key; did you mean " + near + "?"
	}
	section := name
	for section != "" && s.sections[section] == nil {
		section = parent(section)
	}
	who := section
	if section == "" {
		who = "a run file"
	}
	return "unknown key; " + who + " has " + place.List(s.sections[section])
}

// elsewhere maps names that other programs use, mainly the scripts of Hugging
// Face, to keys of a run file.
var elsewhere = map[string]string{
	"adam_beta1":                  "optim.beta1",
	"adam_beta2":                  "optim.beta2",
	"adam_epsilon":                "optim.eps",
	"base_model":                  "model",
	"bf16":                        "train.precision",
	"cutoff_len":                  "data.max_length",
	"dataset":                     "data.train",
	"eval_file":                   "data.dev",
	"early_stopping_patience":     "train.early_stopping",
	"early_stopping_threshold":    "train.min_delta",
	"eval_steps":                  "train.eval_every",
	"eval_strategy":               "train.eval_every",
	"evaluation_strategy":         "train.eval_every",
	"finetuning_type":             "method.name",
	"gradient_accumulation_steps": "train.micro_batch_size",
	"gradient_clipping":           "optim.max_grad_norm",
	"label_smoothing_factor":      "train.label_smoothing",
	"label_column":                "data.label",
	"learning_rate":               "optim.lr",
	"load_in_4bit":                "train.quantize",
	"logging_steps":               "train.log_every",
	"lora_alpha":                  "method.alpha",
	"lora_dropout":                "method.dropout",
	"lora_r":                      "method.rank",
	"lora_rank":                   "method.rank",
	"lora_target":                 "method.target_modules",
	"lora_target_modules":         "method.target_modules",
	"lr_scheduler_type":           "optim.schedule",
	"max_len":                     "data.max_length",
	"max_seq_len":                 "data.max_length",
	"max_seq_length":              "data.max_length",
	"metric_for_best_model":       "data.metric",
	"model_max_length":            "data.max_length",
	"model_name":                  "model",
	"model_name_or_path":          "model",
	"num_epochs":                  "train.epochs",
	"num_train_epochs":            "train.epochs",
	"output_dir":                  "out",
	"peft_type":                   "method.name",
	"per_device_eval_batch_size":  "train.eval_batch_size",
	"per_device_train_batch_size": "train.batch_size",
	"r":                           "method.rank",
	"random_seed":                 "seed",
	"save_steps":                  "train.save_every",
	"save_strategy":               "train.save_every",
	"save_total_limit":            "train.keep_checkpoints",
	"sequence_len":                "data.max_length",
	"task_name":                   "data.task",
	"test_file":                   "data.test",
	"text_column":                 "data.text",
	"train_batch_size":            "train.batch_size",
	"train_file":                  "data.train",
	"val_set_size":                "data.dev",
	"val_size":                    "data.dev",
	"validation_file":             "data.dev",
}

// meant returns the candidate that was probably meant by name, or "".
func (s *schema) meant(name string, candidates []string) string {
	if key := elsewhere[strings.ReplaceAll(strings.ToLower(last(name)), "-", "_")]; slices.Contains(candidates, key) {
		return key
	}
	return nearest(name, candidates)
}

// Nearest returns the key that was probably meant by name, or "".
func Nearest(name string) string { return runFile.meant(name, runFile.names()) }

// nearest returns the candidate that is most probably spelt wrongly as name, or
// "". It accepts up to two edits in the whole name, or the right last part with
// the wrong section.
func nearest(name string, candidates []string) string {
	const longest = 64 // the time is proportional to the product of the lengths
	if len(name) > longest {
		return ""
	}
	name = strings.ToLower(name)
	best, score := "", 6
	for _, c := range candidates {
		short := len(last(c)) < 4 // two edits turn any short name into any other
		whole := levenshtein.ComputeDistance(name, c)
		if (whole <= 1 || whole == 2 && !short) && 2*whole < score {
			best, score = c, 2*whole
		}
		tail := levenshtein.ComputeDistance(last(name), last(c))
		if (tail == 0 || tail == 1 && !short) && 2*tail+1 < score {
			best, score = c, 2*tail+1
		}
	}
	return best
}

func parent(name string) string { return name[:max(0, strings.LastIndexByte(name, '.'))] }

func last(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
