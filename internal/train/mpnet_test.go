package train

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// TestRealMPNet compares ids and logits of a real model with those of transformers, which scripts/golden_mpnet.py
// wrote. The head is drawn from the seed by both.
func TestRealMPNet(t *testing.T) {
	dir := os.Getenv("LOR2C_MPNET")
	if dir == "" {
		t.Skip("LOR2C_MPNET is not set; it names a folder with all-mpnet-base-v2")
	}
	raw, err := os.ReadFile("../../testdata/golden_mpnet.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		SHA256  string `json:"weights_sha256"`
		Classes int
		Rows    []struct {
			Texts  []string
			IDs    []int32
			Logits []float64
		}
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(weights)); got != golden.SHA256 {
		t.Fatalf("the weights have the SHA-256 %s; the golden values are those of %s", got, golden.SHA256)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.Open[float32](2)
	m, err := model.Load(dev, dir, model.Head{Outputs: golden.Classes}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	head, err := adapter.Attach(dev, m, adapter.Settings{Config: adapter.NewConfig("head"), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	s := NewStepper(dev, m, head, optim.Default(), 1, Classification(dev, golden.Classes, nil, 0), 1)
	var batch model.Batch
	var want []float64
	batch.Cu = []int32{0}
	for _, row := range golden.Rows {
		var second *string
		if len(row.Texts) == 2 {
			second = &row.Texts[1]
		}
		e := tok.Encode(row.Texts[0], second, m.MaxTokens())
		if !slices.Equal(e.IDs, row.IDs) {
			t.Errorf("%.40q: ids %v; want %v", row.Texts, e.IDs, row.IDs)
		}
		batch.IDs, batch.Types = append(batch.IDs, e.IDs...), append(batch.Types, e.TypeIDs...)
		batch.Cu, batch.Labels = append(batch.Cu, int32(len(batch.IDs))), append(batch.Labels, 0)
		want = append(want, row.Logits...)
	}
	got, err := s.Results(batch)
	if err != nil {
		t.Fatal(err)
	}
	largest := 0.0
	for i, w := range want {
		largest = math.Max(largest, math.Abs(float64(got[i])-w))
	}
	t.Logf("largest difference of a logit: %.3g", largest)
	if !(largest <= 1e-4) {
		t.Errorf("logits %v; want %v", got, want)
	}
}
