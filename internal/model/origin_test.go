package model_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
)

func TestHeadFor(t *testing.T) {
	names := func(labels ...any) map[string]any {
		m := map[string]any{}
		for i, l := range labels {
			m[fmt.Sprint(i)] = l
		}
		return m
	}
	for _, c := range []struct {
		name   string
		base   map[string]any
		labels []string
		want   model.Head
	}{
		{"same", names("food", "animal"), []string{"food", "animal"}, model.Head{Outputs: 2, Rows: []int{0, 1}}},
		{"swapped", names("food", "animal"), []string{"animal", "food"}, model.Head{Outputs: 2, Rows: []int{1, 0}}},
		{"rotated", names("a", "b", "c"), []string{"c", "a", "b"}, model.Head{Outputs: 3, Rows: []int{2, 0, 1}}},
		{"other", names("food", "plant"), []string{"animal", "food"}, model.Head{Outputs: 2}},
		{"case", names("Food", "animal"), []string{"animal", "food"}, model.Head{Outputs: 2}},
		{"more", names("a", "b", "c"), []string{"a", "b"}, model.Head{Outputs: 2}},
		{"fewer", names("a"), []string{"a", "b"}, model.Head{Outputs: 2}},
		{"none", nil, []string{"a", "b"}, model.Head{Outputs: 2}},
		{"unnamed", names("LABEL_0", "LABEL_1"), []string{"LABEL_0", "LABEL_1"}, model.Head{Outputs: 2}},
		{"half-named", names("a", "LABEL_1"), []string{"a", "LABEL_1"}, model.Head{Outputs: 2}},
		{"twice", names("a", "a"), []string{"a", "b"}, model.Head{Outputs: 2}},
		{"not-text", names("a", 1.0), []string{"a", "1"}, model.Head{Outputs: 2}},
		{"ids-with-a-gap", map[string]any{"0": "a", "2": "b"}, []string{"a", "b"}, model.Head{Outputs: 2}},
		{"regression", names("LABEL_0"), nil, model.Head{Outputs: 1}},
		{"regression-named", names("score"), nil, model.Head{Outputs: 1}},
	} {
		t.Run("case="+c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, model.HeadFor(model.Config{Labels: c.base}, c.labels)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLoadHeadOrigin loads the heads of the golden models in other orders: each
// logit must be that of the same row. A head that does not fit is drawn at
// random as a whole.
func TestLoadHeadOrigin(t *testing.T) {
	for kind, rows := range map[string][]int{"roberta": {2, 0, 1}, "bert": {1, 0}} {
		t.Run("type="+kind, func(t *testing.T) {
			d, b := filepath.Join(goldenDir, kind), sample(5, 2, 9)
			dev, straight := load(t, d, len(rows), 1)
			want := logits(dev, straight, b)
			dev = cpu.Open[float64](2)
			m, err := model.Load(dev, d, model.Head{Outputs: len(rows), Rows: rows}, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range logits(dev, m, b) {
				if w := want[i/len(rows)*len(rows)+rows[i%len(rows)]]; math.Abs(got-w) > 1e-12 {
					t.Errorf("logit %d is %v; want %v", i, got, w)
				}
			}
			if got := m.HeadOrigin.String(); got != "the base's, its outputs matched by label" {
				t.Error(got)
			}
			for _, h := range []model.Head{{Outputs: len(rows)}, {Outputs: 5}, {Outputs: 5, Rows: []int{0, 1, 2, 3, 4}}} {
				m, err := model.Load(cpu.Open[float64](1), d, h, 7, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range m.Head() {
					got := values(p)
					if strings.HasSuffix(p.Name, "weight") && !slices.Equal(got, drawn(7, p.Name, len(got))) {
						t.Errorf("head %+v: %s is not drawn", h, p.Name)
					}
				}
				if got := m.HeadOrigin.String(); got != "new; the base's has outputs without these labels" {
					t.Errorf("head %+v: %s", h, got)
				}
			}
			bare := dir(t, kind)
			readWeights(t, kind).renamed(func(name string) string {
				if strings.HasPrefix(name, "classifier") {
					return ""
				}
				return name
			}).write(t, bare, "model.safetensors")
			_, m = load(t, bare, len(rows), 7)
			if got := m.HeadOrigin.String(); got != "new; the base has none" {
				t.Error(got)
			}
		})
	}
}

// TestLoadNotFinite: the error for a value that is not finite names the tensor
// and the file, in the encoder and in a head that is used. The values of a head
// that is not used do not matter.
func TestLoadNotFinite(t *testing.T) {
	for _, name := range []string{"roberta.embeddings.word_embeddings.weight",
		"roberta.encoder.layer.2.output.LayerNorm.bias", "classifier.dense.weight"} {
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			t.Run(fmt.Sprintf("tensor=%s/value=%v", name, v), func(t *testing.T) {
				d, w := dir(t, "roberta"), readWeights(t, "roberta")
				data := w[name].Data.([]float32)
				data[len(data)-1] = float32(v)
				w.write(t, d, "model.safetensors")
				_, err := model.Load(cpu.Open[float32](1), d, stored(3), 1, nil)
				want := fmt.Sprintf("checkpoint: read %s: tensor %q is %v at [", filepath.Join(d, "model.safetensors"), name, v)
				if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, checkpoint.ErrNotFinite) {
					t.Errorf("error %v\nwant  %s...", err, want)
				}
				if _, err := model.Load(cpu.Open[float32](1), d, model.Head{Outputs: 3}, 1,
					nil); (err == nil) != strings.HasPrefix(name, "classifier") {
					t.Errorf("with a new head: error %v", err)
				}
			})
		}
	}
}

// TestCheckWeightsSizes writes sizes to config.json that exceed any memory.
func TestCheckWeightsSizes(t *testing.T) {
	w := readWeights(t, "roberta")
	raw, err := os.ReadFile(filepath.Join(goldenDir, "roberta", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"num_hidden_layers": 3`, `"num_hidden_layers": 1000000000`,
			"num_hidden_layers is 1000000000, but the weights have 3 layers"},
		{`"hidden_size": 32`, `"hidden_size": 4000000000`, "word_embeddings.weight is [120 32]; "},
		{`"intermediate_size": 64`, `"intermediate_size": 4611686018427387904`, "intermediate.dense.weight is [64 32]; "},
		{`"vocab_size": 120`, `"vocab_size": 1000000000`, "word_embeddings.weight is [120 32]; "},
		{`"max_position_embeddings": 42`, `"max_position_embeddings": 9223372036854775807`,
			"position_embeddings.weight is [42 32]; "},
		{`"type_vocab_size": 1`, `"type_vocab_size": 1000000000`, "token_type_embeddings.weight is [1 32]; "},
	} {
		t.Run("config="+c.new, func(t *testing.T) {
			d := t.TempDir()
			w.write(t, d, "model.safetensors")
			text := strings.Replace(string(raw), c.old, c.new, 1)
			if text == string(raw) {
				t.Fatal("config.json did not change")
			}
			write(t, d, "config.json", func(f io.Writer) error {
				_, err := io.WriteString(f, text)
				return err
			})
			config, err := model.ReadConfig(d)
			if err != nil {
				t.Fatal(err)
			}
			for what, err := range map[string]error{
				"CheckWeights": model.CheckWeights(d, &config),
				"Load":         second(model.Load(cpu.Open[float32](1), d, stored(3), 1, nil)),
			} {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: error %v\nwant  %s", what, err, c.want)
				}
			}
		})
	}
	if c, err := model.ReadConfig(filepath.Join(goldenDir, "roberta")); err != nil ||
		model.CheckWeights(filepath.Join(goldenDir, "roberta"), &c) != nil {
		t.Error("weights of the right sizes are refused")
	}
}

func second[T any](_ T, err error) error { return err }
