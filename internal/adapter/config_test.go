package adapter_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
)

// TestValidate asserts every message, and none for what is allowed.
func TestValidate(t *testing.T) {
	set := func(change func(*adapter.Config)) adapter.Config {
		c := adapter.Default()
		change(&c)
		return c
	}
	dropout := func(p float64) adapter.Config { return set(func(c *adapter.Config) { c.Dropout = &p }) }
	for _, c := range []struct {
		name   string
		config adapter.Config
		want   string
	}{
		{"default", adapter.Default(), ""},
		{"largest-rank", set(func(c *adapter.Config) { c.Rank = 256 }), ""},
		{"share", set(func(c *adapter.Config) { c.Share = true }), ""},
		{"no-dropout", dropout(0), ""},
		{"head-without-rank", adapter.Config{Name: "head"}, ""},
		{"full-without-rank", adapter.Config{Name: "full"}, ""},
		{"lor2c-without-targets", set(func(c *adapter.Config) { c.TargetModules = nil }), ""},
		{"unknown", adapter.Config{Name: "dora"}, `method.name: is "dora"; want one of ` + strings.Join(adapter.Names(), ", ")},
		{"rank-0", set(func(c *adapter.Config) { c.Rank = 0 }), "method.rank: is 0; want 1 to 256"},
		{"rank-257", set(func(c *adapter.Config) { c.Name, c.Rank = "lora", 257 }), "method.rank: is 257; want 1 to 256"},
		{"alpha-0", set(func(c *adapter.Config) { c.Alpha = 0 }), "method.alpha: is 0; want more than 0"},
		{"alpha-nan", set(func(c *adapter.Config) { c.Alpha = math.NaN() }), "method.alpha: is NaN; want more than 0"},
		{"alpha-inf", set(func(c *adapter.Config) { c.Alpha = math.Inf(1) }), "method.alpha: is +Inf; want alpha/rank to be finite in float32"},
		{"alpha-too-large", set(func(c *adapter.Config) { c.Alpha = 1e308 }), "method.alpha: is 1e+308; want alpha/rank to be finite in float32"},
		{"inject-alpha-too-large", set(func(c *adapter.Config) { c.InjectAlpha = 1e39 }),
			"method.inject_alpha: is 1e+39; want 0 (which means 16) or more, and alpha/rank to be finite in float32"},
		{"alpha-negative-inf", set(func(c *adapter.Config) { c.Alpha = math.Inf(-1) }), "method.alpha: is -Inf; want more than 0"},
		{"dropout-inf", dropout(math.Inf(1)), "method.dropout: is +Inf; want at least 0 and less than 1"},
		{"dropout-1", dropout(1), "method.dropout: is 1; want at least 0 and less than 1"},
		{"dropout-negative", dropout(-0.1), "method.dropout: is -0.1; want at least 0 and less than 1"},
		{"dropout-nan", dropout(math.NaN()), "method.dropout: is NaN; want at least 0 and less than 1"},
		{"share-lora", set(func(c *adapter.Config) { c.Name, c.Share = "lora", true }), "method.share: is true for lora; only lor2c shares its A"},
		{"no-targets", set(func(c *adapter.Config) { c.Name, c.TargetModules = "lora", nil }),
			"method.target_modules: is empty; lora needs at least one linear layer, for example query and value"},
		{"target-twice", set(func(c *adapter.Config) { c.Name, c.TargetModules = "lora", []string{"key", "value", "key"} }),
			`method.target_modules: "key" is named twice`},
		{"two-faults", set(func(c *adapter.Config) { c.Rank, c.Alpha = -1, -2 }),
			"method.rank: is -1; want 1 to 256\nmethod.alpha: is -2; want more than 0"},
	} {
		t.Run("config="+c.name, func(t *testing.T) {
			got := ""
			if faults := c.config.Validate(); faults != nil {
				got = errors.Join(faults...).Error()
			}
			if got != c.want {
				t.Errorf("faults\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestResolve asserts the dropouts that the authors' scripts train with, and
// that a dropout which was set stays.
func TestResolve(t *testing.T) {
	for name, want := range map[string]float64{"lor2c": 0.1, "lora": 0.05, "full": 0, "bitfit": 0, "head": 0} {
		t.Run("method="+name, func(t *testing.T) {
			c := adapter.Config{Name: name}
			if c.Resolve(); c.Dropout == nil || *c.Dropout != want {
				t.Errorf("dropout %v; want %g", c.Dropout, want)
			}
			other := 0.3
			c.Dropout = &other
			if c.Resolve(); *c.Dropout != 0.3 {
				t.Errorf("dropout %g; want the 0.3 that was set", *c.Dropout)
			}
		})
	}
}

// TestScale asserts alpha/r, also where it is no whole number.
func TestScale(t *testing.T) {
	for _, c := range []struct {
		rank  int
		alpha float64
		want  float32
	}{{8, 16, 2}, {64, 32, 0.5}, {3, 1, 1.0 / 3}} {
		t.Run(fmt.Sprintf("rank=%d/alpha=%g", c.rank, c.alpha), func(t *testing.T) {
			if got := (adapter.Config{Rank: c.rank, Alpha: c.alpha}).Scale(); got != c.want {
				t.Errorf("scale %g; want %g", got, c.want)
			}
		})
	}
}
