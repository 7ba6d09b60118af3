package config

import (
	"reflect"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
)

// Key describes one key of a run file.
type Key struct {
	Name     string   // "optim.lr"
	Env      string   // the variable that sets it, "LOR2C_OPTIM_LR"
	Type     string   // what its value is, in words
	Default  string   // as YAML; "" for an empty string
	Doc      string   // half a sentence, without a full stop
	Range    *Range   // the numbers that are allowed, or can be in a list; nil where any is
	Values   []string // the words that are allowed, or can be in a list; nil where any is
	Example  string   // as YAML
	Path     bool     // names a file or a folder
	Required bool     // has no default, and a run needs a value
	Methods  []string // the methods that take the key, if it depends on the method; nil if it does not
}

// Keys returns every key in the order of a run file.
func Keys() []Key {
	c := Default()
	keys := make([]Key, len(runFile.leaves))
	for i, l := range runFile.leaves {
		d := &docs[i]
		k := Key{
			Name: l.name, Env: l.env(), Type: want(l.typ), Doc: d.doc, Example: d.example,
			Range: d.allowed.numbers, Values: d.allowed.words, Path: d.allowed.path, Required: d.allowed.required,
		}
		k.Default = inline(reflect.ValueOf(c).FieldByIndex(l.index).Interface())
		if k.Default == `""` {
			k.Default = ""
		}
		switch section := parent(l.name); {
		case section == "method" && last(l.name) != "name":
			k.Methods = adapter.Taking(last(l.name))
		case section == "schedule":
			k.Methods = adapter.Scheduled()
		}
		if k.Path {
			k.Type = "a path"
		}
		if l.typ == source {
			k.Type = "a path, or a number " + fraction.String()
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

// docs is the one description of each key. The help, docs/config.md and the JSON
// schema are made from it. Tests hold it to the fields of Config, and allowed and
// example to Validate. Without an example the first of the words that are allowed,
// or the default, is one.
var docs = [...]struct {
	name, doc string
	allowed   allowed
	example   string
}{
	{
		"model",
		"Hugging Face directory of the base model, or its name in the Hugging Face cache",
		path.needed(), "models/roberta-base",
	},
	{
		"init_adapter",
		"adapter directory whose values the run begins with, with a new optimizer; empty means values drawn by seed",
		path, "runs/mnli/best",
	},
	{
		"data.task",
		"a GLUE task, or custom for your own files",
		words("cola|sst2|mrpc|stsb|qqp|mnli|qnli|rte|wnli|custom").needed(), "mrpc",
	},
	{"data.dir", "GLUE tasks: the task's folder or the one above it", path, "data/glue"},
	{"data.train", "custom: file to train on, .csv, .tsv or .jsonl", path, "train.csv"},
	{"data.dev", "custom: file to evaluate on, or the fraction of data.train to keep for that", path, "dev.csv"},
	{"data.test", "custom: file to predict; it needs no labels", path, "test.csv"},
	{"data.text", "custom: name of the text column, or a list of two for pairs", anything, "[question, answer]"},
	{"data.label", "custom: name of the label column", anything, "verdict"},
	{"data.kind", "custom: what the labels are; empty means classification", words("classification|regression"), ""},
	{
		"data.labels",
		"custom: class names in order; empty means those of data.train, sorted",
		anything, "[wrong, right]",
	},
	{
		"data.metric",
		"what picks the best epoch; empty means the task's own",
		words("accuracy|f1|f1_macro|matthews|pearson|spearman"), "",
	},
	{"data.max_length", "tokens an example is cut to; 0 means 256, and 512 for rte", zeroOrAtLeast(5), "128"},
	{"method.name", "how to fine-tune", words(strings.Join(adapter.Names(), "|")), "lor2c"},
	{"method.rank", "inner width r of the low-rank path B A", between(1, 256), ""},
	{"method.alpha", "the low-rank path is scaled by alpha/rank", moreThan(0), ""},
	{"method.dropout", "dropout on the input of the low-rank path; null means 0.1 for lor2c, 0.05 for lora", share, "0.1"},
	{"method.share", "all modules use one A (ShareLoR2C)", anything, ""},
	{
		"method.target_modules",
		"the linear layers that lora, and injection, adapt",
		words("query|key|value|attention.output.dense|intermediate.dense|output.dense"), "[query, value]",
	},
	{"method.inject_rank", "rank of an injected LoRA; 0 means half of method.rank", between(0, 256), "4"},
	{"method.inject_alpha", "an injected LoRA is scaled by this over its rank; 0 means 16", atLeast(0), "16"},
	{"method.inject_dropout", "dropout on the input of an injected LoRA; null means 0.05", share, "0.05"},
	{
		"schedule.preset",
		"fills the keys below that are empty; release is what the published code does",
		words("paper|release"), "",
	},
	{"schedule.max_merges", "M_max, merges of neighbouring modules in a run", atLeast(0), "2"},
	{"schedule.max_injects", "I_max, modules replaced by LoRA in a run", atLeast(0), "1"},
	{
		"schedule.timing",
		"when: epochs (eq. 11, 12), or steps, fractions of an epoch for short runs",
		words("epochs|steps"), "",
	},
	{"schedule.score", "what a module is judged by", words("sfs|nuclear"), ""},
	{"schedule.sfs_k", "largest singular values that SFS leaves out; 0 means 2", atLeast(0), "2"},
	{"schedule.merge_select", "the pair with the least or greatest sum of scores is merged", words("min|max"), ""},
	{"schedule.keep", "whose factors a merged module has: the richer or the first member's", words("richer|first"), ""},
	{"schedule.inject_select", "the module with the least or greatest score is replaced", words("min|max"), ""},
	{"schedule.max_span", "most layers of a merged module; 0 means no bound", zeroOrAtLeast(2), "4"},
	{
		"schedule.adjacency",
		"around an injected layer: gap (no merge across it) or strict (its neighbours do not merge)",
		words("gap|strict"), "",
	},
	{
		"schedule.on_conflict",
		"merge and injection due together: both, or the injection later",
		words("both|defer_inject"), "",
	},
	{"schedule.until", "share of training after which nothing changes; 0 means 0.5, release 1", between(0, 1), "0.5"},
	{"schedule.evaluate", "an epoch's evaluation comes after or before its changes", words("after|before"), ""},
	{"schedule.moments", "AdamW's moments of a merged module", words("keep|reset"), ""},
	{
		"schedule.changed",
		"merged and injected parameters: train, or freeze as the published code does",
		words("train|freeze"), "",
	},
	{
		"schedule.what_if",
		"dev examples on which every candidate is tried before a change; 0 tries none",
		atLeast(0), "64",
	},
	{"optim.lr", "peak learning rate; 0 means 5e-5 for full and 1e-3 for the others", atLeast(0), "1e-4"},
	{"optim.head_lr_ratio", "learning rate of the classification head over optim.lr", atLeast(0), ""},
	{"optim.weight_decay", "decoupled weight decay of AdamW", atLeast(0), ""},
	{"optim.beta1", "decay of AdamW's first moment", share, ""},
	{"optim.beta2", "decay of AdamW's second moment", share, ""},
	{"optim.eps", "added to the root of AdamW's second moment", moreThan(0), ""},
	{"optim.warmup_ratio", "share of all steps over which the rate rises", between(0, 1), ""},
	{
		"optim.warmup_steps",
		"steps over which the rate rises, instead of optim.warmup_ratio; 0 means by the ratio",
		atLeast(0), "100",
	},
	{
		"optim.schedule",
		"the rate after the warm-up: linear or cosine (both down to 0), or constant",
		words("linear|cosine|constant"), "",
	},
	{"optim.max_grad_norm", "global norm that gradients are clipped to; 0 does not clip", atLeast(0), ""},
	{"train.epochs", "passes over the training data", between(1, 100_000), ""},
	{
		"train.extend_epochs",
		"passes added to a run that was planned without them; lor2c train --extend-epochs sets it",
		between(1, 100_000), "[2]",
	},
	{
		"train.max_steps",
		"optimizer steps of the run, instead of train.epochs; 0 means by the epochs",
		between(0, 1_000_000_000), "1000",
	},
	{"train.batch_size", "examples of one optimizer step", between(1, 1_000_000), ""},
	{
		"train.micro_batch_size",
		"examples of one forward and backward pass, a divisor of train.batch_size over which gradients " +
			"accumulate; 0 means train.batch_size",
		between(0, 1_000_000), "8",
	},
	{"train.eval_batch_size", "examples of one evaluation pass; 0 means train.batch_size", between(0, 1_000_000), "64"},
	{
		"train.eval_every",
		"optimizer steps between evaluations, each with a checkpoint; 0 means at the ends of epochs",
		between(0, 1_000_000_000), "100",
	},
	{
		"train.early_stopping",
		"stop after this many evaluations in a row without a better score of data.metric; 0 means never",
		between(0, 1_000_000), "3",
	},
	{"train.min_delta", "what a score must gain to count as better for train.early_stopping", atLeast(0), "0.001"},
	{
		"train.class_weights",
		"what the loss of each class is multiplied by: balanced, or a number for each label, in order",
		moreThan(0), "balanced",
	},
	{"train.label_smoothing", "share of each label that is spread over all classes", share, "0.1"},
	{"train.precision", "what the device works in; trained parameters stay in float32", words("float32|bfloat16"), ""},
	{"train.log_every", "optimizer steps between read-backs of the loss", between(1, 1_000_000), ""},
	{
		"train.save_every",
		"optimizer steps between checkpoints beside those of evaluations; 0 means those alone",
		between(0, 1_000_000_000), "500",
	},
	{"train.keep_checkpoints", "how many of the newest checkpoints to keep", between(1, 1_000_000), ""},
	{"train.log_gradients", "record the adapter's mean gradients by layer after each epoch", anything, ""},
	{"out", "directory to write the run to", path.needed(), "runs/mrpc"},
	{"seed", "seed of the initial weights, the order of examples and dropout", anything, ""},
	{
		"paths",
		"where relative paths of a run file start: cwd, the current directory, or file, the directory of the file",
		words("cwd|file"), "",
	},
}
