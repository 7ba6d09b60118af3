package model_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
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

const goldenDir = "../../testdata/golden"

// encoders are the golden models, one of each family.
var encoders = []string{"roberta", "bert", "mpnet", "distilbert", "xlm-roberta", "camembert"}

// golden returns the directory of a golden model.
func golden(kind string) string {
	if dir := filepath.Join(goldenDir, kind); kind == "roberta" || kind == "bert" || kind == "mpnet" {
		return dir
	}
	return filepath.Join("../../testdata/golden_encoders", kind)
}

// weights are the tensors of a model directory. A test changes them and writes
// them to another directory.
type weights map[string]checkpoint.Tensor

func readWeights(t *testing.T, name string) weights {
	t.Helper()
	m, err := checkpoint.OpenModel(golden(name))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w := weights{}
	for _, name := range m.Names() {
		_, shape, _ := m.Info(name)
		data := make([]float32, compute.Shape(shape).Len())
		if err := m.ReadInto(data, name); err != nil {
			t.Fatal(err)
		}
		w[name] = checkpoint.Tensor{Name: name, Shape: shape, Data: data}
	}
	return w
}

// renamed returns w with f applied to every name. If the result is "" the
// tensor is removed.
func (w weights) renamed(f func(string) string) weights {
	out := weights{}
	for name, x := range w {
		if x.Name = f(name); x.Name != "" {
			out[x.Name] = x
		}
	}
	return out
}

// truncated returns w with only the upper bits of every value, so that they are
// exact in a narrower type.
func (w weights) truncated(bits uint32) weights {
	out := weights{}
	for name, x := range w {
		data := slices.Clone(x.Data.([]float32))
		for i, v := range data {
			if data[i] = math.Float32frombits(math.Float32bits(v) &^ bits); math.Abs(float64(v)) < 1e-4 {
				data[i] = 0 // no subnormal numbers of half precision
			}
		}
		x.Data = data
		out[name] = x
	}
	return out
}

func (w weights) list() (list []checkpoint.Tensor) {
	for _, name := range slices.Sorted(maps.Keys(w)) {
		list = append(list, w[name])
	}
	return list
}

