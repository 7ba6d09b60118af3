package model_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
)

const fourBitDir = "../bitsandbytes/testdata"

// fourBitGolden returns the sequences of a model of scripts/golden_bitsandbytes.py and their logits.
func fourBitGolden(t *testing.T, dir string, outputs int) (b model.Batch, want []float32) {
	t.Helper()
	f, err := checkpoint.Open(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b = goldenPack(t, f)
	b.Types = make([]int32, len(b.IDs))
	want = make([]float32, outputs)
	if err := f.ReadInto(want, "logits"); err != nil {
		t.Fatal(err)
	}
	return b, want
}

// TestFourBit: models that transformers and bitsandbytes saved in four bits have the logits of their dequantised
// weights. The weights of linear layers stay in four bits with the codes and scales of the file; the head, which is
// trained, is dequantised. The memory that is planned without reading the weights is that which they take.
func TestFourBit(t *testing.T) {
	check := func(t *testing.T, dir string, dev *cpu.Device[float64], n model.Network, got []float64, want []float32) {
		for i, w := range want {
			if !(math.Abs(got[i]-float64(w)) < 2e-5) {
				t.Fatalf("logit %d is %v; want %v", i, got[i], w)
			}
		}
		w, err := bitsandbytes.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for _, s := range n.Sites() {
			p := n.Linear(s).W
			if p.Value.DType != compute.NF4 || p.Storage != compute.Working {
				t.Fatalf("%s is %s", p.Name, p.Value.DType)
			}
			q, err := w.Matrix(p.Name)
			if err != nil {
				t.Fatal(err)
			}
			back, same := dev.Alloc(p.Value.Shape, compute.Working), dev.Alloc(p.Value.Shape, compute.Working)
			packed := dev.Alloc(p.Value.Shape, compute.NF4)
			dev.UploadNF4(packed, q.Codes, q.Expanded())
			dev.Copy(same, packed)
			dev.Copy(back, p.Value)
			if !slices.Equal(cpu.Data[float64](back), cpu.Data[float64](same)) {
				t.Errorf("%s has other values than the file", p.Name)
			}
		}
	}
	t.Run("roberta", func(t *testing.T) {
		dir := filepath.Join(fourBitDir, "roberta")
		b, want := fourBitGolden(t, dir, 4*3)
		dev, m := load(t, dir, 3, 1)
		check(t, dir, dev, m, logits(dev, m, b), want)
		for _, p := range m.Head() {
			if p.Value.DType != compute.Working {
				t.Errorf("%s is %s; the head is trained", p.Name, p.Value.DType)
			}
		}
		c, err := model.ReadConfig(dir)
		if err != nil || model.CheckWeights(dir, &c) != nil {
			t.Fatal(err)
		}
		null := nulldev.Open(8)
		if _, err := model.New(null, c, 3, 1, nil, model.NoValues); err != nil {
			t.Fatal(err)
		}
		real, _ := load(t, dir, 3, 1)
		if got, want := null.Stats().PersistentBytes, real.Stats().PersistentBytes; got != want {
			t.Errorf("%d bytes are planned; the model takes %d", got, want)
		}
	})
	t.Run("llama", func(t *testing.T) {
		dir := filepath.Join(fourBitDir, "llama")
		b, want := fourBitGolden(t, dir, 20*23)
		b.Types = nil
		dev := cpu.Open[float64](1)
		m, err := model.LoadDecoder(dev, dir, 10, nil)
		if err != nil {
			t.Fatal(err)
		}
		check(t, dir, dev, m, tokenLogits(dev, m, b), want)
		c, err := model.ReadDecoderConfig(dir)
		if err != nil || model.CheckDecoderWeights(dir, &c) != nil {
			t.Fatal(err)
		}
		if c.Stored != compute.BFloat16 || len(c.FourBit) != 14 {
			t.Errorf("other matrices are stored as %s, and %d are in four bits", c.Stored, len(c.FourBit))
		}
	})
}

// TestFourBitTrained: a weight that a run trains is dequantised.
func TestFourBitTrained(t *testing.T) {
	dir := filepath.Join(fourBitDir, "roberta")
	dev := cpu.Open[float64](1)
	m, err := model.Load(dev, dir, stored(3), 1, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	b, want := fourBitGolden(t, dir, 4*3)
	for i, v := range logits(dev, m, b) {
		if !(math.Abs(v-float64(want[i])) < 2e-5) {
			t.Fatalf("logit %d is %v; want %v", i, v, want[i])
		}
	}
	for _, s := range m.Sites() {
		if m.Linear(s).W.Value.DType != compute.Working {
			t.Errorf("%s is in four bits", s.Path)
		}
	}
}

// TestQuantizationConfig: a config.json with another quantisation is refused by name, for encoders and decoders.
func TestQuantizationConfig(t *testing.T) {
	for name, read := range map[string]func(dir string) error{
		"roberta": func(dir string) error { return second(model.ReadConfig(dir)) },
		"llama":   func(dir string) error { return second(model.ReadDecoderConfig(dir)) },
	} {
		text, err := os.ReadFile(filepath.Join(fourBitDir, name, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		for old, want := range map[string]string{
			`"bnb_4bit_quant_type": "nf4"`:   `: quantization_config.bnb_4bit_quant_type is "fp4"; want nf4 of `,
			`"quant_method": "bitsandbytes"`: `: quantization_config.quant_method is "awq"; want nf4 of `,
		} {
			dir := t.TempDir()
			key, _, _ := strings.Cut(old, ":")
			value := map[bool]string{true: "fp4", false: "awq"}[strings.Contains(key, "type")]
			bad := bytes.Replace(text, []byte(old), []byte(key+`: "`+value+`"`), 1)
			if err := os.WriteFile(filepath.Join(dir, "config.json"), bad, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := read(dir); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v; want %s", name, err, want)
			}
		}
	}
}
