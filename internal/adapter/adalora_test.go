package adapter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
)

// TestKept compares the budget with the numbers of PEFT's RankAllocator for 288 triplets, of which 192 are kept.
func TestKept(t *testing.T) {
	for step, want := range map[int]int{
		0: 288, 100: 288, 101: 287, 200: 232, 300: 204, 400: 193, 499: 192, 500: 192, 501: 192, 1000: 192,
	} {
		if got := adapter.Kept(1000, 100, 500, 288, 192, step); got != want {
			t.Errorf("after step %d: %d triplets are kept; want %d", step, got, want)
		}
	}
}

// TestAdaLoRAFaults: settings and runs that leave no ranks to give up are refused by name.
func TestAdaLoRAFaults(t *testing.T) {
	for _, c := range []struct {
		values adapter.Values
		steps  int
		want   string
	}{
		{adapter.Values{"init_rank": 8}, 0,
			"[method.init_rank: is 8; want more than method.target_rank, 8, so that there are ranks to give up]"},
		{adapter.Values{"tinit_ratio": 0.5}, 0,
			"[method.tinit_ratio: is 0.5; with method.tfinal_ratio, 0.5, it leaves no step in which " +
				"ranks are given up; want less than 1 together]"},
		{adapter.Values{"beta1": 1.0}, 0, "[method.beta1: is 1; want more than 0 and less than 1]"},
		{adapter.Values{}, 3, "<nil>"},
		{adapter.Values{"tinit_ratio": 0.45}, 4,
			"adapter: attach adalora: the run has 4 steps, of which method.tinit_ratio takes 2 and " +
				"method.tfinal_ratio 2; want at least one between them, after which ranks are given up"},
	} {
		t.Run(fmt.Sprint(c.values, c.steps), func(t *testing.T) {
			config := adapter.Configure("adalora", c.values)
			var got any = config.Validate()
			if c.steps > 0 {
				m, err := model.New(nulldev.Open(4), tiny("roberta"), 3, 1, nil, weights)
				if err != nil {
					t.Fatal(err)
				}
				_, got = adapter.Attach(nulldev.Open(4), m, adapter.Settings{Config: config, Run: schedule.Run{Steps: c.steps}})
			}
			if text := fmt.Sprint(got); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

// TestLinearFaults: methods whose factors do not fit a linear layer are refused by name.
func TestLinearFaults(t *testing.T) {
	for _, c := range []struct {
		method string
		values adapter.Values
		want   string
	}{
		{"melora", adapter.Values{"groups": 5},
			"adapter: attach melora: method.groups is 5, and roberta.encoder.layer.0.attention.self.query has 12 inputs and " +
				"12 outputs; want a divisor of both"},
		{"pissa", adapter.Values{"rank": 13}, "adapter: attach pissa: the rank is 13, and the weight of " +
			"roberta.encoder.layer.0.attention.self.query is 12 x 12; want a rank of at most 12"},
		{"dora", adapter.Values{"target_modules": []string{"q_proj"}},
			"adapter: attach dora: target module \"q_proj\" is not a linear layer of this model; want query, or some of " +
				"query, key, value, attention.output.dense, intermediate.dense, output.dense"},
		{"ia3", adapter.Values{"exclude_modules": []string{"out"}},
			"adapter: attach ia3: target module \"out\" is not a linear layer of this model; want some of " +
				"query, key, value, attention.output.dense, intermediate.dense, output.dense"},
	} {
		t.Run("method="+c.method, func(t *testing.T) {
			dev := nulldev.Open(4)
			m, err := model.New(dev, tiny("roberta"), 3, 1, nil, weights)
			if err != nil {
				t.Fatal(err)
			}
			_, err = adapter.Attach(dev, m, adapter.Settings{Config: adapter.Configure(c.method, c.values)})
			if got := fmt.Sprint(err); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	faults := adapter.Configure("melora", adapter.Values{"rank": 64, "groups": 8}).Validate()
	if got, want := fmt.Sprint(faults), "[method.groups: is 8 with a rank of 64; want rank times groups to be at "+
		"most 256]"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	faults = adapter.Configure("ia3", adapter.Values{"feedforward_modules": []string{"query"}}).Validate()
	if got, want := fmt.Sprint(faults), `[method.feedforward_modules: has "query", which is not one of method.target_modules]`; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

// TestAdaLoRAScalars: triplets that were given up do not count as trained scalars. With three layers of width 32 and
// two linear layers each, a triplet has 32 + 32 + 1 scalars.
func TestAdaLoRAScalars(t *testing.T) {
	dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, "roberta")
	c := adapter.Configure("adalora", adapter.Values{"init_rank": 3, "target_rank": 2, "alpha": 6})
	n := goldenNetwork(t, dev, base, c, 1)
	dir := saved(t, n, describe(t, n, base, c))
	pattern := map[string][]bool{}
	for layer := range 3 {
		for linear, kept := range map[string][]bool{"query": {true, true, false}, "value": {false, true, false}} {
			pattern[fmt.Sprintf("roberta.encoder.layer.%d.attention.self.%s.lora_E", layer, linear)] = kept
		}
	}
	for _, masked := range []bool{false, true} {
		want := 3 * 2 * 3 * 65
		if masked {
			want = 3 * (2 + 1) * 65
			path := filepath.Join(dir, "lor2c.json")
			d := readJSON(t, path)
			d["structure"] = map[string]any{"rank_pattern": pattern}
			raw, err := json.Marshal(d)
			if err == nil {
				err = os.WriteFile(path, raw, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		s, err := adapter.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Scalars(); got != want {
			t.Errorf("masked %v: %d scalars; want %d", masked, got, want)
		}
		s.Close()
	}
}

// TestRankPatternFaults: a rank pattern must have a rank for each triplet of linear layers that the method adapts, and
// must not give up what the tensors keep.
func TestRankPatternFaults(t *testing.T) {
	const query = "roberta.encoder.layer.0.attention.self.query.lora_E"
	for _, c := range []struct {
		name    string
		pattern map[string][]bool
		want    string
	}{
		{"unknown", map[string][]bool{"x." + query: {true, true, true}},
			`adapter: attach adalora: rank_pattern has "x.` + query + `", which the method does not adapt`},
		{"short", map[string][]bool{query: {true, false}},
			`adapter: attach adalora: rank_pattern has 2 ranks for "` + query + `"; want method.init_rank, 3`},
		{"kept", map[string][]bool{query: {true, false, true}},
			`adapter: load adalora: rank_pattern gives up triplet 1 of "` + query + `", and its element of the tensor is 0.5; ` +
				"want the pattern that belongs to the tensors"},
		{"missing", map[string][]bool{},
			`adapter: load adalora: rank_pattern gives up triplet 1 of "` + query + `", and its element of the tensor is 0.5; ` +
				"want the pattern that belongs to the tensors"},
		{"right", map[string][]bool{query: {false, true, false}}, ""},
	} {
		t.Run("pattern="+c.name, func(t *testing.T) {
			dev := cpu.Open[float32](1)
			m, err := model.New(dev, tiny("roberta"), 3, 1, nil, weights)
			if err != nil {
				t.Fatal(err)
			}
			structure, err := json.Marshal(map[string]any{"rank_pattern": c.pattern})
			if err != nil {
				t.Fatal(err)
			}
			config := adapter.Configure("adalora", adapter.Values{"init_rank": 3, "target_rank": 2})
			method, err := adapter.Attach(dev, m, adapter.Settings{Config: config, Structure: structure})
			if err == nil {
				for _, p := range method.Params() {
					if strings.HasSuffix(p.Name, "model."+query) {
						p.Upload(dev, []float32{0, 0.5, 0})
					}
				}
				err = method.Restored()
			}
			if c.want == "" && err == nil {
				return
			}
			if err == nil || err.Error() != c.want+": adapter and model do not match" || !errors.Is(err, adapter.ErrMismatch) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}
