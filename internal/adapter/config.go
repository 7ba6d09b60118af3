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

// Trains returns which parameters of the base model the method trains; nil if it trains none.
func (c Config) Trains() func(name string) bool { return methods[c.Name].trains }

// wholeModel reports whether the method is saved as a whole model, which holds the names of the base.
func (c Config) wholeModel() bool { return methods[c.Name].peftType == "" }

// Takes reports whether the method takes a key of the method section.
func (c Config) Takes(key string) bool { return slices.Contains(methods[c.Name].keys, key) }

// Changes reports whether the method can change its structure on a schedule.
func (c Config) Changes() bool { return methods[c.Name].checkProgress != nil }

// Variant names the form of the method that c chooses, as a prefix of the method's name.
func (c Config) Variant() string {
	if of := methods[c.Name].variant; of != nil {
		return of(c)
	}
	return ""
}

// CheckProgress lists what in the result of a method's Progress, saved after a step, the limits of the schedule do not
// allow.
func (c Config) CheckProgress(progress json.RawMessage, limits schedule.Config, step int) []string {
	if progress == nil || !c.Changes() {
		return nil
	}
	return methods[c.Name].checkProgress(progress, limits, step)
}

// LearningRate returns the default learning rate of the method.
func (c Config) LearningRate() float64 { return methods[c.Name].learningRate }

// Default returns the settings of the paper's RoBERTa-base rows.
func Default() Config {
	return Config{Name: "lor2c", Rank: 8, Alpha: 16, TargetModules: []string{"query", "value"}}
}

// Resolve sets the defaults that depend on the method, for keys that are not set.
func (c *Config) Resolve() {
	m := methods[c.Name]
	if c.Dropout == nil {
		p := m.dropout
		c.Dropout = &p
	}
	if m.resolve != nil {
		m.resolve(c)
	}
}

// Scale is alpha/r.
func (c Config) Scale() float32 { return float32(c.Alpha / float64(c.Rank)) }

// Validate returns every fault of c that can be seen without a model.
func (c Config) Validate() (faults []error) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf(format, a...)) }
	if _, ok := methods[c.Name]; !ok {
		fault("method.name: is %q; want one of %s", c.Name, strings.Join(Names(), ", "))
	}
	lowRank := c.Takes("rank")
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
	if c.Share && !c.Takes("share") {
		fault("method.share: is true for %s; only %s shares its A", c.Name, strings.Join(Taking("share"), ", "))
	}
	if validate := methods[c.Name].validate; validate != nil {
		faults = append(faults, validate(c)...)
	}
	return faults
}

// Scheduled lists the methods that can change their structure on a schedule.
func Scheduled() (names []string) {
	for _, name := range Names() {
		if (Config{Name: name}).Changes() {
			names = append(names, name)
		}
	}
	return names
}

// Taking lists the methods that take a key of the method section.
func Taking(key string) (names []string) {
	for _, name := range Names() {
		if slices.Contains(methods[name].keys, key) {
			names = append(names, name)
		}
	}
	return names
}

func infinite(scale float32) bool { return math.IsInf(float64(scale), 0) }

// MaxRank is the largest rank that every device supports.
const MaxRank = 256
