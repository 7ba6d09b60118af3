package adapter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
)

// TestValidate compares every message, and checks that valid settings have
// none.
func TestValidate(t *testing.T) {
	set := func(values adapter.Values) adapter.Config { return adapter.Default().With(values) }
	dropout := func(p float64) adapter.Config { return set(adapter.Values{"dropout": p}) }
	for _, c := range []struct {
		name   string
		config adapter.Config
		want   string
	}{
		{"default", adapter.Default(), ""},
		{"largest-rank", set(adapter.Values{"rank": 256}), ""},
		{"share", set(adapter.Values{"share": true}), ""},
		{"no-dropout", dropout(0), ""},
		{"head-without-rank", adapter.NewConfig("head"), ""},
		{"full-without-rank", adapter.NewConfig("full"), ""},
		{"lor2c-without-targets", set(adapter.Values{"target_modules": nil}), ""},
		{"unknown", adapter.NewConfig("loha"), `method.name: is "loha"; want one of ` + strings.Join(adapter.Names(), ", ")},
		{"rank-0", set(adapter.Values{"rank": 0}), "method.rank: is 0; want 1 to 256"},
		{"rank-257", adapter.Configure("lora", adapter.Values{"rank": 257}), "method.rank: is 257; want 1 to 256"},
		{"alpha-0", set(adapter.Values{"alpha": 0}), "method.alpha: is 0; want more than 0"},
		{"alpha-nan", set(adapter.Values{"alpha": math.NaN()}), "method.alpha: is NaN; want more than 0"},
		{"alpha-inf", set(adapter.Values{"alpha": math.Inf(1)}), "method.alpha: is +Inf; want more than 0 and finite"},
		{"alpha-too-large", set(adapter.Values{"alpha": 1e308}),
			"method.alpha: is 1e+308; want alpha/rank to be finite in float32"},
		{"inject-alpha-too-large", set(adapter.Values{"inject_alpha": 1e40}),
			"method.inject_alpha: is 1e+40; want inject_alpha/inject_rank to be finite in float32"},
		{"alpha-negative-inf", set(adapter.Values{"alpha": math.Inf(-1)}), "method.alpha: is -Inf; want more than 0"},
		{"dropout-inf", dropout(math.Inf(1)), "method.dropout: is +Inf; want at least 0 and less than 1"},
		{"dropout-1", dropout(1), "method.dropout: is 1; want at least 0 and less than 1"},
		{"dropout-negative", dropout(-0.1), "method.dropout: is -0.1; want at least 0 and less than 1"},
		{"dropout-nan", dropout(math.NaN()), "method.dropout: is NaN; want at least 0 and less than 1"},
		{"no-targets", adapter.Configure("lora", adapter.Values{"target_modules": nil}),
			"method.target_modules: is empty; want at least one linear layer, for example query and value"},
		{"target-twice", adapter.Configure("lora", adapter.Values{"target_modules": []string{"key", "value", "key"}}),
			`method.target_modules: "key" is named twice`},
		{"two-faults", set(adapter.Values{"rank": -1, "alpha": -2}),
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

// TestResolve compares with the dropouts that the authors' scripts train with, the rank of an injected LoRA, and that a
// value which was set stays.
func TestResolve(t *testing.T) {
	for name, want := range map[string]any{"lor2c": 0.1, "lora": 0.05, "full": nil, "bitfit": nil, "head": nil} {
		c := adapter.NewConfig(name)
		if c.Resolve(); c.Value("dropout") != want {
			t.Errorf("%s: dropout %v; want %v", name, c.Value("dropout"), want)
		}
	}
	for _, c := range []struct{ rank, set, want int }{{8, 0, 4}, {1, 0, 1}, {8, 3, 3}} {
		before := adapter.Configure("lor2c", adapter.Values{"rank": c.rank, "inject_rank": c.set})
		after := before
		if after.Resolve(); after.Value("inject_rank") != c.want {
			t.Errorf("rank %d: inject_rank %v; want %d", c.rank, after.Value("inject_rank"), c.want)
		}
		if before.Value("inject_rank") != c.set {
			t.Errorf("Resolve changed the Config that it was copied from")
		}
	}
}

// TestSet: a value of another type or key is an error that names what the method takes.
func TestSet(t *testing.T) {
	c := adapter.NewConfig("lora")
	for want, err := range map[string]error{
		"adapter: configure lora: there is no key share; want one of rank, alpha, dropout, target_modules, use_rslora, " +
			"loraplus_lr_ratio": c.Set("share", true),
		"adapter: configure lora: rank is string; want int": c.Set("rank", "8"),
	} {
		if fmt.Sprint(err) != want {
			t.Errorf("error %v; want %s", err, want)
		}
	}
	if !c.Equal(adapter.NewConfig("lora")) {
		t.Errorf("settings are %v after faults", c)
	}
}

// TestSharedKeys: a key that two methods take has the same type in both, so that one value in a run file suits both.
func TestSharedKeys(t *testing.T) {
	types := map[string]reflect.Type{}
	for _, k := range adapter.AllKeys() {
		if was := types[k.Name]; was != nil && was != k.Type {
			t.Errorf("method.%s is %v for some methods and %v for others", k.Name, was, k.Type)
		}
		types[k.Name] = k.Type
	}
}

// TestJSON: a description has the settings of its method alone, and one that an older release wrote is read.
func TestJSON(t *testing.T) {
	c := adapter.Configure("lora",
		adapter.Values{"rank": 4, "alpha": 8, "dropout": 0.25, "target_modules": []string{"key"}})
	const own = `{"name":"lora","rank":4,"alpha":8,"dropout":0.25,"target_modules":["key"],"use_rslora":false,"loraplus_lr_ratio":1}`
	if got := c.String(); got != own {
		t.Errorf("got  %s\nwant %s", got, own)
	}
	for text, want := range map[string]string{
		own: "",
		`{"name":"lora","rank":4,"alpha":8,"dropout":0.25,"target_modules":["key"]}`:                                                 "",
		`{"name":"lora","rank":4,"alpha":8,"dropout":0.25,"share":false,"target_modules":["key"]}`:                                   "",
		`{"name":"lora","rank":4,"alpha":8,"dropout":0.25,"share":false,"target_modules":["key"],"inject_rank":2,"inject_alpha":16}`: "",
		`{"name":"lora","rank":"4"}`:  "method.rank: holds a JSON string, not a whole number",
		`{"name":"lora","rank":4.5}`:  "method.rank: holds 4.5, not a whole number in plain digits",
		`{"name":"lora","ranks":4}`:   `method has the key "ranks", which is not one of method lora`,
		`{"name":["lora"],"ranks":4}`: "method.name: holds a JSON array, not a string",
	} {
		var got adapter.Config
		err := json.Unmarshal([]byte(text), &got)
		if want == "" && (err != nil || !got.Equal(c)) {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
		if want != "" && fmt.Sprint(err) != want {
			t.Errorf("%s: error %v; want %s", text, err, want)
		}
	}
}

// TestScale compares Scale with alpha/r, also for values that are not whole
// numbers.
func TestScale(t *testing.T) {
	for _, c := range []struct {
		rank  int
		alpha float64
		want  float32
	}{{8, 16, 2}, {64, 32, 0.5}, {3, 1, 1.0 / 3}} {
		t.Run(fmt.Sprintf("rank=%d/alpha=%g", c.rank, c.alpha), func(t *testing.T) {
			if got := (adapter.Factors{Rank: c.rank, Alpha: c.alpha}).Scale(); got != c.want {
				t.Errorf("scale %g; want %g", got, c.want)
			}
		})
	}
}
