package model_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

func names(params []*tape.Param) (names []string) {
	for _, p := range params {
		names = append(names, p.Name)
	}
	return names
}

// drawn returns the values that New draws for a parameter, rounded as an upload
// rounds them.
func drawn(seed uint64, name string, n int) []float64 {
	v, out := make([]float32, n), make([]float64, n)
	compute.Normal(v, seed, name, 0.02)
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// TestLoadPooler: sentence encoders have no pooler. A new one starts at random
// and is trained with the head.
func TestLoadPooler(t *testing.T) {
	d := dir(t, "bert")
	readWeights(t, "bert").renamed(func(name string) string {
		if strings.Contains(name, "pooler") {
			return ""
		}
		return name
	}).write(t, d, "model.safetensors")
	_, m := load(t, d, 2, 9)
	want := []string{"bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"}
	if got := names(m.Head()); !slices.Equal(got, want) {
		t.Errorf("head %v; want %v", got, want)
	}
	if slices.ContainsFunc(names(m.Base()), func(name string) bool { return strings.Contains(name, "pooler") }) {
		t.Error("the pooler is also a parameter of the encoder")
	}
	if got := values(m.Head()[0]); !slices.Equal(got, drawn(9, want[0], len(got))) {
		t.Error("the pooler's weight is not drawn from the seed and its name")
	}
	if got := values(m.Head()[1]); slices.ContainsFunc(got, func(v float64) bool { return v != 0 }) {
		t.Errorf("the pooler's bias is %v; want zeros", got)
	}
	_, whole := load(t, filepath.Join(goldenDir, "bert"), 2, 9)
	if got := names(whole.Head()); !slices.Equal(got, want[2:]) {
		t.Errorf("head with a pooler in the file %v; want %v", got, want[2:])
	}
}

// TestLoadHead: if the file has no head, or a head with another number of
// outputs, the new head depends only on the seed.
func TestLoadHead(t *testing.T) {
	for kind, last := range map[string]string{"roberta": "classifier.out_proj", "bert": "classifier"} {
		t.Run("type="+kind, func(t *testing.T) {
			d := filepath.Join(goldenDir, kind)
			for _, seed := range []uint64{1, 2} {
				_, m := load(t, d, 5, seed)
				if m.Outputs() != 5 {
					t.Errorf("Outputs() = %d; want 5", m.Outputs())
				}
				out := m.Head()[len(m.Head())-2]
				if out.Name != last+".weight" || !slices.Equal(values(out), drawn(seed, out.Name, 5*32)) {
					t.Errorf("seed %d: %s is not drawn from the seed and its name", seed, out.Name)
				}
				if bias := values(m.Head()[len(m.Head())-1]); len(bias) != 5 ||
					slices.ContainsFunc(bias, func(v float64) bool { return v != 0 }) {
					t.Errorf("seed %d: bias %v; want 5 zeros", seed, bias)
				}
			}
			bare := dir(t, kind)
			readWeights(t, kind).renamed(func(name string) string {
				if strings.HasPrefix(name, "classifier") {
					return ""
				}
				return name
			}).write(t, bare, "model.safetensors")
			_, m := load(t, bare, outputs[kind], 3)
			for _, p := range m.Head() {
				if got := values(p); strings.HasSuffix(p.Name, "weight") && !slices.Equal(got, drawn(3, p.Name, len(got))) {
					t.Errorf("%s is not drawn from the seed and its name", p.Name)
				}
			}
		})
	}
}

func TestLoadFaults(t *testing.T) {
	const query = "roberta.encoder.layer.1.attention.self.query.weight"
	for name, c := range map[string]struct {
		change func(w weights)
		want   string
	}{
		"missing": {func(w weights) { delete(w, query) },
			": there is no tensor " + query + "; use the weights of a roberta encoder"},
		"shape": {func(w weights) {
			x := w[query]
			x.Shape = []int{16, 64}
			w[query] = x
		}, "/model.safetensors: " + query + " is [16 64]; DIR/config.json has [32 32]"},
		"layers_more": {func(w weights) {
			for name, x := range w {
				if strings.Contains(name, ".layer.2.") {
					x.Name = strings.Replace(name, ".layer.2.", ".layer.3.", 1)
					w[x.Name] = x
				}
			}
		}, "/config.json: num_hidden_layers is 3, but the weights have 4 layers; use the config.json of these weights"},
		"layers_fewer": {func(w weights) {
			for name := range w {
				if strings.Contains(name, ".layer.2.") {
					delete(w, name)
				}
			}
		}, "/config.json: num_hidden_layers is 3, but the weights have 2 layers; use the config.json of these weights"},
		"unread": {func(w weights) {
			for _, name := range []string{
				"roberta.encoder.layer.0.distance_embedding.weight", "roberta.embeddings.position_ids", "roberta.pooler.dense.bias",
				"lm_head.bias",
			} {
				w[name] = checkpoint.Tensor{Name: name, Shape: []int{1}, Data: []float32{1}}
			}
		}, "/config.json: the weights have tensors of the encoder that a roberta encoder of this config.json does not use: " +
			"roberta.encoder.layer.0.distance_embedding.weight; use the config.json of these weights"},
		"other_model": {func(w weights) {
			clear(w)
			w["x"] = checkpoint.Tensor{Name: "x", Shape: []int{1}, Data: []float32{1}}
		}, ": there is no tensor roberta.embeddings.word_embeddings.weight; use the weights of a roberta encoder"},
	} {
		t.Run("fault="+name, func(t *testing.T) {
			d, w := dir(t, "roberta"), readWeights(t, "roberta")
			c.change(w)
			w.write(t, d, "model.safetensors")
			_, err := model.Load(cpu.Open[float32](1), d, stored(3), 1, nil)
			if want := "model: load " + d + strings.ReplaceAll(c.want, "DIR", d); err == nil || err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		})
	}
	t.Run("fault=weights", func(t *testing.T) {
		_, err := model.Load(cpu.Open[float32](1), dir(t, "roberta"), stored(3), 1, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "checkpoint: open ") {
			t.Errorf("error %v; want that of package checkpoint", err)
		}
	})
	t.Run("fault=config", func(t *testing.T) {
		_, err := model.Load(cpu.Open[float32](1), "testdata/width.bad", stored(3), 1, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "model: read ") {
			t.Errorf("error %v; want that of ReadConfig", err)
		}
	})
}

// TestLoadNarrow: an unusual model can be loaded, whose width is larger than
// the lengths of its tables and which has more outputs than tokens.
func TestLoadNarrow(t *testing.T) {
	c := model.Config{Type: "roberta", Width: 8, Layers: 1, Heads: 1, FF: 4, Vocab: 5, Positions: 6, Types: 1, Eps: 1e-5,
		Activation: "gelu"}
	dev, w := cpu.Open[float32](1), weights{}
	const outputs = 9
	_, err := model.New(dev, c, outputs, 1, nil, func(name string, shape compute.Shape) ([]float32, bool, error) {
		v := make([]float32, shape.Len())
		compute.Normal(v, 4, name, 1)
		w[name] = checkpoint.Tensor{Name: name, Shape: shape, Data: v}
		return v, true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d := t.TempDir()
	w.write(t, d, "model.safetensors")
	write(t, d, "config.json", configJSON(c))
	_, m := load(t, d, outputs, 1)
	if got, want := values(m.Head()[2])[0], w["classifier.out_proj.weight"].Data.([]float32)[0]; got != float64(want) {
		t.Errorf("classifier.out_proj.weight[0] = %v; want %v", got, want)
	}
}
