package bitsandbytes_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/nf4"
)

// models lists the models of scripts/golden_bitsandbytes.py with the type that their weights had before.
var models = map[string]checkpoint.DType{"roberta": checkpoint.F32, "llama": checkpoint.BF16}

// TestRoundTrip: the tensors of each matrix that transformers and bitsandbytes saved are read and written to the byte.
func TestRoundTrip(t *testing.T) {
	for name, source := range models {
		t.Run("model="+name, func(t *testing.T) {
			dir := filepath.Join("testdata", name)
			m, err := bitsandbytes.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			file, err := checkpoint.Open(filepath.Join(dir, "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			seen := 0
			for _, matrix := range m.Packed() {
				q, err := m.Matrix(matrix)
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range bitsandbytes.Tensors(matrix, q, m.Source(matrix)) {
					seen++
					kind, shape, _ := file.Info(x.Name)
					var got, want []byte
					switch data := x.Data.(type) {
					case []byte:
						got = data
						want, err = file.ReadBytes(x.Name)
					case []float32:
						v := make([]float32, len(data))
						err = file.ReadInto(v, x.Name)
						got, _ = binary.Append(nil, binary.LittleEndian, data)
						want, _ = binary.Append(nil, binary.LittleEndian, v)
					}
					if err != nil || !slices.Equal(shape, x.Shape) || !bytes.Equal(got, want) {
						t.Errorf("%s is %s %v %.80q, %v; want %v %.80q", x.Name, kind, x.Shape, got, err, shape, want)
					}
				}
				if kind, shape, ok := m.Info(matrix); kind != bitsandbytes.NF4 || len(shape) != 2 || !ok ||
					m.Source(matrix) != source {
					t.Errorf("%s is %s %v of %s", matrix, kind, shape, m.Source(matrix))
				}
				// Another quantisation of the dequantised values has the same codes.
				values := make([]float32, q.Shape[0]*q.Shape[1])
				if err := m.ReadFinite(values, matrix); err != nil {
					t.Fatal(err)
				}
				if again := nf4.Quantize(values, q.Shape, false); !bytes.Equal(again.Codes, q.Codes) {
					t.Errorf("%s: codes of the dequantised values differ", matrix)
				}
			}
			if rest := len(m.Names()) - len(m.Packed()); seen == 0 || seen+rest != len(file.Names()) {
				t.Errorf("%d tensors belong to matrices in four bits and %d do not; the file has %d", seen, rest,
					len(file.Names()))
			}
		})
	}
}

// TestRefused: a matrix that is not nf4 in blocks of 64, or whose tensors do not fit together, is an error that names
// file, matrix and fault.
func TestRefused(t *testing.T) {
	const w = "roberta.encoder.layer.0.attention.self.key.weight"
	const state = w + ".quant_state.bitsandbytes__nf4"
	edit := func(old, new string) func(map[string]checkpoint.Tensor) {
		return func(all map[string]checkpoint.Tensor) {
			text := strings.Replace(string(all[state].Data.([]byte)), old, new, 1)
			all[state] = checkpoint.Tensor{Name: state, Shape: []int{len(text)}, Data: []byte(text)}
		}
	}
	set := func(end string, data any, shape ...int) func(map[string]checkpoint.Tensor) {
		return func(all map[string]checkpoint.Tensor) {
			all[w+end] = checkpoint.Tensor{Name: w + end, Shape: shape, Data: data}
		}
	}
	rename := func(from, to string) func(map[string]checkpoint.Tensor) {
		return func(all map[string]checkpoint.Tensor) {
			x := all[from]
			x.Name = to
			all[to] = x
			delete(all, from)
		}
	}
	for _, c := range []struct {
		name string
		edit func(map[string]checkpoint.Tensor)
		want string
	}{
		{"fp4", rename(state, w+".quant_state.bitsandbytes__fp4"), `is stored as "fp4"; want nf4`},
		{"type", edit(`"quant_type": "nf4"`, `"quant_type": "fp4"`), `has the quant_type "fp4"; want nf4`},
		{"blocks", edit(`"blocksize": 64`, `"blocksize": 128`), "has blocks of 128 elements; want 64"},
		{"scale_blocks", edit(`"nested_blocksize": 256`, `"nested_blocksize": 64`), "has scales in blocks of 64; want 256"},
		{"nested_type", edit(`"nested_dtype": "float32"`, `"nested_dtype": "float16"`),
			`has scales of scales in "float16"; want float32`},
		{"key", edit(`"nested_offset"`, `"offset"`), `"offset"`},
		{"huge_offset", edit(`"nested_offset": 0.`, `"nested_offset": 1`+strings.Repeat("0", 40)+"."),
			"has scales with the mean "},
		{"json", edit("{", "["), "has a quant_state that is not the JSON that bitsandbytes writes"},
		{"shape", edit("[12, 12]", "[12, -12]"), "has the shape [12 -12]; want that of a matrix"},
		{"overflow", edit("[12, 12]", "[4611686018427387904, 4]"), "has the shape "},
		{"elements", edit("[12, 12]", "[12, 14]"), "has 72 codes; want 84"},
		{"storage", set("", make([]float32, 18), 18, 1), "has codes in F32; want U8"},
		{"absmax_type", set(".absmax", make([]float32, 3), 3), "has scales in F32; want U8"},
		{"absmax_length", set(".absmax", make([]byte, 2), 2), "has 2 scales; want 3"},
		{"no_absmax", func(all map[string]checkpoint.Tensor) { delete(all, w+".absmax") },
			"has no scales: there is no tensor "},
		{"no_map", func(all map[string]checkpoint.Tensor) { delete(all, w+".nested_quant_map") },
			"has no values of scales: there is no tensor "},
		{"scalar_map", set(".quant_map", make([]float32, 1)), "has 1 levels; want 16"},
		{"levels", set(".quant_map", make([]float32, 16), 16), "has other levels than nf4: [0 0 "},
		{"state_type", set(".quant_state.bitsandbytes__nf4", make([]float32, 1), 1), "has a quant_state of F32; want U8"},
		{"eight_bits", set("", nil), "is stored in 8 bits (LLM.int8)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := tensors(t)
			if c.name == "eight_bits" {
				all["roberta.x.SCB"] = checkpoint.Tensor{Name: "roberta.x.SCB", Shape: []int{1}, Data: make([]float32, 1)}
			} else {
				c.edit(all)
			}
			dir := write(t, all)
			m, err := bitsandbytes.Open(dir)
			if err == nil {
				m.Close()
				t.Fatal("there is no error")
			}
			file := filepath.Join(dir, "model.safetensors")
			if text := err.Error(); !strings.Contains(text, c.want) || !strings.Contains(text, file) {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
}

// TestNotFinite: scales that are not finite are an error for the reader of the matrix.
func TestNotFinite(t *testing.T) {
	const w = "roberta.encoder.layer.0.attention.self.key.weight"
	for end, v := range map[string]float32{
		".nested_absmax": float32(math.NaN()), ".nested_quant_map": float32(math.Inf(1)),
	} {
		all := tensors(t)
		for i := range all[w+end].Data.([]float32) {
			all[w+end].Data.([]float32)[i] = v
		}
		m, err := bitsandbytes.Open(write(t, all))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := m.ReadFinite(make([]float32, 144), w); !errors.Is(err, checkpoint.ErrNotFinite) {
			t.Errorf("%s: error %v", end, err)
		}
	}
	all := tensors(t)
	for i := range all[w+".nested_absmax"].Data.([]float32) {
		all[w+".nested_absmax"].Data.([]float32)[i] = math.MaxFloat32
	}
	for i := range all[w+".nested_quant_map"].Data.([]float32) {
		all[w+".nested_quant_map"].Data.([]float32)[i] = 2
	}
	m, err := bitsandbytes.Open(write(t, all))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Matrix(w); !errors.Is(err, checkpoint.ErrNotFinite) || !strings.Contains(err.Error(), "scale 0 of ") {
		t.Errorf("a product out of range: error %v", err)
	}
}

// TestConfig: the quantization_config that transformers and this package write is accepted; others are refused by name.
func TestConfig(t *testing.T) {
	for name := range models {
		text, err := os.ReadFile(filepath.Join("testdata", name, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Quantization json.RawMessage `json:"quantization_config"`
		}
		if err := json.Unmarshal(text, &c); err != nil || c.Quantization == nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := bitsandbytes.CheckConfig(c.Quantization); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	own, err := json.Marshal(bitsandbytes.Config(checkpoint.BF16, []string{"lm_head"}))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		string(own): "", "null": "", "": "",
		`{"quant_method": "gptq", "bits": 4}`:                    `quantization_config.quant_method is "gptq"; want nf4`,
		`{"quant_method": "bitsandbytes", "load_in_8bit": true}`: "quantization_config.load_in_8bit is true",
		`{"quant_method": "bitsandbytes"}`:                       "quantization_config.load_in_4bit is not true",
		`{"quant_method": "bitsandbytes", "load_in_4bit": true}`: `quantization_config.bnb_4bit_quant_type is "fp4"`,
		`{"load_in_4bit": 1}`: "quantization_config is not what transformers writes: load_in_4bit holds a JSON number, not " +
			"true or false; want nf4",
	} {
		err := bitsandbytes.CheckConfig(json.RawMessage(text))
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %v; want %s", text, err, want)
		}
	}
}

// tensors returns the tensors of the model roberta.
func tensors(t *testing.T) map[string]checkpoint.Tensor {
	t.Helper()
	f, err := checkpoint.Open("testdata/roberta/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]checkpoint.Tensor{}
	for _, name := range f.Names() {
		kind, shape, _ := f.Info(name)
		x := checkpoint.Tensor{Name: name, Shape: shape}
		if kind == checkpoint.U8 {
			x.Data, err = f.ReadBytes(name)
		} else {
			n := 1
			for _, d := range shape {
				n *= d
			}
			v := make([]float32, n)
			err = f.ReadInto(v, name)
			x.Data = v
		}
		if err != nil {
			t.Fatal(err)
		}
		all[name] = x
	}
	return all
}

// write writes a model folder.
func write(t *testing.T, all map[string]checkpoint.Tensor) string {
	t.Helper()
	var list []checkpoint.Tensor
	for _, x := range all {
		list = append(list, x)
	}
	var file bytes.Buffer
	if err := checkpoint.Write(&file, nil, list); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model.safetensors"), file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}
