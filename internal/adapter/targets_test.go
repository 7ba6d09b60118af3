package adapter_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
)

// TestOn: on a decoder, default lists of linear layers name those of the decoder, as in PEFT, and on MPNet and
// DistilBERT those of the encoder; on another encoder they stay, and so do lists that a run file sets. The list
// all-linear names every linear layer.
func TestOn(t *testing.T) {
	for _, c := range []struct {
		config                  adapter.Config
		key                     string
		want, mpnet, distilbert string
	}{
		{adapter.NewConfig("lora"), "target_modules", "[q_proj v_proj]", "[q v]", "[q_lin v_lin]"},
		{adapter.NewConfig("lor2c"), "target_modules", "[q_proj v_proj]", "[q v]", "[q_lin v_lin]"},
		{adapter.NewConfig("ia3"), "target_modules", "[k_proj v_proj down_proj]", "[k v output.dense]",
			"[k_lin v_lin lin2]"},
		{adapter.NewConfig("ia3"), "feedforward_modules", "[down_proj]", "[output.dense]", "[lin2]"},
		{adapter.NewConfig("ia3"), "exclude_modules", "[self_attn.o_proj]", "[o]", "[out_lin]"},
		{adapter.Configure("lora", adapter.Values{"target_modules": []string{"up_proj"}}), "target_modules", "[up_proj]",
			"[up_proj]", "[up_proj]"},
		{adapter.Configure("lora", adapter.Values{"target_modules": []string{"all-linear"}}), "target_modules",
			"[q_proj k_proj v_proj o_proj gate_proj up_proj down_proj]", "[q k v o intermediate.dense output.dense]",
			"[q_lin k_lin v_lin out_lin lin1 lin2]"},
		{adapter.NewConfig("bitfit"), "target_modules", "<nil>", "<nil>", "<nil>"},
	} {
		if got := fmt.Sprint(c.config.On(model.DecoderSiteNames).Value(c.key)); got != c.want {
			t.Errorf("%s has %s %s on a decoder; want %s", c.config.Name(), c.key, got, c.want)
		}
		if got := fmt.Sprint(c.config.On(model.MPNetSiteNames).Value(c.key)); got != c.mpnet {
			t.Errorf("%s has %s %s on MPNet; want %s", c.config.Name(), c.key, got, c.mpnet)
		}
		if got := fmt.Sprint(c.config.On(model.DistilBERTSiteNames).Value(c.key)); got != c.distilbert {
			t.Errorf("%s has %s %s on DistilBERT; want %s", c.config.Name(), c.key, got, c.distilbert)
		}
		was := fmt.Sprint(c.config.Value(c.key))
		if was == "[all-linear]" {
			was = "[query key value attention.output.dense intermediate.dense output.dense]"
		}
		if got := fmt.Sprint(c.config.On(model.SiteNames).Value(c.key)); got != was {
			t.Errorf("%s has %s %s on an encoder; want %s", c.config.Name(), c.key, got, was)
		}
	}
}

// TestSavedTargets: the configuration that PEFT reads names the linear layers by their names in the decoder, and
// lor2c.json as the run file does.
func TestSavedTargets(t *testing.T) {
	dev := cpu.Open[float32](1)
	m, err := model.LoadDecoder(dev, "../../testdata/golden_decoder/llama_bias", 40, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := adapter.Values{"target_modules": []string{"all-linear"}}
	for _, s := range []struct {
		config adapter.Config
		want   string
	}{
		{adapter.NewConfig("lora"), "[q_proj v_proj]"},
		{adapter.NewConfig("adalora"), "[q_proj v_proj]"},
		{adapter.NewConfig("ia3"), "[k_proj v_proj down_proj]"},
		{adapter.NewConfig("vera"), "[q_proj v_proj]"},
		{adapter.Configure("lora", all), "[q_proj k_proj v_proj o_proj gate_proj up_proj down_proj]"},
		{adapter.Configure("ia3", all),
			"[q_proj k_proj v_proj o_proj gate_proj up_proj down_proj]"},
	} {
		c, name, want, dir := s.config, s.config.Name(), s.want, t.TempDir()
		method, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		d := adapter.Description{Method: c, Base: adapter.Base{Type: "llama", Layers: m.HiddenLayers()}}
		if err := adapter.Save(dir, dev, d, method, nil); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]string{
			"adapter_config.json": want, "lor2c.json": fmt.Sprint(c.Value("target_modules")),
		} {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			var own struct {
				Targets []string `json:"target_modules"`
				Method  struct {
					Targets []string `json:"target_modules"`
				}
			}
			if err := json.Unmarshal(text, &own); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(slices.Concat(own.Targets, own.Method.Targets)); got != want {
				t.Errorf("%s: %s has %s; want %s", name, file, got, want)
			}
		}
		saved, err := adapter.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !saved.Method.Equal(c) {
			t.Errorf("%s is read back as %s; want %s", name, saved.Method, c)
		}
	}
}