// dir returns a new model directory with the config.json of a golden model.
func dir(t *testing.T, config string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(golden(config), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := t.TempDir()
	write(t, d, "config.json", func(f io.Writer) error {
		_, err := f.Write(raw)
		return err
	})
	return d
}

func write(t *testing.T, dir, name string, fill func(f io.Writer) error) {
	t.Helper()
	if err := checkpoint.WriteFile(filepath.Join(dir, name), fill); err != nil {
		t.Fatal(err)
	}
}

func (w weights) write(t *testing.T, dir, name string) {
	t.Helper()
	write(t, dir, name,
		func(f io.Writer) error { return checkpoint.Write(f, map[string]string{"format": "pt"}, w.list()) })
}

// writeHalf writes w in float16, which lor2c reads but never writes.
func (w weights) writeHalf(t *testing.T, dir string) {
	t.Helper()
	header, body := map[string]any{}, []byte{}
	for name, x := range w {
		from := len(body)
		for _, v := range x.Data.([]float32) {
			b := math.Float32bits(v)
			half := uint16(b >> 16 & 0x8000)
			if v != 0 {
				half |= uint16((b>>23&0xff - 127 + 15) << 10)
				half |= uint16(b >> 13 & 0x3ff)
			}
			body = binary.LittleEndian.AppendUint16(body, half)
		}
		header[name] = map[string]any{"dtype": "F16", "shape": x.Shape, "data_offsets": []int{from, len(body)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "model.safetensors", func(f io.Writer) error {
		text = append(text, bytes.Repeat([]byte(" "), (8-len(text)%8)%8)...)
		_, err := f.Write(slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, body))
		return err
	})
}

// load returns the model in dir, in float64 and without dropout.
func load(t *testing.T, dir string, outputs int, seed uint64) (*cpu.Device[float64], *model.Encoder) {
	t.Helper()
	dev := cpu.Open[float64](2)
	m, err := model.Load(dev, dir, stored(outputs), seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dev, m
}

// stored returns a Head that uses the golden model's head unchanged, although
// its outputs have no names.
func stored(outputs int) model.Head {
	h := model.Head{Outputs: outputs}
	for row := range outputs {
		h.Rows = append(h.Rows, row)
	}
	return h
}

var outputs = map[string]int{"roberta": 3, "bert": 2, "mpnet": 3, "distilbert": 3, "xlm-roberta": 3, "camembert": 3}

// sample returns a batch that every golden model accepts.
func sample(lengths ...int) (b model.Batch) {
	b.Cu = []int32{0}
	for _, n := range lengths {
		for range n {
			b.IDs = append(b.IDs, int32((len(b.IDs)*37+5)%100))
			b.Types = append(b.Types, 0)
		}
		b.Cu = append(b.Cu, int32(len(b.IDs)))
	}
	return b
}

func logits(dev *cpu.Device[float64], m *model.Encoder, b model.Batch) []float64 {
	dev.Reset()
	return slices.Clone(cpu.Data[float64](m.Forward(m.NewPass(&tape.Tape{Dev: dev}, b, model.Base{})).Value))
}

func values(p *tape.Param) []float64 {
	return slices.Clone(cpu.Data[float64](p.Value))
}

// TestLoadNames writes the golden weights with the names of published
// checkpoints. The logits must equal those of the original bit by bit.
func TestLoadNames(t *testing.T) {
	shards := func(t *testing.T, d string, w weights) {
		index, parts := map[string]string{}, []weights{{}, {}}
		for i, x := range w.list() {
			file := fmt.Sprintf("model-0000%d-of-00002.safetensors", i%2+1)
			index[x.Name], parts[i%2][x.Name] = file, x
		}
		for i, part := range parts {
			part.write(t, d, fmt.Sprintf("model-0000%d-of-00002.safetensors", i+1))
		}
		text, _ := json.Marshal(map[string]any{"weight_map": index})
		write(t, d, "model.safetensors.index.json", func(f io.Writer) error {
			_, err := f.Write(text)
			return err
		})
	}
	old := strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta")
	for _, kind := range encoders {
		_, original := load(t, golden(kind), outputs[kind], 1)
		bare := func(name string) string { return strings.TrimPrefix(name, original.Prefix+".") }
		for name, save := range map[string]func(t *testing.T, d string, w weights){
			"prefix=no":  func(t *testing.T, d string, w weights) { w.renamed(bare).write(t, d, "model.safetensors") },
			"norm=gamma": func(t *testing.T, d string, w weights) { w.renamed(old.Replace).write(t, d, "model.safetensors") },
			"prefix=no/norm=gamma": func(t *testing.T, d string, w weights) {
				w.renamed(bare).renamed(old.Replace).write(t, d, "model.safetensors")
			},
			"shards=2":           shards,
			"shards=2/prefix=no": func(t *testing.T, d string, w weights) { shards(t, d, w.renamed(bare)) },
			"extra=language_modeling": func(t *testing.T, d string, w weights) {
				w["lm_head.bias"] = checkpoint.Tensor{Name: "lm_head.bias", Shape: []int{2}, Data: []float32{1, 2}}
				w.write(t, d, "model.safetensors")
			},
		} {
			t.Run("type="+kind+"/"+name, func(t *testing.T) {
				d := dir(t, kind)
				save(t, d, readWeights(t, kind))
				_, m := load(t, d, outputs[kind], 2)
				sameModel(t, m, original)
			})
		}
		// The values are exact in the narrow type. They are written once in that type
		// and once in float32.
		for dtype, bits := range map[string]uint32{"float16": 1<<13 - 1, "bfloat16": 1<<16 - 1} {
			t.Run("type="+kind+"/dtype="+dtype, func(t *testing.T) {
				w, wide, narrow := readWeights(t, kind).truncated(bits), dir(t, kind), dir(t, kind)
				w.write(t, wide, "model.safetensors")
				if dtype == "float16" {
					w.writeHalf(t, narrow)
				} else {
					for name, x := range w {
						x.DType = checkpoint.BF16
						w[name] = x
					}
					w.write(t, narrow, "model.safetensors")
				}
				_, want := load(t, wide, outputs[kind], 1)
				_, got := load(t, narrow, outputs[kind], 2)
				sameModel(t, got, want)
			})
		}
	}
}

// sameModel compares parameters and logits.
func sameModel(t *testing.T, got, want *model.Encoder) {
	t.Helper()
	all := func(m *model.Encoder) []*tape.Param { return slices.Concat(m.Base(), m.Head()) }
	if len(all(got)) != len(all(want)) {
		t.Fatalf("%d parameters; want %d", len(all(got)), len(all(want)))
	}
	for i, p := range all(want) {
		if q := all(got)[i]; q.Name != p.Name || !slices.Equal(values(q), values(p)) {
			t.Errorf("parameter %d, %s, differs from %s", i, q.Name, p.Name)
		}
	}
	dev, b := cpu.Open[float64](2), sample(5, 2, 9)
	if g, w := logits(dev, got, b), logits(dev, want, b); !slices.Equal(g, w) || slices.ContainsFunc(g, math.IsNaN) {
		t.Errorf("logits %v; want %v", g, w)
	}
}

// TestLoadValues compares the parameters with the values of the file, so that
// none is transposed or swapped. The golden test of package train compares
// their effect.
func TestLoadValues(t *testing.T) {
	for _, kind := range encoders {
		t.Run("type="+kind, func(t *testing.T) {
			w := readWeights(t, kind)
			_, m := load(t, golden(kind), outputs[kind], 1)
			for _, p := range slices.Concat(m.Base(), m.Head()) {
				want, ok := w[p.Name]
				if !ok || !slices.Equal(want.Shape, p.Value.Shape) {
					t.Fatalf("%s is %v; the file has %v", p.Name, p.Value.Shape, want.Shape)
				}
				for i, v := range want.Data.([]float32) {
					if values(p)[i] != float64(v) {
						t.Fatalf("%s[%d] = %v; want %v", p.Name, i, values(p)[i], v)
					}
				}
				delete(w, p.Name)
			}
			if len(w) != 0 {
				t.Errorf("tensors that were never read: %v", slices.Sorted(maps.Keys(w)))
			}
		})
	}
}
