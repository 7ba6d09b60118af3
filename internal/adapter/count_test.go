package adapter_test

import (
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/model"
)

// TestCount compares with numbers that follow from the shapes: 2 C r per module
// (arXiv:2503.00572, section IV), r (in + out) per LoRA pair, and for full the
// number that transformers counts in a RobertaModel without pooler.
func TestCount(t *testing.T) {
	roberta := model.Config{Type: "roberta", Width: 768, Layers: 12, Heads: 12, FF: 3072, Vocab: 50265, Positions: 514,
		Types: 1, Activation: "gelu"}
	lora := func(targets ...string) adapter.Config {
		return adapter.Configure("lora", adapter.Values{"rank": 8, "alpha": 16, "target_modules": targets})
	}
	for _, c := range []struct {
		name    string
		config  adapter.Config
		merge   func(*adapter.LoR2C)
		outputs int
		want    int
		head    int
	}{
		{"lor2c", adapter.Configure("lor2c", adapter.Values{"rank": 8, "alpha": 16}), nil, 1, 147456, 591361},
		{"share", adapter.Configure("lor2c", adapter.Values{"rank": 8, "alpha": 16, "share": true}), nil, 2, 79872, 592130},
		{"three-merged-away", adapter.Configure("lor2c", adapter.Values{"rank": 8, "alpha": 16}),
			func(m *adapter.LoR2C) { m.Merge(7, 10, 10) }, 2, 110592, 592130},
		{"one-injected", adapter.Configure("lor2c", adapter.Values{"rank": 8, "alpha": 16, "target_modules": queryValue}),
			func(m *adapter.LoR2C) { m.Inject(4) }, 2, 147456, 592130},
		{"merged-and-injected",
			adapter.Configure("lor2c", adapter.Values{"rank": 8, "alpha": 16, "target_modules": queryValue}),
			func(m *adapter.LoR2C) { m.Merge(7, 10, 10); m.Inject(6); m.Inject(5); m.Inject(4) }, 2, 110592, 592130},
		{"share-injected",
			adapter.Configure("lor2c", adapter.Values{"rank": 8, "alpha": 16, "share": true, "target_modules": queryValue}),
			func(m *adapter.LoR2C) { m.Inject(4) }, 2, 79872 + 6144, 592130},
		{"lora-query-value", lora("query", "value"), nil, 2, 294912, 592130},
		{"lora-linear", lora("query", "key", "value", "output.dense", "intermediate.dense"), nil, 2,
			12 * 8 * (4*2*768 + 2*(768+3072)), 592130},
		{"sharelora-a", adapter.Configure("sharelora", adapter.Values{"shared_factors": "A"}), nil, 2, 159744, 592130},
		{"sharelora-b", adapter.Configure("sharelora", adapter.Values{"shared_factors": "B"}), nil, 2, 159744, 592130},
		{"sharelora-ab", adapter.Configure("sharelora", adapter.Values{"shared_factors": "AB"}), nil, 2, 24576, 592130},
		// The A of query and value is one.
		{"sharelora-all", adapter.Configure("sharelora", adapter.Values{"share_scope": "all"}), nil, 2, 153600, 592130},
		// Of the widths 768 and 3,072 there is one A and one B each.
		{"sharelora-all-linear", adapter.Configure("sharelora", adapter.Values{
			"share_scope": "all", "shared_factors": "AB", "target_modules": allLinear,
		}), nil, 2, 2 * 8 * (768 + 3072), 592130},
		{"aslora", adapter.NewConfig("aslora"), nil, 2, 159744, 592130},
		{"dylora", adapter.NewConfig("dylora"), nil, 2, 294912, 592130},
		{"pissa", adapter.NewConfig("pissa"), nil, 2, 294912, 592130},
		{"olora", adapter.NewConfig("olora"), nil, 2, 294912, 592130},
		{"vera", adapter.NewConfig("vera"), nil, 2, 24576, 592130},
		{"melora", adapter.NewConfig("melora"), nil, 2, 294912, 592130},
		{"adalora", adapter.NewConfig("adalora"), nil, 2, 442656, 592130},
		{"dora", adapter.NewConfig("dora"), nil, 2, 313344, 592130},
		{"ia3", adapter.NewConfig("ia3"), nil, 2, 55296, 592130},
		{"ia3-peft", adapter.Configure("ia3", adapter.Values{"exclude_modules": []string{}}), nil, 2, 64512, 592130},
		{"adapter-pfeiffer-16", adapter.Configure("adapter", adapter.Values{"bottleneck": 16}), nil, 2, 304320, 592130},
		{"adapter-pfeiffer-48", adapter.NewConfig("adapter"), nil, 2, 894528, 592130},
		{"adapter-houlsby-24", adapter.Configure("adapter", adapter.Values{"kind": "houlsby", "bottleneck": 24}), nil, 2,
			903744, 592130},
		{"prefix", adapter.NewConfig("prefix"), nil, 2, 368640, 592130},
		{"reslora", adapter.NewConfig("reslora"), nil, 2, 147456, 592130},
		{"adamix", adapter.NewConfig("adamix"), nil, 2, 747264, 592130},
		{"hydralora", adapter.Configure("hydralora", adapter.Values{
			"rank": 8, "experts": 3, "target_modules": queryValue,
		}), nil, 2, 645120, 592130},
		{"loramoe", adapter.NewConfig("loramoe"), nil, 2, 2488320, 592130},
		{"full", adapter.NewConfig("full"), nil, 3, 124055040, 592899},
		// There are 12 layers with 6 biases of linear layers and 2 of norms, and the
		// norm of the embeddings.
		{"bitfit", adapter.NewConfig("bitfit"), nil, 2, 12*(5*768+3072+2*768) + 768, 592130},
		{"head", adapter.NewConfig("head"), nil, 3, 0, 592899},
	} {
		t.Run("method="+c.name, func(t *testing.T) {
			dev := nulldev.Open(4)
			m, err := model.New(dev, roberta, c.outputs, 1, nil, model.NoValues)
			if err != nil {
				t.Fatal(err)
			}
			n := attachTo(t, dev, m, c.config, c.merge, 1)
			if got := adapter.Count(n.Method.Params()); got != c.want {
				t.Errorf("%d trainable scalars; want %d", got, c.want)
			}
			if got := adapter.Count(m.Head()); got != c.head {
				t.Errorf("%d scalars in the head; want %d", got, c.head)
			}
		})
	}
}

