package train

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/place"
)

// truncated writes the first `rank` rows of A and columns of B of an adapter in dir as a LoRA of PEFT.
func truncated(t *testing.T, dir string, rank int, alpha float64) string {
	t.Helper()
	f, err := checkpoint.Open(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []checkpoint.Tensor
	for _, name := range f.Names() {
		_, shape, _ := f.Info(name)
		n := 1
		for _, d := range shape {
			n *= d
		}
		values := make([]float32, n)
		if err := f.ReadInto(values, name); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.Contains(name, "lora_A"):
			values, shape = values[:rank*shape[1]], []int{rank, shape[1]}
		case strings.Contains(name, "lora_B"):
			var cut []float32
			for i := 0; i < n; i += shape[1] {
				cut = append(cut, values[i:i+rank]...)
			}
			values, shape = cut, []int{shape[0], rank}
		}
		tensors = append(tensors, checkpoint.Tensor{Name: name, Shape: shape, Data: values})
	}
	var file bytes.Buffer
	if err := checkpoint.Write(&file, nil, tensors); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	config := fmt.Sprintf(`{"peft_type":"LORA","task_type":"SEQ_CLS","base_model_name_or_path":"x","r":%d,"lora_alpha":%g,`+
		`"lora_dropout":0,"target_modules":["query","value"],"modules_to_save":["classifier"]}`, rank, alpha)
	for name, content := range map[string][]byte{
		"adapter_config.json": []byte(config), "adapter_model.safetensors": file.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestViews: an adapter that works at several ranks has at each of them the scores of a LoRA that is cut to this rank,
// and at the full rank those of an ordinary evaluation.
func TestViews(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 24)
	c.Method, c.Train.Epochs = adapter.Configure("dylora", adapter.Values{"rank": 3, "alpha": 12}), 1
	c.Resolve()
	if _, err := Run(context.Background(), c, quiet(2)); err != nil {
		t.Fatal(err)
	}
	best := filepath.Join(c.Out, "best")
	evaluate := func(choice string) ([]*SplitEvaluation, error) {
		return EvaluateViews(context.Background(), c, cpu.Open[float32](1), best, "dev", choice, nil)
	}
	list, err := evaluate("all")
	if err != nil || len(list) != 3 {
		t.Fatalf("%d forms, %v", len(list), err)
	}
	for i, e := range list {
		plain := *c
		plain.Data.Labels = e.Labels
		want, err := Evaluate(context.Background(), &plain, cpu.Open[float32](1), truncated(t, best, i+1, 12), "dev", nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := math.Abs(e.Loss - want.Loss); !(d < 1e-6) || e.View != fmt.Sprintf("rank %d", i+1) {
			t.Errorf("%s has loss %.8f; the LoRA of rank %d has %.8f", e.View, e.Loss, i+1, want.Loss)
		}
	}
	if list[0].Loss == list[1].Loss || list[1].Loss == list[2].Loss {
		t.Error("two ranks have the same loss")
	}
	some, err := evaluate("3,1")
	if err != nil || len(some) != 2 || some[0].Loss != list[2].Loss || some[1].Loss != list[0].Loss {
		t.Errorf("ranks 3 and 1 are %+v, %v", some, err)
	}
	if whole, err := evaluate(""); err != nil || whole[0].Loss != list[2].Loss || whole[0].View != "" {
		t.Errorf("without a choice the evaluation is %+v, %v", whole, err)
	}
	if _, err := evaluate("4"); !place.IsMistake(err) || !strings.Contains(err.Error(),
		`evaluate views "4": "4" is not a form of the adapter; want all, or numbers from 1 (rank 1) to 3 (rank 3)`) {
		t.Errorf("error is %v", err)
	}
	if _, err := chooseViews(adapter.Head{}, "head", "all"); !place.IsMistake(err) ||
		!strings.Contains(err.Error(), "this adapter of method head has one form only") {
		t.Errorf("error is %v", err)
	}
}
