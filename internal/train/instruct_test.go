package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/place"
)

// instructConfig is a run of the demo's decoder on 20 rows of prompt and completion.
func instructConfig(t testing.TB, dir, method string) *config.Config {
	t.Helper()
	var rows []map[string]string
	for i := range 20 {
		rows = append(rows, map[string]string{
			"prompt": fmt.Sprintf("Once upon a time there were %d", i), "completion": strings.Repeat(" little dogs",
				1+i%5) + " who liked to play.",
		})
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Data.Train, c.Data.Dev, c.Data.MaxLength = filepath.Join(dir, "train.json"), "4", 48
	if err := os.WriteFile(c.Data.Train, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Model, c.Data.Task, c.Out = filepath.Join(demoDir, "decoder"), dataset.Instruct, filepath.Join(dir, "run")
	values := adapter.Values{}
	if method == "lora" {
		values = adapter.Values{"rank": 4, "target_modules": []string{"q_proj", "v_proj"}}
	}
	c.Method = adapter.Configure(method, values)
	c.Optim.LR = 3e-3
	c.Train.Epochs, c.Train.LogEvery, c.Train.SaveEvery = 2, 2, 1
	c.Train.BatchSize, c.Train.MicroBatchSize = 6, 3
	c.Resolve()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return &c
}

// TestEmptyResponses: a file without a response is refused for that reason, and not because it is too small to divide.
func TestEmptyResponses(t *testing.T) {
	c := instructConfig(t, t.TempDir(), "lora")
	rows := strings.Repeat(`{"prompt": "Once upon a time", "completion": ""}`+"\n", 3)
	if err := os.WriteFile(c.Data.Train, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Data.Dev = "0.1"
	s, err := OpenSession(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.load(t.Context(), "train", true)
	want := "train.json: the responses of all 3 rows are empty; want text in completion"
	if err == nil || !strings.HasSuffix(err.Error(), want) || !place.IsMistake(err) {
		t.Errorf("%v; want %s", err, want)
	}
}

// TestInstructRun fine-tunes a decoder with each kind of method, evaluates the adapter alone and continues a run that
// was interrupted to the bytes of the uninterrupted one.
func TestInstructRun(t *testing.T) {
	for _, method := range []string{"lora", "lor2c", "full"} {
		t.Run("method="+method, func(t *testing.T) {
			dir := t.TempDir()
			c := instructConfig(t, dir, method)
			o, err := Run(t.Context(), c, quiet(1))
			if err != nil {
				t.Fatal(err)
			}
			e, err := Evaluate(t.Context(), c, cpu.Open[float32](1), filepath.Join(c.Out, bestLink), "dev", nil)
			if err != nil {
				t.Fatal(err)
			}
			if e.Loss != o.Dev.Loss || e.Examples != 4 || math.Abs(e.Scores[metric.Perplexity]-math.Exp(e.Loss)) > 1e-9 {
				t.Errorf("the adapter has loss %v on %d rows, the run reported %v", e.Loss, e.Examples, o.Dev.Loss)
			}
			saved, err := adapter.Open(filepath.Join(c.Out, bestLink))
			if err != nil {
				t.Fatal(err)
			}
			defer saved.Close()
			if saved.Task.Template != "none" {
				t.Errorf("the adapter names the template %q", saved.Task.Template)
			}
			if method == "full" { // the head is the embedding, and is saved once
				whole, err := checkpoint.Open(filepath.Join(c.Out, bestLink, "model.safetensors"))
				if err != nil {
					t.Fatal(err)
				}
				defer whole.Close()
				names := whole.Names()
				if slices.Contains(names, "lm_head.weight") || !slices.Contains(names, "model.embed_tokens.weight") {
					t.Errorf("the model is saved with the tensors %v", names)
				}
			}
			before := untrained(t, c)
			if !(e.Loss < before) {
				t.Errorf("the loss on dev went from %v to %v", before, e.Loss)
			}
			whole := contents(t, c.Out)
			c.Out = filepath.Join(dir, "broken")
			breakOff(t, c)
			if _, err := Run(t.Context(), c, quiet(2)); err != nil {
				t.Fatal(err)
			}
			sameFiles(t, contents(t, c.Out), whole)
		})
	}
}

// breakOff begins a run and interrupts it as soon as it trains.
func breakOff(t *testing.T, c *config.Config) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	o := quiet(2)
	o.Began = cancel
	if _, err := Run(ctx, c, o); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
}

// untrained returns the loss of the base model on the dev split.
func untrained(t *testing.T, c *config.Config) float64 {
	t.Helper()
	s, err := OpenSession(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.load(t.Context(), "dev", true)
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.Open[float32](1)
	m, method, err := s.attach(dev, adapter.Settings{Config: c.Method, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	st := &Stepper{Dev: dev, Model: m, Method: method, Objective: s.objective(dev, m, nil)}
	e, err := st.evaluate(t.Context(), d, sequence(d.Len()), nil, config.Train{EvalBatchSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	return e.Loss
}

// TestMicroBatchTokens: the loss and the gradients of a step are the same whether its micro-batches are filled by rows
// or by tokens, with both reductions of the loss. Filled by tokens they have fewer tokens, and a run that was
// interrupted continues to the bytes of the uninterrupted one.
func TestMicroBatchTokens(t *testing.T) {
	dir := t.TempDir()
	c := instructConfig(t, dir, "lora")
	c.Method = c.Method.With(adapter.Values{"dropout": 0.2})
	s, err := OpenSession(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.load(t.Context(), "train", true)
	if err != nil {
		t.Fatal(err)
	}
	const limit = 60
	for _, reduction := range []string{ReduceTokens, ReduceExamples} {
		c.Train.Reduction = reduction
		type result struct {
			losses, gradients []float64
			passes, most      int
		}
		run := func(train config.Train) (r result) {
			dev := cpu.Open[float64](1)
			m, method, err := s.attach(dev, adapter.Settings{Config: c.Method, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			st := NewStepper(dev, m, method, optim.Default(), 1, s.objective(dev, m, nil), 4)
			for step := 1; step <= 4; step++ {
				micro := d.micro(s.step(d.Len(), step), train)
				for _, b := range micro {
					r.most = max(r.most, len(b.IDs))
				}
				r.passes += len(micro)
				if err := st.Step(step, micro, 1); err != nil {
					t.Fatal(err)
				}
				for _, p := range method.Params() {
					r.gradients = append(r.gradients, cpu.Data[float64](p.Grad)...)
				}
			}
			reports, err := st.Reports(1, 4)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range reports {
				r.losses = append(r.losses, x.Loss, x.GradNorm)
			}
			return r
		}
		filled := c.Train
		filled.MicroBatchSize, filled.MicroBatchTokens = filled.BatchSize, limit
		byRows, byTokens := run(c.Train), run(filled)
		if byTokens.most > limit || byRows.most <= limit || byTokens.passes <= byRows.passes {
			t.Errorf("%d passes of up to %d tokens by rows, %d of up to %d by tokens", byRows.passes, byRows.most,
				byTokens.passes, byTokens.most)
		}
		for name, pair := range map[string][2][]float64{
			"loss or norm": {byRows.losses, byTokens.losses}, "gradient": {byRows.gradients, byTokens.gradients},
		} {
			largest := slices.Max(pair[0])
			for i, want := range pair[0] {
				// The ring of reports and the factors of rows are float32.
				if got := pair[1][i]; !(math.Abs(got-want) < 1e-6*largest) {
					t.Fatalf("%s: element %d of the %s is %v by rows and %v by tokens", reduction, i, name, want, got)
				}
			}
		}
	}
	c.Train.MicroBatchSize, c.Train.MicroBatchTokens, c.Data.Order = c.Train.BatchSize, limit, "length_grouped"
	if _, err := Run(t.Context(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	whole := contents(t, c.Out)
	c.Out = filepath.Join(dir, "broken")
	breakOff(t, c)
	if _, err := Run(t.Context(), c, quiet(2)); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, contents(t, c.Out), whole)
}

// TestInstructPlan: the plan of the memory holds for every batch, however few of its tokens are predicted.
func TestInstructPlan(t *testing.T) {
	for i, inputs := range []bool{false, true, false, true} {
		c := instructConfig(t, t.TempDir(), "lora")
		c.Data.TrainOnInputs, c.Data.Order = inputs, "length_grouped"
		if i >= 2 {
			c.Train.MicroBatchSize, c.Train.MicroBatchTokens = c.Train.BatchSize, 70
		}
		s, d, test := loaded(t, c)
		dev := cpu.Open[float32](1)
		settings := adapter.Settings{Config: c.Method, Seed: 1}
		plan, err := s.plan(dev, d, test, settings)
		if err != nil {
			t.Fatal(err)
		}
		m, method, err := s.attach(dev, settings)
		if err != nil {
			t.Fatal(err)
		}
		st := NewStepper(dev, m, method, optim.Default(), 1, s.objective(dev, m, nil), 1)
		dev.Reserve(plan.Arena)
		for step := 1; step <= c.Train.Epochs*stepsPerEpoch(d.Len(), c.Train.BatchSize); step++ {
			if err := st.Step(step, d.micro(s.step(d.Len(), step), c.Train), 1); err != nil {
				t.Fatalf("train_on_inputs %v, step %d: %v", inputs, step, err)
			}
		}
		if used := dev.Stats().ArenaPeak; used > plan.Arena || used < plan.Arena/2 {
			t.Errorf("train_on_inputs %v: %d bytes used of %d planned", inputs, used, plan.Arena)
		}
	}
}

// TestInstructOrder: length_grouped puts rows of similar lengths into a step, and every row into an epoch once.
func TestInstructOrder(t *testing.T) {
	c := instructConfig(t, t.TempDir(), "lora")
	c.Data.Order = "length_grouped"
	s, err := OpenSession(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.load(t.Context(), "train", true)
	if err != nil {
		t.Fatal(err)
	}
	var all []int32
	for step := 1; step <= stepsPerEpoch(d.Len(), c.Train.BatchSize); step++ {
		all = append(all, s.step(d.Len(), step)...)
	}
	if first := d.Tokens(all[0]); d.longest() != first {
		t.Errorf("the first row has %d tokens, the longest %d", first, d.longest())
	}
	if slices.Sort(all); !slices.Equal(all, sequence(d.Len())) {
		t.Errorf("an epoch visits %v", all)
	}
}

// TestInstructErrors: what a run cannot do is refused before anything is trained.
func TestInstructErrors(t *testing.T) {
	for _, c := range []struct {
		change func(c *config.Config)
		want   string
	}{
		{func(c *config.Config) { c.Data.Template = "chat" }, "the model has no chat template"},
		{func(c *config.Config) { c.Data.Template = "alpaca" },
			`template "alpaca" does not fit rows of the format completion; want none or chat`},
		{func(c *config.Config) { c.Data.Dev = "16.5" }, "the number is 16.5; want a fraction between 0 and 1, or a " +
			"whole number of rows"},
		{func(c *config.Config) { c.Data.Dev = "20" }, "20 of its 20 rows for validation leave 0 for training"},
		{func(c *config.Config) { c.Data.MaxLength = 513 }, "data.max_length is 513, longer than the model's position " +
			"table; want at most 512"},
		{func(c *config.Config) { c.Data.MaxLength = 5 }, "no row has a token to predict within 5 tokens"},
		{func(c *config.Config) { c.Model = filepath.Join(demoDir, "model") }, `model_type is "roberta"; want one of`},
		{func(c *config.Config) {
			c.Method = adapter.Configure("lora", adapter.Values{"target_modules": []string{"q_proj", "lm_head"}})
		}, `target module "lm_head" is not a linear layer of this model`},
		{func(c *config.Config) {
			c.Method = adapter.Configure("lora", adapter.Values{"target_modules": []string{"embed_tokens"}})
		}, `target module "embed_tokens" is not a linear layer of this model`},
		{func(c *config.Config) {
			c.Method = adapter.Configure("lora", adapter.Values{"target_modules": []string{"q", "v_proj"}})
		}, `target module "q" is not a linear layer of this model; want q_proj, or some of q_proj, k_proj, v_proj, o_proj, ` +
			"gate_proj, up_proj, down_proj"},
		{func(c *config.Config) { c.Data.Format = "messages" }, "messages is not a list of messages"},
		{func(c *config.Config) { c.Data.Label = "x" }, "data.label: set, but task instruct has no such key"},
	} {
		cfg := instructConfig(t, t.TempDir(), "lora")
		c.change(cfg)
		if _, err := Run(t.Context(), cfg, quiet(1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v\nwant  %s", err, c.want)
		}
	}
}

// TestShowRows: the runs of a shown row are its text.
func TestShowRows(t *testing.T) {
	c := instructConfig(t, t.TempDir(), "lora")
	s, err := OpenSession(t.Context(), c, "train")
	if err != nil {
		t.Fatal(err)
	}
	shown, err := s.Show(t.Context(), "train", 3)
	if err != nil || len(shown) != 3 {
		t.Fatalf("%d rows, %v", len(shown), err)
	}
	for _, x := range shown {
		text, tokens := "", 0
		for _, r := range x.Runs {
			text, tokens = text+r.Text, tokens+r.Tokens
		}
		if text != x.Text || tokens != len(x.IDs) || len(x.Runs) != 2 || x.Runs[0].Predicted ||
			!strings.HasSuffix(x.Runs[1].Text, "play.</s>") {
			t.Errorf("%q: %+v", x.Text, x.Runs)
		}
	}
}

// TestInstructIdentity: the identity of a run depends on every row, also where all rows are on one line of the file.
func TestInstructIdentity(t *testing.T) {
	c := instructConfig(t, t.TempDir(), "lora")
	digest := func() string {
		t.Helper()
		s, err := OpenSession(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.load(t.Context(), "train", true)
		if err != nil {
			t.Fatal(err)
		}
		return s.Set.Task.Digest(d.split)
	}
	before := digest()
	raw, err := os.ReadFile(c.Data.Train)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(raw), "there were 11", "there were 1l", 1)
	if err := os.WriteFile(c.Data.Train, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if before == digest() {
		t.Error("another row gives the same identity")
	}
}
