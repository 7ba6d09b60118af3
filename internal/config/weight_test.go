package config

import (
	"slices"
	"strings"
	"testing"
)

// TestWeights reads train.class_weights from each source as a user writes it.
func TestWeights(t *testing.T) {
	set := func(value string) []string { return append(slices.Clone(minimal), "train.class_weights="+value) }
	for text, want := range map[string][]float64{
		"balanced": nil, "[balanced]": nil, "[]": nil, "[1, 2.5, 1e-3]": {1, 2.5, 0.001}, "1, 2.5": {1, 2.5}, "3": {3},
	} {
		t.Run("value="+text, func(t *testing.T) {
			c := mustLoad(t, "", set(text), nil)
			if got := c.Train.Weights(); !slices.Equal(got, want) {
				t.Errorf("weights %v; want %v", got, want)
			}
			if c.Train.Balanced() != strings.Contains(text, "balanced") {
				t.Errorf("Balanced() is %t", c.Train.Balanced())
			}
			if !strings.Contains(text, "balanced") && strings.Contains(string(c.YAML()), `"1`) {
				t.Errorf("numbers are in quotes:\n%s", c.YAML())
			}
		})
	}
	for text, want := range map[string]string{
		"even":          "is even; want balanced alone, or a number for each label",
		"[balanced, 1]": "is balanced; want balanced alone",
		"[1, 0]":        "is 0; want balanced alone, or a number for each label, more than 0 and finite",
		"[1, .inf]":     "is .inf",
		"[1, true]":     "element [1] is true, a boolean; want",
	} {
		t.Run("fault="+text, func(t *testing.T) {
			_, err := Load("", set(text), nil)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v; want one with %q", err, want)
			}
		})
	}
}

func TestExtent(t *testing.T) {
	for _, c := range []struct {
		train         Train
		perEpoch      int
		steps, epochs int
	}{
		{Train{Epochs: 3}, 10, 30, 3}, {Train{Epochs: 3, MaxSteps: 25}, 10, 25, 3}, {Train{Epochs: 3, MaxSteps: 1}, 10, 1, 1},
		{Train{Epochs: 3, MaxSteps: 40}, 10, 40, 4},
	} {
		if steps, epochs := c.train.Extent(c.perEpoch); steps != c.steps || epochs != c.epochs {
			t.Errorf("%+v with %d an epoch: %d steps of %d epochs; want %d of %d", c.train, c.perEpoch, steps, epochs, c.steps,
				c.epochs)
		}
	}
}

// TestLearningRate: the method determines the rate if the run file does not.
func TestLearningRate(t *testing.T) {
	for _, c := range []struct {
		sets []string
		want float64
	}{
		{nil, 1e-3}, {[]string{"method.name=lora"}, 1e-3}, {[]string{"method.name=head"}, 1e-3},
		{[]string{"method.name=full"}, 5e-5},
		{[]string{"method.name=full", "optim.lr=2e-4"}, 2e-4}, {[]string{"optim.lr=2e-4", "optim.lr=null"}, 1e-3},
	} {
		got := mustLoad(t, "", append(slices.Clone(minimal), c.sets...), nil)
		if got.Optim.LR != c.want {
			t.Errorf("%v: optim.lr is %v; want %v", c.sets, got.Optim.LR, c.want)
		}
	}
}
