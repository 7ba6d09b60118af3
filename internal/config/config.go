// Package config reads the run file of lor2c train: one YAML file whose sections
// belong to the packages that use them.
//
// A value comes from, weakest first: the defaults, the file, the environment
// (LOR2C_OPTIM_LR for optim.lr) and --set key=value. Reading is strict: a key
// that is not known, given twice or of the wrong type is a fault, and all
// faults are reported together, each with the place it was read from.
//
// Relative paths, also those in the file, start at the current directory, as
// those of any command line do. Only a file that says "paths: file" has them
// start at its own directory: a run directory's does, so that it can be used from
// anywhere and be moved together with its data.
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

// Config is a run file. Table docs explains every key, and Keys returns it.
type Config struct {
	Model string `yaml:"model"`
	// InitAdapter is an adapter directory whose values the run begins with.
	InitAdapter string          `yaml:"init_adapter"`
	Data        dataset.Config  `yaml:"data"`
	Method      adapter.Config  `yaml:"method"`
	Schedule    schedule.Config `yaml:"schedule"`
	Optim       optim.Config    `yaml:"optim"`
	Train       Train           `yaml:"train"`
	Out         string          `yaml:"out"`
	Seed        uint64          `yaml:"seed"`
	// Paths says where relative paths of a file start, PathsCWD or PathsFile.
	// Load has made all of them start at the current directory.
	Paths string `yaml:"paths"`
}

// The values of Config.Paths.
const (
	PathsCWD  = "cwd"
	PathsFile = "file"
)

// Train is the `train:` section: the extent of a run and what it leaves behind.
type Train struct {
	Epochs          int      `yaml:"epochs"`
	ExtendEpochs    []int    `yaml:"extend_epochs"` // added to a run that was planned without them, one element each time
	MaxSteps        int      `yaml:"max_steps"`     // 0: Epochs decides
	BatchSize       int      `yaml:"batch_size"`
	MicroBatchSize  int      `yaml:"micro_batch_size"`
	EvalBatchSize   int      `yaml:"eval_batch_size"`
	EvalEvery       int      `yaml:"eval_every"`     // 0: at the ends of epochs
	EarlyStopping   int      `yaml:"early_stopping"` // 0: never
	MinDelta        float64  `yaml:"min_delta"`
	ClassWeights    []Weight `yaml:"class_weights"`
	LabelSmoothing  float64  `yaml:"label_smoothing"`
	Precision       string   `yaml:"precision"`
	LogEvery        int      `yaml:"log_every"`
	SaveEvery       int      `yaml:"save_every"`
	KeepCheckpoints int      `yaml:"keep_checkpoints"`
	LogGradients    bool     `yaml:"log_gradients"`
}

// Extent returns how many optimizer steps a run has whose epochs have perEpoch
// each, and how many epochs these begin, without those that were added later.
func (t Train) Extent(perEpoch int) (steps, epochs int) {
	if t.MaxSteps > 0 {
		return t.MaxSteps, (t.MaxSteps + perEpoch - 1) / perEpoch
	}
	return t.Epochs * perEpoch, t.Epochs
}

// AddedEpochs returns the passes of ExtendEpochs together.
func (t Train) AddedEpochs() (n int) {
	for _, more := range t.ExtendEpochs {
		n += more
	}
	return n
}

// The values of Train.Precision.
const (
	Float32  = "float32"
	BFloat16 = "bfloat16"
)

// Default returns the settings of a run that sets nothing. It is not valid:
// model, data and out have no default.
func Default() Config {
	c := Config{
		Method:   adapter.Default(),
		Schedule: schedule.Default(),
		Optim:    optim.Default(),
		Train:    Train{Epochs: 10, BatchSize: 16, Precision: Float32, LogEvery: 10, KeepCheckpoints: 2},
		Seed:     17,
		Paths:    PathsCWD,
	}
	c.Optim.LR = 0 // Resolve takes that of the method
	return c
}

// Resolve fills what other settings decide when the user does not. Load has
// done so already.
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
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(c); err != nil {
		panic(Bug{"encode", err.Error()})
	}
	return b.Bytes()
}

// Bug is the value of a panic: a struct in Config that this package cannot read
// or write, which no run file can cause.
type Bug struct{ Op, What string }

func (b Bug) Error() string { return fmt.Sprintf("config: %s: %s", b.Op, b.What) }
