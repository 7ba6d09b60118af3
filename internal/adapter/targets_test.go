package adapter_test

import (
	"fmt"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/model"
)

// TestOn: on a decoder, default lists of linear layers name those of the decoder, as in PEFT, and on MPNet those of
// MPNet; on another encoder they stay, and so do lists that a run file sets.
func TestOn(t *testing.T) {
	for _, c := range []struct {
		config      adapter.Config
		key         string
		want, mpnet string
	}{
		{adapter.NewConfig("lora"), "target_modules", "[q_proj v_proj]", "[q v]"},
		{adapter.NewConfig("lor2c"), "target_modules", "[q_proj v_proj]", "[q v]"},
		{adapter.NewConfig("ia3"), "target_modules", "[k_proj v_proj down_proj]", "[k v output.dense]"},
		{adapter.NewConfig("ia3"), "feedforward_modules", "[down_proj]", "[output.dense]"},
		{adapter.NewConfig("ia3"), "exclude_modules", "[self_attn.o_proj]", "[o]"},
		{adapter.Configure("lora", adapter.Values{"target_modules": []string{"up_proj"}}), "target_modules", "[up_proj]",
			"[up_proj]"},
		{adapter.NewConfig("bitfit"), "target_modules", "<nil>", "<nil>"},
	} {
		if got := fmt.Sprint(c.config.On(model.DecoderSiteNames).Value(c.key)); got != c.want {
			t.Errorf("%s has %s %s on a decoder; want %s", c.config.Name(), c.key, got, c.want)
		}
		if got := fmt.Sprint(c.config.On(model.MPNetSiteNames).Value(c.key)); got != c.mpnet {
			t.Errorf("%s has %s %s on MPNet; want %s", c.config.Name(), c.key, got, c.mpnet)
		}
		was := fmt.Sprint(c.config.Value(c.key))
		if got := fmt.Sprint(c.config.On(model.SiteNames).Value(c.key)); got != was {
			t.Errorf("%s has %s %s on an encoder; want %s", c.config.Name(), c.key, got, was)
		}
	}
}
