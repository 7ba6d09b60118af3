// Package config reads the run file of lor2c train: one YAML file whose
// sections belong to the packages that use them.
//
// A value comes from the defaults, the file, the environment (LOR2C_OPTIM_LR
// for optim.lr) or --set key=value. Each of these overrides the ones before.
// Reading is strict: a key that is unknown, given twice or of the wrong type is
// a fault. All faults are reported together, each with its place.
//
// Relative paths, also those in the file, start at the current directory, as
// those of any command line do. Only in a file with "paths: file" they start at
// the directory of the file. The run file in a run directory has this setting,
// so that it can be used from anywhere and be moved together with its data.
package config

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/schedule"
)

// Config is a run file. The tags of its fields describe the keys, see package setting. Keys lists them all.
type Config struct {
	Model string `yaml:"model" doc:"Hugging Face directory of the base model, or its name in the Hugging Face cache" path:"true" required:"true" example:"models/roberta-base"`
	// InitAdapter is an adapter directory. The run begins with its values.
	InitAdapter string          `yaml:"init_adapter" doc:"adapter directory whose values the run begins with, with a new optimizer; empty means values drawn by seed" path:"true" example:"runs/mnli/best"`
	Data        dataset.Config  `yaml:"data"`
	Method      adapter.Config  `yaml:"method"`
	Schedule    schedule.Config `yaml:"schedule"`
	Optim       optim.Config    `yaml:"optim"`
	Train       Train           `yaml:"train"`
	Out         string          `yaml:"out" doc:"directory to write the run to" path:"true" required:"true" example:"runs/mrpc"`
	Seed        uint64          `yaml:"seed" doc:"seed of the initial weights, the order of examples and dropout"`
	// Paths is PathsCWD or PathsFile and determines where relative paths of a file
	// start. After Load all of them start at the current directory.
	Paths string `yaml:"paths" doc:"where relative paths of a run file start: cwd, the current directory, or file, the directory of the file" words:"cwd|file"`
}

// These are the values of Config.Paths.
const (
	PathsCWD  = "cwd"
	PathsFile = "file"
)

// Train is the `train:` section: the length of a run and the files that it
// keeps.
type Train struct {
	Epochs int `yaml:"epochs" doc:"passes over the training data" range:"1..100000"`
	// added to a run that was planned without them, one element each time
	ExtendEpochs []int `yaml:"extend_epochs" doc:"passes added to a run that was planned without them; lor2c train --extend-epochs sets it" range:"1..100000" example:"[2]"`
	// 0: Epochs decides
	MaxSteps       int `yaml:"max_steps" doc:"optimizer steps of the run, instead of train.epochs; 0 means by the epochs" range:"0..1000000000" example:"1000"`
	BatchSize      int `yaml:"batch_size" doc:"examples of one optimizer step" range:"1..1000000"`
	MicroBatchSize int `yaml:"micro_batch_size" doc:"examples of one forward and backward pass, a divisor of train.batch_size over which gradients accumulate" range:"1..1000000" unset:"train.batch_size" example:"8"`
	// 0: MicroBatchSize alone decides
	MicroBatchTokens int `yaml:"micro_batch_tokens" doc:"the most tokens of one forward pass, beside train.micro_batch_size and train.eval_batch_size; a longer example has a pass of its own; 0 means no limit" range:"0..1000000000" example:"4096"`
	EvalBatchSize    int `yaml:"eval_batch_size" doc:"examples of one evaluation pass" range:"1..1000000" unset:"train.batch_size" example:"64"`
	// 0: at the ends of epochs
	EvalEvery int `yaml:"eval_every" doc:"optimizer steps between evaluations, each with a checkpoint; 0 means at the ends of epochs" range:"0..1000000000" example:"100"`
	// 0: never
	EarlyStopping   int      `yaml:"early_stopping" doc:"stop after this many evaluations in a row without a better score of data.metric; 0 means never" range:"0..1000000" example:"3"`
	MinDelta        float64  `yaml:"min_delta" doc:"what a score must gain to count as better for train.early_stopping" range:"0.." example:"0.001"`
	ClassWeights    []Weight `yaml:"class_weights" doc:"what the loss of each class is multiplied by: balanced, or a number for each label, in order" range:">0.." example:"balanced"`
	LabelSmoothing  float64  `yaml:"label_smoothing" doc:"share of each label that is spread over all classes" range:"0..<1" example:"0.1"`
	Reduction       string   `yaml:"reduction" doc:"task instruct: what the loss is a mean over: the predicted tokens of a step, or its examples, each with the mean over its tokens" words:"tokens|examples"`
	Reduce          string   `yaml:"reduce" doc:"how the gradients of the micro-batches of a step are added: ordered, each computed on its own and added in their order, so that a run has the same bytes in one process and on any number of ranks, or sum, as they are computed; a card alone adds as it computes" words:"ordered|sum"`
	Precision       string   `yaml:"precision" doc:"what the device works in; trained parameters stay in float32" words:"float32|bfloat16"`
	Quantize        string   `yaml:"quantize" doc:"how frozen weights of linear layers are stored: none, as train.precision says, or nf4, in four bits as bitsandbytes does" words:"none|nf4"`
	LogEvery        int      `yaml:"log_every" doc:"optimizer steps between read-backs of the loss" range:"1..1000000"`
	SaveEvery       int      `yaml:"save_every" doc:"optimizer steps between checkpoints beside those of evaluations; 0 means those alone" range:"0..1000000000" example:"500"`
	KeepCheckpoints int      `yaml:"keep_checkpoints" doc:"how many of the newest checkpoints to keep" range:"1..1000000"`
	LogGradients    bool     `yaml:"log_gradients" doc:"record the adapter's mean gradients by layer after each epoch"`
}

