package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/model"
)

// torchLoss is torch.nn.CrossEntropyLoss(weight=w, label_smoothing=e) of logits
// [B,C], as its documentation defines it.
func torchLoss(logits []float32, labels []float32, w []float64, e float64) float64 {
	classes := len(logits) / len(labels)
	total, weights := 0.0, 0.0
	for n, label := range labels {
		sum := 0.0
		for c := range classes {
			sum += math.Exp(float64(logits[n*classes+c]))
		}
		for c := range classes {
			target := e / float64(classes)
			if c == int(label) {
				target += 1 - e
			}
			total -= w[c] * target * (float64(logits[n*classes+c]) - math.Log(sum))
		}
		weights += w[int(label)]
	}
	return total / weights
}

// TestWeighedLoss compares the loss of a step, over one pass and over several,
// with PyTorch's definition. The loss of evaluations must not be weighted.
func TestWeighedLoss(t *testing.T) {
	dev := cpu.Open[float32](1)
	c := demoConfig(t, t.TempDir(), 16)
	zero := 0.0
	c.Method = c.Method.With(adapter.Values{"dropout": zero})
	s, err := OpenSession(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.load(context.Background(), "train", true)
	if err != nil {
		t.Fatal(err)
	}
	indices := []int32{0, 3, 5, 7, 8, 9}
	weights, ones := make([]float64, 10), make([]float64, 10)
	for i := range weights {
		weights[i], ones[i] = 0.25*float64(i+1), 1
	}
	for _, size := range []int{6, 2} {
		for _, o := range []struct {
			weights   []float64
			smoothing float64
		}{{nil, 0}, {weights, 0}, {nil, 0.1}, {weights, 0.3}} {
			t.Run(fmt.Sprintf("micro_batch=%d/weights=%t/smoothing=%v", size, o.weights != nil, o.smoothing),
				func(t *testing.T) {
					m, method, err := s.attach(dev, adapter.Settings{Config: c.Method, Seed: s.Config.Seed})
					if err != nil {
						t.Fatal(err)
					}
					e := m.(*model.Encoder)
					e.HiddenDropout, e.AttentionDropout = 0, 0
					st := NewStepper(dev, m, method, c.Optim, 1, Classification(dev, 10, o.weights, o.smoothing), 1)
					b := d.batch(indices)
					logits, err := st.Results(b)
					if err != nil {
						t.Fatal(err)
					}
					if err := st.Step(1, d.micro(indices, config.Train{MicroBatchSize: size}), 1); err != nil {
						t.Fatal(err)
					}
					reports, err := st.Reports(1, 1)
					if err != nil {
						t.Fatal(err)
					}
					w := o.weights
					if w == nil {
						w = ones
					}
					if got, want := reports[0].Loss, torchLoss(logits, b.Labels, w, o.smoothing); !(math.Abs(got-want) < 2e-6) {
						t.Errorf("the loss is %v; want %v", got, want)
					}
				})
		}
	}
}

// TestClassWeights: balanced weights are those of scikit-learn, and settings
// that do not fit the data are faults of the run file.
func TestClassWeights(t *testing.T) {
	dir := t.TempDir()
	c := demoConfig(t, dir, 4)
	write := func(labels ...string) {
		text := "text\tlabel\n"
		for i, l := range labels {
			text += fmt.Sprintf("sentence %d\t%s\n", i, l)
		}
		if err := os.WriteFile(filepath.Join(dir, "train.tsv"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	of := func(t *testing.T) ([]float64, error) {
		s, err := OpenSession(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.load(context.Background(), "train", true)
		if err != nil {
			t.Fatal(err)
		}
		return s.classWeights(d)
	}
	write("no", "no", "yes", "no", "maybe", "no")
	c.Data.Labels, c.Train.ClassWeights = []string{"maybe", "no", "yes"}, []config.Weight{config.Balanced}
	// The weights are those of compute_class_weight("balanced", classes=[0, 1, 2],
	// y=[1, 1, 2, 1, 0, 1]).
	got, err := of(t)
	if want := []float64{2, 0.5, 2}; err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("balanced weights %v, %v; want %v", got, err, want)
	}
	c.Train.ClassWeights = []config.Weight{"1", "2.5", "3"}
	if got, err := of(t); err != nil || fmt.Sprint(got) != "[1 2.5 3]" {
		t.Errorf("weights %v, %v; want those of the run file", got, err)
	}
	c.Train.ClassWeights = nil
	if got, err := of(t); err != nil || got != nil {
		t.Errorf("weights %v, %v; want none", got, err)
	}
	refused := func(name, want string) {
		t.Run("fault="+name, func(t *testing.T) {
			_, err := of(t)
			var faults *config.Error
			if !errors.As(err, &faults) || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v; want a fault of the run file with %q", err, want)
			}
		})
	}
	c.Train.ClassWeights = []config.Weight{"1", "2"}
	refused("count", "train.class_weights has 2 numbers, and there are 3 labels; give one number for each of")
	c.Train.ClassWeights = []config.Weight{config.Balanced}
	write("no", "yes")
	refused("label without example", `has no example of label "maybe"`)
	write("0.5", "1.5")
	c.Data.Kind, c.Data.Labels = "regression", nil
	refused("regression", "train.class_weights is set, and the labels are numbers")
	c.Train.ClassWeights, c.Train.LabelSmoothing = nil, 0.1
	refused("smoothed regression", "train.label_smoothing is 0.1, and the labels are numbers")
	write("a", "a,b")
	c.Data.Kind = dataset.MultiLabel
	refused("smoothed labels", "train.label_smoothing is 0.1, and data.kind is multilabel; set it to 0")
	c.Train.ClassWeights, c.Train.LabelSmoothing = []config.Weight{"1", "2"}, 0
	refused("weighted labels", "train.class_weights is set, and data.kind is multilabel")
}
