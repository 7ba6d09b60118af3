package onnx_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/onnx"
	"github.com/lor2c/lor2c/internal/peertest"
	"github.com/lor2c/lor2c/internal/tape"
)

// tiny has an encoder of every kind, with every activation and with one and two types of tokens.
var tiny = map[string]model.Config{
	"bert":         {Type: "bert", Types: 2, Activation: "gelu"},
	"bert-relu":    {Type: "bert", Types: 2, Activation: "relu"},
	"roberta":      {Type: "roberta", Types: 1, Activation: "gelu"},
	"roberta-tanh": {Type: "roberta", Types: 2, Activation: "gelu_new"},
	"distilbert":   {Type: "distilbert", Activation: "gelu"},
	"mpnet":        {Type: "mpnet", Buckets: 32, Activation: "gelu"},
}

// rows are the lengths of the sequences of the test.
var rows = []int{5, 1, 9, 2}

// network returns a tiny encoder with LoR2C modules around the first two layers together and around the third.
func network(t *testing.T, dev compute.Device, kind string) (*model.Encoder, *adapter.LoR2C) {
	t.Helper()
	c := tiny[kind]
	c.Width, c.Layers, c.Heads, c.FF, c.Vocab, c.Positions, c.Eps = 8, 3, 2, 36, 40, 40, 1e-5
	n, err := model.New(dev, c, 3, 1, nil, func(name string, shape compute.Shape) ([]float32, bool, error) {
		values := make([]float32, shape.Len())
		compute.Normal(values, 31, name, 0.3)
		if strings.HasSuffix(name, "LayerNorm.weight") {
			for i := range values {
				values[i]++
			}
		}
		return values, true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := adapter.Attach(dev, n, adapter.Settings{Config: adapter.Configure("lor2c", adapter.Values{"rank": 2})})
	if err != nil {
		t.Fatal(err)
	}
	lor2c := m.(*adapter.LoR2C)
	lor2c.Merge(0, 1, 0)
	for _, p := range lor2c.Params() {
		values := make([]float32, p.Value.Shape.Len())
		compute.Normal(values, 7, p.Name, 0.3)
		p.Upload(dev, values)
	}
	return n, lor2c
}

// TestEncoder: the model of a tiny encoder is, byte by byte, the file that scripts/check_onnx.py --tiny has run with
// onnxruntime, and the logits that onnxruntime has computed are those of the forward pass. LOR2C_UPDATE=1 writes the
// files; the script then writes the logits.
func TestEncoder(t *testing.T) {
	for kind := range tiny {
		t.Run("model="+kind, func(t *testing.T) {
			dev, dir := cpu.Open[float32](1), t.TempDir()
			n, m := network(t, dev, kind)
			if err := onnx.Encoder(dev, n, adapter.Paths(m)).Save(dir, onnx.Inline); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(dir, onnx.ModelFile))
			if err != nil {
				t.Fatal(err)
			}
			peertest.Check(t, kind+".onnx", got, logits(dev, n, m), 1e-5, "scripts/check_onnx.py --tiny")
		})
	}
}

// logits returns what the network computes for sequences of the lengths of rows.
func logits(dev compute.Device, n *model.Encoder, m adapter.Method) []float32 {
	b := model.Batch{Cu: []int32{0}}
	for _, length := range rows {
		for i := range length {
			b.IDs, b.Types = append(b.IDs, int32((7*length+5*i)%23)), append(b.Types, int32(2*i/length))
			if n.Types == 1 {
				b.Types[len(b.Types)-1] = 0
			}
		}
		b.Cu, b.Labels = append(b.Cu, int32(len(b.IDs))), append(b.Labels, 0)
	}
	y := n.Forward(n.NewPass(&tape.Tape{Dev: dev, Seed: 1, Step: 1}, b, m.Hook(adapter.At{}))).Value
	values := make([]float32, y.Shape.Len())
	dev.Download(values, y)
	return values
}

// TestDataFile: a model whose tensors have more bytes than fit has the large ones in a second file, at the offsets that
// the model names, and both files together have the values of the single one.
func TestDataFile(t *testing.T) {
	dev, one, two := cpu.Open[float32](1), t.TempDir(), t.TempDir()
	n, m := network(t, dev, "mpnet")
	for dir, inline := range map[string]int64{one: onnx.Inline, two: 4000} {
		if err := onnx.Encoder(dev, n, adapter.Paths(m)).Save(dir, inline); err != nil {
			t.Fatal(err)
		}
	}
	read := func(dir, name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole, part, data := read(one, onnx.ModelFile), read(two, onnx.ModelFile), read(two, onnx.DataFile)
	if _, err := os.Stat(filepath.Join(one, onnx.DataFile)); err == nil {
		t.Error("a small model has a data file")
	}
	const name = "mpnet.encoder.relative_attention_bias.weight" // [32,2], which is too small for the data file
	if !bytes.Contains(part, []byte(name)) || len(part) >= len(whole) {
		t.Errorf("the model has %d bytes beside the data file, and %d without", len(part), len(whole))
	}
	if len(data) == 0 {
		t.Fatal("the data file is empty")
	}
	for at := 0; at < len(data); at += 4096 {
		block := data[at:min(at+256, len(data))]
		if !bytes.Contains(whole, block) || bytes.Contains(part, block) {
			t.Errorf("the values at %d of the data file are not those of the model, or are in both files", at)
		}
		if offset := fmt.Appendf(nil, "\x0a\x06offset\x12%c%d", len(fmt.Sprint(at)), at); !bytes.Contains(part, offset) {
			t.Errorf("the model has no tensor at %d of the data file", at)
		}
	}
}

// TestSaveFault: a file that cannot be written is an error that names it.
func TestSaveFault(t *testing.T) {
	dev := cpu.Open[float32](1)
	n, m := network(t, dev, "bert")
	path := filepath.Join(t.TempDir(), "missing")
	if err := onnx.Encoder(dev, n, adapter.Paths(m)).Save(path, 0); err == nil ||
		!strings.HasPrefix(err.Error(), "onnx: write "+filepath.Join(path, onnx.DataFile)+": ") {
		t.Errorf("error %v", err)
	}
}