// Extent returns the number of optimizer steps of a run whose epochs have
// perEpoch steps each, and the number of epochs that these steps begin. It does
// not include epochs that were added later.
func (t Train) Extent(perEpoch int) (steps, epochs int) {
	if t.MaxSteps > 0 {
		return t.MaxSteps, (t.MaxSteps + perEpoch - 1) / perEpoch
	}
	return t.Epochs * perEpoch, t.Epochs
}

// AddedEpochs returns the sum of ExtendEpochs.
func (t Train) AddedEpochs() (n int) {
	for _, more := range t.ExtendEpochs {
		n += more
	}
	return n
}

// These are the values of Train.Reduction.
const (
	ReduceTokens   = "tokens"
	ReduceExamples = "examples"
)

// These are the values of Train.Reduce.
const (
	ReduceOrdered = "ordered"
	ReduceSum     = "sum"
)

// These are the values of Train.Precision.
const (
	Float32  = "float32"
	BFloat16 = "bfloat16"
)

// These are the values of Train.Quantize.
const (
	QuantizeNone = "none"
	QuantizeNF4  = "nf4"
)

// Default returns the settings of a run file that sets nothing. It is not
// valid, because model, data and out have no default.
func Default() Config {
	c := Config{
		Method:   adapter.Default(),
		Schedule: schedule.Default(),
		Optim:    optim.Default(),
		Train: Train{Epochs: 10, BatchSize: 16, Reduction: ReduceTokens, Reduce: ReduceOrdered, Precision: Float32,
			Quantize: QuantizeNone, LogEvery: 10, KeepCheckpoints: 2},
		Seed:  17,
		Paths: PathsCWD,
	}
	c.Optim.LR = 0 // Resolve sets it to the method's
	return c
}

// Resolve sets the keys whose values follow from other settings if the user
// does not set them. Load has already called it.
func (c *Config) Resolve() {
	c.Method.Resolve()
	c.Schedule.Resolve()
	if c.Optim.LR == 0 {
		c.Optim.LR = c.Method.LearningRate()
	}
	if c.Train.MicroBatchSize == 0 {
		c.Train.MicroBatchSize = c.Train.BatchSize
	}
	if c.Train.EvalBatchSize == 0 {
		c.Train.EvalBatchSize = c.Train.BatchSize
	}
}

// YAML returns c as a run file with every key, in the order of Keys. Load reads
// it back as an equal Config.
func (c *Config) YAML() []byte { return encode(c) }

func encode(c *Config) []byte {
	root := &yaml.Node{Kind: yaml.MappingNode}
	sections := map[string]*yaml.Node{"": root}
	for _, l := range runFile.leaves {
		value, ok := l.get(c)
		if !ok {
			continue
		}
		in := sections[parent(l.name)]
		if in == nil {
			in = &yaml.Node{Kind: yaml.MappingNode}
			sections[parent(l.name)] = in
			root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: parent(l.name)}, in)
		}
		var n yaml.Node
		if err := n.Encode(value.Interface()); err != nil {
			panic(Bug{"encode", err.Error()})
		}
		if value.IsZero() && l.meaning(c.Method.Name()).Unset != "" {
			n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
		}
		in.Content = append(in.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: last(l.name)}, &n)
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		panic(Bug{"encode", err.Error()})
	}
	return b.Bytes()
}

// Bug is the panic value for a struct in Config that this package cannot read
// or write. No run file can cause it.
type Bug struct{ Op, What string }

func (b Bug) Error() string { return fmt.Sprintf("config: %s: %s", b.Op, b.What) }
