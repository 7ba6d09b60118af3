package train

import (
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
)

// TestGoldenLoss compares training with class weights and label smoothing with
// PyTorch's cross-entropy, over one pass and over micro-batches of two examples.
func TestGoldenLoss(t *testing.T) {
	for name, g := range goldensIn(t, "../../testdata/golden_loss") {
		if g.ClassWeights == nil && g.LabelSmoothing == 0 {
			t.Fatalf("%s has neither class weights nor smoothing", name)
		}
		t.Run("case="+name+"/dtype=float32", func(t *testing.T) { testGolden(t, g, cpu.Open[float32](2), exactly(1e-5)) })
		t.Run("case="+name+"/dtype=float64", func(t *testing.T) {
			dev := cpu.Open[float64](2)
			testGolden(t, g, dev, exactly(5e-7))
			testMicroBatches(t, g, dev)
		})
	}
}

// TestGoldenMultiLabel compares training on any number of labels for each sequence with transformers.
func TestGoldenMultiLabel(t *testing.T) {
	for name, g := range goldensIn(t, "../../testdata/golden_multilabel") {
		if !g.MultiLabel {
			t.Fatalf("%s has one label for each sequence", name)
		}
		t.Run("case="+name+"/dtype=float32", func(t *testing.T) { testGolden(t, g, cpu.Open[float32](2), exactly(1e-5)) })
		t.Run("case="+name+"/dtype=float64", func(t *testing.T) {
			dev := cpu.Open[float64](2)
			testGolden(t, g, dev, exactly(5e-7))
			testMicroBatches(t, g, dev)
		})
	}
}

// TestGoldenTokens compares token classification with transformers, in one pass and in micro-batches of two sentences.
func TestGoldenTokens(t *testing.T) {
	cases := goldensIn(t, "../../testdata/golden_tokens")
	if len(cases) != 8 {
		t.Fatalf("%d cases", len(cases))
	}
	for name, g := range cases {
		// Adam divides gradients that are almost zero by their size, so the rounding errors of ten steps are larger here.
		t.Run("case="+name+"/dtype=float32", func(t *testing.T) { testGolden(t, g, cpu.Open[float32](2), exactly(2e-5)) })
		t.Run("case="+name+"/dtype=float64", func(t *testing.T) {
			dev := cpu.Open[float64](2)
			testGolden(t, g, dev, exactly(5e-7))
			testMicroBatches(t, g, dev)
		})
	}
}

// testMicroBatches compares loss and gradients of micro-batches of two examples with those of the whole batch.
func testMicroBatches(t *testing.T, g *golden, dev compute.Device) {
	s, near := g.stepper(t, dev), exactly(5e-7).compare()
	s.gradient(1, pairsOf(g.batch(t)), nil)
	near.check(t, "loss", "loss of micro-batches", download(dev, s.loss), g.floats(t, "loss"))
	for _, p := range s.Opt.Params() {
		name := "grad." + g.fileName(p)
		near.check(t, "grad", name+" of micro-batches", download(dev, p.Grad), g.floats(t, name))
	}
}

// pairsOf splits a batch into micro-batches of two examples; the last may have one.
func pairsOf(b model.Batch) (micro []model.Batch) {
	labels, ends := len(b.Labels)/b.Len(), b.Ends() // labels of each example, unless tokens have them
	for first := 0; first < b.Len(); first += 2 {
		last := min(first+2, b.Len())
		from, to := b.Cu[first], b.Cu[last]
		part := model.Batch{IDs: b.IDs[from:to], Types: b.Types[from:to], Labels: b.Labels[first*labels : last*labels]}
		for _, end := range slices.Clone(b.Cu[first : last+1]) {
			part.Cu = append(part.Cu, end-from)
		}
		if b.Read != nil {
			at := 0
			if first > 0 {
				at = ends[first-1]
			}
			part.Labels, part.Read = b.Labels[at:ends[last-1]], nil
			for _, row := range b.Read[at:ends[last-1]] {
				part.Read = append(part.Read, row-from)
			}
		}
		micro = append(micro, part)
	}
	return micro
}
