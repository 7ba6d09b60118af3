package adapter

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/schedule"
)

// Config is the `method:` section of a run file. Table docs of package config
// explains every key.
type Config struct {
	Name          string   `yaml:"name" json:"name"`
	Rank          int      `yaml:"rank" json:"rank"`
	Alpha         float64  `yaml:"alpha" json:"alpha"`
	Dropout       *float64 `yaml:"dropout" json:"dropout"`
	Share         bool     `yaml:"share" json:"share"`
	TargetModules []string `yaml:"target_modules" json:"target_modules"`
	InjectRank    int      `yaml:"inject_rank" json:"inject_rank,omitempty"`
	InjectAlpha   float64  `yaml:"inject_alpha" json:"inject_alpha,omitempty"`
	InjectDropout *float64 `yaml:"inject_dropout" json:"inject_dropout,omitempty"`
}

// defaults are the settings that differ by method, where a run file has none:
// the dropout on the low-rank path, and the learning rate, which
// docs/defaults.md measures.
var defaults = map[string]struct{ dropout, learningRate float64 }{
	"lor2c": {0.1, 1e-3},
	"lora":  {0.05, 1e-3},
	"full":  {0, 5e-5},
	"head":  {0, 1e-3},
}

// TrainsBase reports whether the method trains the parameters of the base model.
func (c Config) TrainsBase() bool { return c.Name == "full" }

// CheckProgress lists what in the result of a method's Progress, saved after a step, the limits of the schedule do not
// allow.
func (c Config) CheckProgress(progress json.RawMessage, limits schedule.Config, step int) []string {
	if progress == nil || c.Name != "lor2c" {
		return nil
	}
	return checkProgress(progress, limits, step)
}

// LearningRate returns the learning rate of a run whose file has none.
func (c Config) LearningRate() float64 { return defaults[c.Name].learningRate }

// Default returns the settings of the paper's RoBERTa-base rows.
func Default() Config {
	return Config{Name: "lor2c", Rank: 8, Alpha: 16, TargetModules: []string{"query", "value"}}
}

// Resolve fills what the method decides when the user does not.
func (c *Config) Resolve() {
	if c.Dropout == nil {
		p := defaults[c.Name].dropout
		c.Dropout = &p
	}
	if c.Name != "lor2c" {
		return
	}
	if c.InjectRank == 0 {
		c.InjectRank = max(c.Rank/2, 1)
	}
	if c.InjectAlpha == 0 {
		c.InjectAlpha = 16
	}
	if c.InjectDropout == nil {
		p := 0.05
		c.InjectDropout = &p
	}
}

// injected returns the settings of the LoRA that injection makes.
func (c Config) injected() Config {
	return Config{Name: "lora", Rank: c.InjectRank, Alpha: c.InjectAlpha, Dropout: c.InjectDropout, TargetModules: c.TargetModules}
}

// Scale is alpha/r.
func (c Config) Scale() float32 { return float32(c.Alpha / float64(c.Rank)) }

// Validate returns every fault of c that can be seen without a model.
func (c Config) Validate() (faults []error) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf(format, a...)) }
	if _, ok := methods[c.Name]; !ok {
		fault("method.name: is %q; want one of %s", c.Name, strings.Join(Names(), ", "))
	}
	lowRank := c.Name == "lor2c" || c.Name == "lora"
	if lowRank && (c.Rank < 1 || c.Rank > MaxRank) {
		fault("method.rank: is %d; want 1 to %d", c.Rank, MaxRank)
	}
	if lowRank && !(c.Alpha > 0) {
		fault("method.alpha: is %g; want more than 0", c.Alpha)
	}
	if lowRank && c.Alpha > 0 && c.Rank > 0 && infinite(c.Scale()) {
		fault("method.alpha: is %g; want alpha/rank to be finite in float32", c.Alpha)
	}
	if c.Dropout != nil && !(*c.Dropout >= 0 && *c.Dropout < 1) {
		fault("method.dropout: is %g; want at least 0 and less than 1", *c.Dropout)
	}
	if c.InjectRank < 0 || c.InjectRank > MaxRank {
		fault("method.inject_rank: is %d; want 0 (half of method.rank) to %d", c.InjectRank, MaxRank)
	}
	if !(c.InjectAlpha >= 0) || infinite(float32(c.InjectAlpha/float64(max(c.InjectRank, 1)))) {
		fault("method.inject_alpha: is %g; want 0 (which means 16) or more, and alpha/rank to be finite in float32", c.InjectAlpha)
	}
	if p := c.InjectDropout; p != nil && !(*p >= 0 && *p < 1) {
		fault("method.inject_dropout: is %g; want at least 0 and less than 1", *p)
	}
	if c.Share && c.Name != "lor2c" {
		fault("method.share: is true for %s; only lor2c shares its A", c.Name)
	}
	if c.Name == "lora" {
		if len(c.TargetModules) == 0 {
			fault("method.target_modules: is empty; lora needs at least one linear layer, for example query and value")
		}
		for i, t := range c.TargetModules {
			if slices.Contains(c.TargetModules[:i], t) {
				fault("method.target_modules: %q is named twice", t)
			}
		}
	}
	return faults
}

func infinite(scale float32) bool { return math.IsInf(float64(scale), 0) }

// MaxRank is the largest rank that every device supports.
const MaxRank = 256
