package config

import (
	"reflect"
	"strings"
)

// Key describes one key of a run file.
type Key struct {
	Name    string   // "optim.lr"
	Env     string   // the variable that sets it, "LOR2C_OPTIM_LR"
	Type    string   // what its value is, in words
	Default string   // as YAML; "" for an empty string
	Doc     string   // half a sentence, without a full stop
	Range   string   // the numbers that are allowed, in words; "" where any is
	Values  []string // the words that are allowed, or can be in a list; nil where any is
	Example string   // as YAML
	Path    bool     // names a file or a folder
}

// Keys returns every key in the order of a run file.
func Keys() []Key {
	c := Default()
	keys := make([]Key, len(runFile.leaves))
	for i, l := range runFile.leaves {
		d := &docs[i]
		k := Key{Name: l.name, Env: l.env(), Type: want(l.typ), Doc: d.doc, Example: d.example, Path: d.allowed == path}
		k.Default = inline(reflect.ValueOf(c).FieldByIndex(l.index).Interface())
		if k.Default == `""` {
			k.Default = ""
		}
		switch {
		case k.Path:
			k.Type = "a path"
		case strings.Contains(d.allowed, "|"):
			k.Values = strings.Split(d.allowed, "|")
		default:
			k.Range = d.allowed
		}
		if k.Example == "" && k.Values != nil {
			k.Example = k.Values[0]
		}
		if k.Example == "" {
			k.Example = k.Default
		}
		keys[i] = k
	}
	return keys
}

// path as what is allowed marks the keys that name files and folders.
const path = "a path"

