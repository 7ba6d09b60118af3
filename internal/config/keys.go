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
	{"method.target_modules", "lora: the linear layers to adapt"},
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
	{"train.log_every", "optimizer steps between read-backs of the loss"},
	{"train.save_every", "optimizer steps between checkpoints inside an epoch; 0 means at ends of epochs only"},
	{"train.keep_checkpoints", "how many of the newest checkpoints to keep"},
	{"out", "directory to write the run to"},
	{"seed", "of initial weights, order of examples and dropout"},
}
