package optim

import "github.com/lor2c/lor2c/internal/setting"

// Config is the `optim:` section of a run file.
type Config struct {
	LR          float64 `yaml:"lr" doc:"peak learning rate" range:">0.." unset:"that of the method, 1e-3 for lor2c" example:"1e-4"`
	HeadLRRatio float64 `yaml:"head_lr_ratio" doc:"learning rate of the classification head over optim.lr" range:"0.."`
	WeightDecay float64 `yaml:"weight_decay" doc:"decoupled weight decay of AdamW" range:"0.."`
	Beta1       float64 `yaml:"beta1" doc:"decay of AdamW's first moment" range:"0..<1"`
	Beta2       float64 `yaml:"beta2" doc:"decay of AdamW's second moment" range:"0..<1"`
	Eps         float64 `yaml:"eps" doc:"added to the root of AdamW's second moment" range:">0.."`
	WarmupRatio float64 `yaml:"warmup_ratio" doc:"share of all steps over which the rate rises" range:"0..1"`
	// 0 means that WarmupRatio decides
	WarmupSteps int     `yaml:"warmup_steps" doc:"steps over which the rate rises, instead of optim.warmup_ratio; 0 means none, unless the ratio is set beside it" range:"0..1000000000" unset:"by optim.warmup_ratio" example:"100"`
	Schedule    string  `yaml:"schedule" doc:"the rate after the warm-up: linear or cosine (both down to 0), or constant" words:"linear|cosine|constant"`
	MaxGradNorm float64 `yaml:"max_grad_norm" doc:"global norm that gradients are clipped to; 0 does not clip" range:"0.."`
}

// These are the values of Config.Schedule, under the names that transformers
// uses.
const (
	Linear   = "linear"
	Cosine   = "cosine"
	Constant = "constant"
)

// Default returns the settings of low-rank adapters. docs/defaults.md describes how the rates were chosen, and
// docs/divergence.md lists where they differ from the authors' GLUE script.
func Default() Config {
	return Config{
		LR: 1e-3, HeadLRRatio: 5, WeightDecay: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8,
		WarmupRatio: 0.06, Schedule: Linear, MaxGradNorm: 1,
	}
}

// Validate returns one error for every setting of c that is out of range.
func (c Config) Validate() []error { return setting.Faults("optim", c) }
