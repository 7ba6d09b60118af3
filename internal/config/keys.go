package config

import "reflect"

// Key describes one key of a run file.
type Key struct {
	Name    string // "optim.lr"; its variable is LOR2C_OPTIM_LR
	Type    string // what its value is, in words
	Default string // as YAML; "" for an empty string
	Doc     string // half a sentence, without a full stop
}

// Keys returns every key in the order of a run file.
func Keys() []Key {
	c := Default()
	keys := make([]Key, len(runFile.leaves))
	for i, l := range runFile.leaves {
		value := inline(reflect.ValueOf(c).FieldByIndex(l.index).Interface())
		if value == `""` {
			value = ""
		}
		keys[i] = Key{l.name, want(l.typ), value, docs[i][1]}
	}
	return keys
}

// docs explains each key; a test holds it to the fields of Config.
var docs = [...][2]string{
	{"model", "Hugging Face directory of the base model"},
	{"data.task", "a GLUE task such as rte, or custom"},
	{"data.dir", "GLUE tasks: the task's folder or the one above it"},
	{"data.train", "custom: file to train on, .csv, .tsv or .jsonl"},
	{"data.dev", "custom: file to evaluate on"},
	{"data.test", "custom: file to predict; it needs no labels"},
	{"data.text", "custom: name of the text column, or of two for pairs"},
	{"data.label", "custom: name of the label column"},
	{"data.kind", "custom: classification (also if empty) or regression"},
	{"data.labels", "custom: class names in order; empty means those of data.train, sorted"},
	{"data.metric", "what picks the best epoch; empty means the task's own"},
	{"data.max_length", "tokens an example is cut to; 0 means 256, and 512 for rte"},
	{"method.name", "how to fine-tune: lor2c, lora, full or head"},
	{"method.rank", "inner width r of the low-rank path"},
	{"method.alpha", "the low-rank path is scaled by alpha/rank"},
	{"method.dropout", "on the input of the low-rank path; null means 0.1 for lor2c, 0.05 for lora"},
	{"method.share", "lor2c: all layers use one A"},
	{"method.target_modules", "the linear layers that lora, and injection, adapt"},
	{"method.inject_rank", "rank of an injected LoRA; 0 means half of method.rank"},
	{"method.inject_alpha", "an injected LoRA is scaled by this over its rank; 0 means 16"},
	{"method.inject_dropout", "on the input of an injected LoRA; null means 0.05"},
	{"schedule.preset", "paper, or release for what the published code does; fills the keys below that are empty"},
	{"schedule.max_merges", "M_max, merges of neighbouring modules in a run"},
	{"schedule.max_injects", "I_max, modules replaced by LoRA in a run"},
	{"schedule.timing", "epochs (eq. 11, 12) or steps (fractions of an epoch, for short runs)"},
	{"schedule.score", "what a module is judged by: sfs or nuclear"},
	{"schedule.sfs_k", "singular values left out of SFS; 0 means 2"},
	{"schedule.merge_select", "the pair with min or max sum of scores is merged"},
	{"schedule.keep", "a merged module has the factors of the richer or the first member"},
	{"schedule.inject_select", "the module with min or max score is replaced"},
	{"schedule.max_span", "most layers of a merged module; 0 means no bound"},
	{"schedule.adjacency", "around an injected layer: gap (no merge across it) or strict (its neighbours do not merge)"},
	{"schedule.on_conflict", "merge and injection due together: both, or defer_inject"},
	{"schedule.until", "share of training after which nothing changes; 0 means 0.5, release 1"},
	{"schedule.evaluate", "an epoch's evaluation: after or before its changes"},
	{"schedule.moments", "AdamW's moments of a merged module: keep or reset"},
	{"schedule.changed", "merged and injected parameters: train, or freeze as the published code does"},
	{"schedule.what_if", "dev examples on which every candidate is tried before a change; 0 tries none"},
	{"optim.lr", "peak learning rate"},
	{"optim.head_lr_ratio", "learning rate of the classification head over optim.lr"},
	{"optim.weight_decay", "decoupled weight decay of AdamW"},
	{"optim.beta1", "decay of AdamW's first moment"},
	{"optim.beta2", "decay of AdamW's second moment"},
	{"optim.eps", "added to the root of AdamW's second moment"},
	{"optim.warmup_ratio", "share of all steps over which the rate rises"},
	{"optim.schedule", "after the warm-up: linear (down to 0) or constant"},
	{"optim.max_grad_norm", "global norm that gradients are clipped to; 0 does not clip"},
	{"train.epochs", "passes over the training data"},
	{"train.batch_size", "examples of one optimizer step"},
	{"train.micro_batch_size", "examples of one forward and backward pass; 0 means train.batch_size"},
	{"train.eval_batch_size", "examples of one evaluation pass; 0 means train.batch_size"},
	{"train.precision", "what the device works in: float32 or bfloat16; trained parameters stay in float32"},
	{"train.log_every", "optimizer steps between read-backs of the loss"},
	{"train.save_every", "optimizer steps between checkpoints inside an epoch; 0 means at ends of epochs only"},
	{"train.keep_checkpoints", "how many of the newest checkpoints to keep"},
	{"train.log_gradients", "record the adapter's mean gradients by layer after each epoch"},
	{"out", "directory to write the run to"},
	{"seed", "of initial weights, order of examples and dropout"},
}
