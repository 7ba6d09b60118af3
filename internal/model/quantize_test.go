package model_test

import (
	"math"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// TestQuantize: a quantised encoder needs less memory, has the output that its dequantised weights give, and leaves
// embeddings and head alone.
func TestQuantize(t *testing.T) {
	dev := cpu.Open[float32](1)
	load := func() *model.Encoder {
		m, err := model.Load(dev, "../../testdata/golden/roberta", model.Head{Outputs: 2}, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	output := func(m *model.Encoder) []float32 {
		dev.Reset()
		tp := &tape.Tape{Dev: dev}
		b := model.Batch{IDs: []int32{0, 5, 6, 2}, Types: make([]int32, 4), Cu: []int32{0, 4}}
		y := m.Forward(m.NewPass(tp, b, model.Base{}))
		values := make([]float32, y.Value.Shape.Len())
		dev.Download(values, y.Value)
		return values
	}
	exact := load()
	plain := output(exact)
	m := load()
	before := dev.Stats().PersistentBytes
	model.Quantize(dev, m)
	saved := before - dev.Stats().PersistentBytes
	want := int64(0)
	for _, s := range m.Sites() {
		n := int64(m.Linear(s).W.Value.Shape.Len())
		want += 4*n - compute.NF4Bytes(n)
	}
	if saved != want || want == 0 {
		t.Errorf("%d bytes are saved; want %d", saved, want)
	}
	got := output(m)
	// The same with weights that are dequantised once.
	for _, s := range m.Sites() {
		w := exact.Linear(s).W
		w.Value = dev.Alloc(w.Value.Shape, compute.Working)
		dev.Copy(w.Value, m.Linear(s).W.Value)
	}
	differs := false
	for i, v := range output(exact) {
		if got[i] != v {
			t.Fatalf("output %d is %v; the dequantised weights give %v", i, got[i], v)
		}
		differs = differs || got[i] != plain[i]
		if math.Abs(float64(got[i]-plain[i])) > 0.2 {
			t.Errorf("output %d is %v; without quantisation it is %v", i, got[i], plain[i])
		}
	}
	if !differs {
		t.Error("quantisation changes nothing")
	}
}
