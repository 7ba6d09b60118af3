package adapter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/schedule"
)

// asLoRA attaches ASLoRA to a model of four layers for a run of the given number of steps.
func asLoRA(t *testing.T, values adapter.Values, steps int, structure string) (*adapter.ASLoRA, error) {
	t.Helper()
	dev := cpu.Open[float32](1)
	m, err := model.New(dev, tiny("roberta"), 3, 1, nil, weights)
	if err != nil {
		t.Fatal(err)
	}
	s := adapter.Settings{Config: adapter.Configure("aslora", values), Run: schedule.Run{Steps: steps}}
	if structure != "" {
		s.Structure = []byte(structure)
	}
	method, err := adapter.Attach(dev, m, s)
	if err != nil {
		return nil, err
	}
	return method.(*adapter.ASLoRA), nil
}

// TestMergeSteps: the defaults are the steps of the paper for MRPC, 560, 800 and so on, in a run of 6,900 steps.
func TestMergeSteps(t *testing.T) {
	m, err := asLoRA(t, adapter.Values{"merges": 3}, 6900, "")
	if err != nil {
		t.Fatal(err)
	}
	var due []int
	for step := 1; step <= 6900; step++ {
		if m.Due(adapter.At{Step: step}) {
			due = append(due, step)
		}
	}
	if got := fmt.Sprint(due); got != "[560 800 1040]" {
		t.Errorf("merges are due after steps %s; want 560, 800 and 1040", got)
	}
}

// TestClosestMerge works the example of three layers by hand: with the means of two steps, the distances of layers 0, 1
// and 2 are 0.3123, 0.7106 and 0.5590, so that layer 0 takes over the B of layer 1. The fourth layer is far away.
func TestClosestMerge(t *testing.T) {
	dev := cpu.Open[float32](1)
	config := tiny("roberta")
	config.Width, config.Heads = 2, 1
	n, err := model.New(dev, config, 3, 1, nil, weights)
	if err != nil {
		t.Fatal(err)
	}
	method, err := adapter.Attach(dev, n, adapter.Settings{
		Config: adapter.Configure("aslora", adapter.Values{
			"rank": 2, "merges": 1, "merge_start_ratio": 0.0, "merge_interval_ratio": 0.5, "target_modules": []string{"query"},
		}),
		Run: schedule.Run{Steps: 4},
	})
	if err != nil {
		t.Fatal(err)
	}
	steps := [][][]float32{
		{{1, 0, 0, 1}, {.8, .1, 0, 1.2}, {.5, .5, .5, .5}, {9, 9, 9, 9}},
		{{1.2, 0, 0, 1}, {.9, .2, .1, 1}, {.8, .1, .2, .9}, {9, 9, 9, 9}},
	}
	ups := method.Params()[1:]
	for i, values := range steps {
		for layer, p := range ups {
			p.Upload(dev, values[layer])
		}
		method.Updated(adapter.At{Step: i + 1})
	}
	change, err := method.Change(adapter.At{Step: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tie := change.Log.(schedule.Tie)
	var got []string
	for _, p := range tie.Candidates[:4] {
		got = append(got, fmt.Sprintf("%d-%d %.6f", p.Layer, p.Keep, p.Distance))
	}
	if text := strings.Join(append(got[:2], got[3]), ", "); text != "0-1 0.312250, 0-2 0.710634, 1-2 0.559017" {
		t.Errorf("distances are %s", text)
	}
	if tie.Layer != 0 || tie.Keep != 1 || fmt.Sprint(tie.Before, tie.After) != "[0 1 2 3] [1 1 2 3]" {
		t.Errorf("the tie is %+v", tie)
	}
	if left := method.Params(); len(left) != 4 || left[1] != ups[1] {
		t.Errorf("%d parameters are left; want A and three B, the first of them that of layer 1", len(left))
	}
	if again, err := method.Change(adapter.At{Step: 2}, nil); again != nil || err != nil {
		t.Errorf("a second change of the same step is %+v, %v", again, err)
	}
}

// TestASLoRAFaults: runs, models and structures that do not fit are refused by name.
func TestASLoRAFaults(t *testing.T) {
	for _, c := range []struct {
		values    adapter.Values
		steps     int
		structure string
		want      string
	}{
		{adapter.Values{"merges": 4}, 100, "",
			"adapter: attach aslora: method.merges is 4 and the model has 4 layers; want at most 3"},
		{adapter.Values{"merges": 2, "merge_interval_ratio": 0.5}, 100, "",
			"adapter: attach aslora: the run has 100 steps, and the last of 2 merges, every 50 steps after step 5, would be " +
				"after step 105; want a smaller method.merges, method.merge_interval_ratio or method.merge_start_ratio"},
		{nil, 1, "", "adapter: attach aslora: the run has 1 step, and the last of 2 merges, every 1 step after step 0, " +
			"would be after step 2; want a smaller method.merges, method.merge_interval_ratio or method.merge_start_ratio"},
		{nil, 0, `{"owners":{"attention.self.query":[1,1,2]}}`, "adapter: attach aslora: the owners of " +
			"\"attention.self.query\" are [1 1 2]; want 4 layers, each the layer itself or a higher one that owns its B: " +
			"adapter and model do not match"},
		{nil, 0, `{"owners":{"attention.self.query":[1,2,2,3]}}`, "adapter: attach aslora: the owners of " +
			"\"attention.self.query\" are [1 2 2 3]; want 4 layers, each the layer itself or a higher one that owns its B: " +
			"adapter and model do not match"},
		{nil, 0, `{"owners":{"attention.self.query":[3,1,2,3]}}`, "<nil>"},
		{nil, 0, `{"owners":{"attention.self.key":[3,1,2,3]}}`, "adapter: attach aslora: the structure has owners of " +
			"attention.self.key, which the method does not adapt: adapter and model do not match"},
	} {
		t.Run(fmt.Sprint(c.values, c.steps, c.structure), func(t *testing.T) {
			_, err := asLoRA(t, c.values, c.steps, c.structure)
			if got := fmt.Sprint(err); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	// A planning device has no values, and still knows the steps.
	m, err := model.New(nulldev.Open(4), tiny("roberta"), 3, 1, nil, weights)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adapter.Attach(nulldev.Open(4), m, adapter.Settings{
		Config: adapter.NewConfig("aslora"), Run: schedule.Run{Steps: 10},
	}); err != nil {
		t.Error(err)
	}
}