// TestCountMerged compares with the counts of 0 to 6 merges at RoBERTa-base's
// size, which injections do not change, and with the paper's numbers for 32
// layers of width 4096: 16.8M for LoR2C, 33.6M for LoRA and 12.6M after 8
// merges.
func TestCountMerged(t *testing.T) {
	count := func(layers, width int, c adapter.Config, merges, injects int) int {
		dev := nulldev.Open(4)
		m, err := model.New(dev,
			model.Config{Type: "roberta", Width: width, Layers: layers, Heads: 1, FF: width, Vocab: 2, Positions: 4, Types: 1,
				Activation: "gelu"}, 2, 1, nil, model.NoValues)
		if err != nil {
			t.Fatal(err)
		}
		c.Resolve()
		method, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range injects {
			method.(*adapter.LoR2C).Inject(layers - 1 - i)
		}
		for i := range merges {
			method.(*adapter.LoR2C).Merge(0, i+1, 0)
		}
		return adapter.Count(method.Params())
	}
	lor2c := func(rank int) adapter.Config {
		return adapter.Configure("lor2c", adapter.Values{"rank": rank, "alpha": 32, "target_modules": queryValue})
	}
	for merges, want := range []int{147456, 135168, 122880, 110592, 98304, 86016, 73728} {
		for _, injects := range []int{0, 1, 5} {
			if got := count(12, 768, lor2c(8), merges, injects); got != want {
				t.Errorf("merges=%d injections=%d: %d scalars; want %d", merges, injects, got, want)
			}
		}
	}
	if got := count(32, 4096, lor2c(64), 0, 0); got != 16777216 {
		t.Errorf("LoR2C of 32 layers: %d scalars; want 16777216", got)
	}
	if got := count(32, 4096, lor2c(64), 8, 8); got != 12582912 {
		t.Errorf("after 8 merges and 8 injections: %d scalars; want 12582912", got)
	}
	if got := count(32, 4096,
		adapter.Configure("lora", adapter.Values{"rank": 64, "alpha": 32, "target_modules": queryValue}), 0,
		0); got != 33554432 {
		t.Errorf("LoRA of 32 layers: %d scalars; want 33554432", got)
	}
}
