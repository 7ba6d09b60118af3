package adapter_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
)

// TestOpenPEFTContradictions: a configuration that names what has no tensor, or leaves out what has one, is refused by
// the name of its key. The file has LoRA on query and value of the layers 0 to 2.
func TestOpenPEFTContradictions(t *testing.T) {
	const query = "roberta.encoder.layer.%d.attention.self.query, which has tensors"
	for _, c := range []struct {
		change map[string]any
		want   string // "" if the configuration and the tensors agree
	}{
		{map[string]any{"layers_to_transform": []int{0, 1, 2}}, ""},
		{map[string]any{"layers_to_transform": []int{0, 1}}, "layers_to_transform leaves out " + fmt.Sprintf(query, 2)},
		{map[string]any{"layers_to_transform": 0}, "layers_to_transform leaves out " + fmt.Sprintf(query, 1)},
		{map[string]any{"layers_to_transform": []int{0, 1, 2, 3}}, "layers_to_transform names layer 3, which has no tensors"},
		{map[string]any{"layers_to_transform": []int{7}}, "layers_to_transform leaves out " + fmt.Sprintf(query, 0)},
		{map[string]any{"layers_to_transform": []int{0, 1, 2}, "layers_pattern": "layer"}, ""},
		{map[string]any{"layers_to_transform": []int{0, 1, 2}, "layers_pattern": []string{"h", "layers?"}}, ""},
		{map[string]any{"layers_to_transform": []int{0, 1, 2}, "layers_pattern": "blocks"},
			"layers_pattern blocks leaves out " + fmt.Sprintf(query, 0)},
		{map[string]any{"layers_to_transform": []int{0, 1, 2}, "layers_pattern": "("},
			`layers_pattern has the expression "(", which lor2c cannot read`},
		{map[string]any{"layers_pattern": "blocks"}, ""}, // PEFT uses it only with layers_to_transform
		{map[string]any{"target_modules": []string{"query"}},
			"target_modules leaves out roberta.encoder.layer.0.attention.self.value, which has tensors"},
		{map[string]any{"target_modules": []string{"key"}}, "target_modules leaves out " + fmt.Sprintf(query, 0)},
		{map[string]any{"target_modules": []string{"query", "value", "key"}},
			"target_modules names attention.self.key, which has no tensors"},
		{map[string]any{"target_modules": []string{"query", "value", "output.dense"}},
			"target_modules names attention.output.dense, which has no tensors"},
		{map[string]any{"target_modules": "all-linear"}, "target_modules names attention.self.key, which has no tensors"},
		{map[string]any{"target_modules": `.*self\.\w+`}, "target_modules names attention.self.key, which has no tensors"},
		{map[string]any{"target_modules": `.*self\.query`},
			"target_modules leaves out roberta.encoder.layer.0.attention.self.value, which has tensors"},
		{map[string]any{"target_modules": "all-linear", "exclude_modules": `.*(key|dense)`}, ""},
		{map[string]any{"exclude_modules": []string{"query"}}, "exclude_modules leaves out " + fmt.Sprintf(query, 0)},
		{map[string]any{"rank_pattern": map[string]any{"layer.9.attention.self.query": 4}},
			`rank_pattern has a value for "layer.9.attention.self.query", which matches no module with tensors`},
		{map[string]any{"alpha_pattern": map[string]any{"key": 4}},
			`alpha_pattern has a value for "key", which matches no module with tensors`},
		{map[string]any{"modules_to_save": []string{"classifier", "pooler"}},
			`modules_to_save names "pooler", which has no tensors`},
		{map[string]any{"modules_to_save": []string{"classifier", "score", "qa_outputs"}}, ""},
		{map[string]any{"modules_to_save": nil}, ""},
	} {
		t.Run(strings.ReplaceAll(fmt.Sprint(c.change), " ", "_"), func(t *testing.T) {
			dir := peftDir(t, c.change)
			s, err := adapter.Open(dir)
			if err == nil {
				s.Close()
			}
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := "adapter: open " + filepath.Join(dir, "adapter_config.json") + ": " + c.want
			if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, adapter.ErrMismatch) {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		})
	}
}

// TestOpenPEFTLayerGone: a layer that layers_to_transform names and whose tensors are missing is an error, and so is a
// linear layer that is missing in one layer alone.
func TestOpenPEFTLayerGone(t *testing.T) {
	for gone, want := range map[string]string{
		"layer.2.": "layers_to_transform names layer 2, which has no tensors",
		"layer.1.attention.self.value": "layer 1 has LoRA on attention.self.query and other layers also on " +
			`"attention.self.value"`,
	} {
		dir := peftDir(t, map[string]any{"layers_to_transform": []int{0, 1, 2}})
		rewrite(t, dir, func(x checkpoint.Tensor) []checkpoint.Tensor {
			if strings.Contains(x.Name, gone) {
				return nil
			}
			return []checkpoint.Tensor{x}
		})
		if _, err := adapter.Open(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: error %v; want %s", gone, err, want)
		}
	}
}