// docs is the one description of each key that users and developers read. Tests
// hold it to the fields of Config, and allowed and example to Validate. Words
// that are allowed stand between bars; without an example the first of them, or
// the default, is one.
var docs = [...]struct{ name, doc, allowed, example string }{
	{"model", "Hugging Face directory of the base model, or its name in the Hugging Face cache", path, "models/roberta-base"},
	{"init_adapter", "adapter directory whose values the run begins with, with a new optimizer; empty means values drawn by seed", path, "runs/mnli/best"},
	{"data.task", "a GLUE task, or custom for your own files", "cola|sst2|mrpc|stsb|qqp|mnli|qnli|rte|wnli|custom", "mrpc"},
	{"data.dir", "GLUE tasks: the task's folder or the one above it", path, "data/glue"},
	{"data.train", "custom: file to train on, .csv, .tsv or .jsonl", path, "train.csv"},
	{"data.dev", "custom: file to evaluate on, or the fraction of data.train to keep for that", path, "dev.csv"},
	{"data.test", "custom: file to predict; it needs no labels", path, "test.csv"},
	{"data.text", "custom: name of the text column, or a list of two for pairs", "", "[question, answer]"},
	{"data.label", "custom: name of the label column", "", "verdict"},
	{"data.kind", "custom: what the labels are; empty means classification", "classification|regression", ""},
	{"data.labels", "custom: class names in order; empty means those of data.train, sorted", "", "[wrong, right]"},
	{"data.metric", "what picks the best epoch; empty means the task's own", "accuracy|f1|f1_macro|matthews|pearson|spearman", ""},
	{"data.max_length", "tokens an example is cut to; 0 means 256, and 512 for rte", "0, or at least 5", "128"},
	{"method.name", "how to fine-tune", "full|head|lor2c|lora", "lor2c"},
	{"method.rank", "inner width r of the low-rank path B A", "1 to 256", ""},
	{"method.alpha", "the low-rank path is scaled by alpha/rank", "more than 0", ""},
	{"method.dropout", "on the input of the low-rank path; null means 0.1 for lor2c, 0.05 for lora", "at least 0 and less than 1", "0.1"},
	{"method.share", "lor2c: all modules use one A (ShareLoR2C)", "", ""},
	{
		"method.target_modules", "the linear layers that lora, and injection, adapt",
		"query|key|value|attention.output.dense|intermediate.dense|output.dense", "[query, value]",
	},
	{"method.inject_rank", "rank of an injected LoRA; 0 means half of method.rank", "0 to 256", "4"},
	{"method.inject_alpha", "an injected LoRA is scaled by this over its rank; 0 means 16", "at least 0", "16"},
	{"method.inject_dropout", "on the input of an injected LoRA; null means 0.05", "at least 0 and less than 1", "0.05"},
	{"schedule.preset", "fills the keys below that are empty; release is what the published code does", "paper|release", ""},
	{"schedule.max_merges", "M_max, merges of neighbouring modules in a run", "at least 0", "2"},
	{"schedule.max_injects", "I_max, modules replaced by LoRA in a run", "at least 0", "1"},
	{"schedule.timing", "when: epochs (eq. 11, 12), or steps, fractions of an epoch for short runs", "epochs|steps", ""},
	{"schedule.score", "what a module is judged by", "sfs|nuclear", ""},
	{"schedule.sfs_k", "largest singular values that SFS leaves out; 0 means 2", "at least 0", "2"},
	{"schedule.merge_select", "the pair with the least or greatest sum of scores is merged", "min|max", ""},
	{"schedule.keep", "whose factors a merged module has: the richer or the first member's", "richer|first", ""},
	{"schedule.inject_select", "the module with the least or greatest score is replaced", "min|max", ""},
	{"schedule.max_span", "most layers of a merged module; 0 means no bound", "0, or at least 2", "4"},
	{"schedule.adjacency", "around an injected layer: gap (no merge across it) or strict (its neighbours do not merge)", "gap|strict", ""},
	{"schedule.on_conflict", "merge and injection due together: both, or the injection later", "both|defer_inject", ""},
	{"schedule.until", "share of training after which nothing changes; 0 means 0.5, release 1", "0 to 1", "0.5"},
	{"schedule.evaluate", "an epoch's evaluation comes after or before its changes", "after|before", ""},
	{"schedule.moments", "AdamW's moments of a merged module", "keep|reset", ""},
	{"schedule.changed", "merged and injected parameters: train, or freeze as the published code does", "train|freeze", ""},
	{"schedule.what_if", "dev examples on which every candidate is tried before a change; 0 tries none", "at least 0", "64"},
	{"optim.lr", "peak learning rate; 0 means 5e-5 for full and 1e-3 for the others", "at least 0", "1e-4"},
	{"optim.head_lr_ratio", "learning rate of the classification head over optim.lr", "at least 0", ""},
	{"optim.weight_decay", "decoupled weight decay of AdamW", "at least 0", ""},
	{"optim.beta1", "decay of AdamW's first moment", "at least 0 and less than 1", ""},
	{"optim.beta2", "decay of AdamW's second moment", "at least 0 and less than 1", ""},
	{"optim.eps", "added to the root of AdamW's second moment", "more than 0", ""},
	{"optim.warmup_ratio", "share of all steps over which the rate rises", "0 to 1", ""},
	{"optim.warmup_steps", "steps over which the rate rises, instead of optim.warmup_ratio; 0 means by the ratio", "at least 0", "100"},
	{"optim.schedule", "the rate after the warm-up: linear or cosine (both down to 0), or constant", "linear|cosine|constant", ""},
	{"optim.max_grad_norm", "global norm that gradients are clipped to; 0 does not clip", "at least 0", ""},
	{"train.epochs", "passes over the training data", "at least 1", ""},
	{"train.extend_epochs", "passes added to a run that was planned without them; lor2c train --extend-epochs sets it", "", "[2]"},
	{"train.max_steps", "optimizer steps of the run, instead of train.epochs; 0 means by the epochs", "at least 0", "1000"},
	{"train.batch_size", "examples of one optimizer step", "at least 1", ""},
	{
		"train.micro_batch_size", "examples of one forward and backward pass, a divisor of train.batch_size over which " +
			"gradients accumulate; 0 means train.batch_size", "at least 0", "8",
	},
	{"train.eval_batch_size", "examples of one evaluation pass; 0 means train.batch_size", "at least 0", "64"},
	{
		"train.eval_every", "optimizer steps between evaluations, each with a checkpoint; 0 means at the ends of epochs",
		"at least 0", "100",
	},
	{
		"train.early_stopping", "stop when so many evaluations in a row brought no better score of data.metric; 0 means never",
		"at least 0", "3",
	},
	{"train.min_delta", "what a score must gain to count as better for train.early_stopping", "at least 0", "0.001"},
	{
		"train.class_weights", "what the loss of each class is multiplied by: balanced, or a number for each label, in order",
		"", "balanced",
	},
	{"train.label_smoothing", "share of each label that is spread over all classes", "at least 0 and less than 1", "0.1"},
	{"train.precision", "what the device works in; trained parameters stay in float32", "float32|bfloat16", ""},
	{"train.log_every", "optimizer steps between read-backs of the loss", "at least 1", ""},
	{"train.save_every", "optimizer steps between checkpoints beside those of evaluations; 0 means those alone", "at least 0", "500"},
	{"train.keep_checkpoints", "how many of the newest checkpoints to keep", "at least 1", ""},
	{"train.log_gradients", "record the adapter's mean gradients by layer after each epoch", "", ""},
	{"out", "directory to write the run to", path, "runs/mrpc"},
	{"seed", "of initial weights, order of examples and dropout", "", ""},
	{"paths", "where relative paths of a run file start: cwd, the current directory, or file, the directory of the file", "cwd|file", ""},
}
