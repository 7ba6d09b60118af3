package generate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// exposed makes g choose the most probable token from the logits, which a test can then read.
func exposed(g *Generator) *Generator {
	g.Sampling.DoSample, g.Sampling.TopK = true, 1
	return g
}

// story is what transformers writes after the token <s> with the demo decoder, greedily.
var story = []int32{
	1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 401, 396, 267, 337, 410, 408, 419,
	292, 411, 322, 265, 282, 295, 433, 426, 385, 328, 432, 358, 394, 261, 370, 432, 352, 266, 268, 388, 426, 338, 391,
	266, 267, 337, 335, 312, 432, 398, 312, 286, 267, 414, 270, 333, 415, 426, 13, 438, 310,
}

// generator returns a generator of the demo decoder with a method whose B are not zero.
func generator(
	t *testing.T, dev compute.Device, method string, values adapter.Values, change func(*adapter.LoR2C),
) *Generator {
	t.Helper()
	m, err := model.LoadDecoder(dev, "../../demo/decoder", 128, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := adapter.Configure(method, values)
	c.Resolve()
	a, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(a.(*adapter.LoR2C))
	}
	for _, p := range a.Params() {
		if strings.Contains(p.Name, "lora_B") {
			drawn := make([]float32, p.Value.Shape.Len())
			compute.Normal(drawn, 3, p.Name, 0.1)
			p.Upload(dev, drawn)
		}
	}
	return &Generator{Dev: dev, Model: m, Method: a, Sampling: Greedy(), EOS: []int32{2}}
}

// TestGreedy: the demo decoder continues as in transformers, from a prompt of one token and from longer ones.
func TestGreedy(t *testing.T) {
	g := generator(t, cpu.Open[float32](1), "head", nil, nil)
	var requests []Request
	for _, n := range []int{1, 2, 17, 64} {
		requests = append(requests, Request{story[:n], len(story) - n})
	}
	results, err := g.Run(context.Background(), requests, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if want := story[len(requests[i].IDs):]; !slices.Equal(r.IDs, want) || r.Reason != Length {
			t.Errorf("text %d ends by %s with %v; want by length with %v", i, r.Reason, r.IDs, want)
		}
	}
}

// adapted are methods that change a network in different places.
var adapted = []struct {
	name, method string
	values       adapter.Values
	change       func(*adapter.LoR2C)
}{
	{"lora", "lora", adapter.Values{"target_modules": []string{"q_proj", "v_proj", "down_proj"}, "dropout": 0.3}, nil},
	{"lor2c", "lor2c", adapter.Values{"rank": 4}, nil},
	{"share", "lor2c", adapter.Values{"rank": 4, "share": true}, nil},
	{"span of three", "lor2c", adapter.Values{"rank": 4}, func(m *adapter.LoR2C) {
		m.Merge(1, 2, 1)
		m.Merge(1, 3, 3)
	}},
	{
		"merged", "lor2c", adapter.Values{"rank": 4, "target_modules": []string{"q_proj", "v_proj"}, "inject_rank": 2},
		func(m *adapter.LoR2C) {
			m.Merge(0, 1, 0)
			m.Inject(3)
		},
	},
}

// TestCache: each token is the one that a pass over the whole text so far chooses, with methods that act on linear
// layers, on layers and on spans of layers.
func TestCache(t *testing.T) {
	for _, c := range adapted {
		t.Run("method="+c.name, func(t *testing.T) {
			dev := cpu.Open[float64](1)
			g := generator(t, dev, c.method, c.values, c.change)
			results, err := g.Run(context.Background(), []Request{{story[:5], 40}}, 1)
			if err != nil {
				t.Fatal(err)
			}
			text := slices.Concat(story[:5], results[0].IDs)
			if slices.Equal(text, story[:len(text)]) {
				t.Error("the method changes nothing")
			}
			dev.Reset()
			b := model.Batch{IDs: text, Cu: []int32{0, int32(len(text))}}
			p := g.Model.NewPass(&tape.Tape{Dev: dev}, b, g.Method.Hook(adapter.At{}))
			logits := cpu.Data[float64](p.Linear(g.Model.Forward(p), g.Model.Vocabulary(), nil, compute.Identity).Value)
			for i := 4; i+1 < len(text); i++ {
				row := logits[i*g.Model.Vocab : (i+1)*g.Model.Vocab]
				if want := slices.Index(row, slices.Max(row)); int(text[i+1]) != want {
					t.Fatalf("token %d is %d; a pass over the whole text chooses %d", i+1, text[i+1], want)
				}
			}
		})
	}
}

// TestGoldenText: with an IMLoR2C adapter, which has a merged module, modules of one layer and an injected LoRA, the 64
// tokens after a prompt are those that transformers writes with the modules as hooks. They are the same alone and
// beside another text.
func TestGoldenText(t *testing.T) {
	golden, err := checkpoint.Open("../../testdata/golden_generate.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	values := adapter.Values{
		"rank": 4, "alpha": 8.0, "target_modules": []string{"q_proj", "v_proj"}, "inject_rank": 2, "inject_alpha": 6.0,
	}
	dev := cpu.Open[float32](1)
	g := generator(t, dev, "lor2c", values, func(m *adapter.LoR2C) {
		m.Merge(0, 1, 0)
		m.Inject(3)
	})
	for _, p := range g.Method.Params() {
		values := make([]float32, p.Value.Shape.Len())
		if err := golden.ReadFinite(values, p.Name); err != nil {
			t.Fatal(err)
		}
		p.Upload(dev, values)
	}
	ids, err := golden.ReadInts("ids")
	if err != nil {
		t.Fatal(err)
	}
	var want []int32
	for _, id := range ids {
		want = append(want, int32(id))
	}
	results, err := g.Run(t.Context(), []Request{{want[:5], 64}, {want[:9], 60}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(results[0].IDs, want[5:]) || !slices.Equal(results[1].IDs, want[9:]) {
		t.Errorf("the texts are %v and %v; want %v", results[0].IDs, results[1].IDs, want[5:])
	}
}

// TestBatchInvariance: what a text becomes is the same to the bit whatever texts are continued beside it, greedily and
// by drawing. The logits of a pass are compared, because tokens could hide a difference.
func TestBatchInvariance(t *testing.T) {
	prompts := [][]int32{story[:1], story[:9], story[3:5], story[10:40], story[:2], story[20:23], story[7:8], story[30:33]}
	var requests []Request
	for i, ids := range prompts {
		requests = append(requests, Request{ids, 12 + 7*(i%3)})
	}
	for _, sample := range []bool{false, true} {
		t.Run(fmt.Sprintf("sample=%t", sample), func(t *testing.T) {
			var first []Result
			for _, slots := range []int{1, 3, 8} {
				g := generator(t, cpu.Open[float32](2), "lora", adapter.Values{"target_modules": []string{"q_proj", "v_proj"}}, nil)
				g.Sampling.DoSample, g.Sampling.Temperature, g.Seed = sample, 1.3, 11
				results, err := g.Run(context.Background(), requests, slots)
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = results
				}
				for i, r := range results {
					if !slices.Equal(r.IDs, first[i].IDs) || r.Reason != first[i].Reason {
						t.Errorf("with %d at a time text %d becomes %v; alone %v", slots, i, r.IDs, first[i].IDs)
					}
				}
			}
		})
	}
	logits := func(slots int) []float32 {
		g := exposed(generator(t, cpu.Open[float32](2), "lora",
			adapter.Values{"target_modules": []string{"q_proj", "v_proj"}}, nil))
		some := []Request{{prompts[1], 3}, {prompts[2], 3}, {prompts[3], 3}}[:slots]
		if _, err := g.Run(context.Background(), some, slots); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(g.logits[:g.Model.Vocab])
	}
	if cpu.BLAS() == "openblas" {
		t.Skip("OpenBLAS chooses its kernel by the number of rows, so the last bits of a row depend on the others")
	}
	if alone, beside := logits(1), logits(3); !slices.Equal(alone, beside) {
		t.Error("the logits of a text depend on the texts beside it")
	}
}

// TestSharedStart: texts with a common start compute it once, whether they are continued one after the other or side by
// side, and also in a later run. The logits have the same bits as without sharing.
func TestSharedStart(t *testing.T) {
	start := story[:60]
	var requests []Request
	alone := 0
	for i := range 6 {
		ids := slices.Concat(start, []int32{300 + int32(i), 301, 302 + int32(i)})
		requests = append(requests, Request{ids, 4})
		alone += len(ids) + 3
	}
	var want [][]float32
	for _, r := range requests {
		g := exposed(generator(t, cpu.Open[float32](2), "lor2c", adapter.Values{"rank": 4}, nil))
		if _, err := g.Run(context.Background(), []Request{r}, 1); err != nil {
			t.Fatal(err)
		}
		want = append(want, slices.Clone(g.logits[:g.Model.Vocab]))
	}
	for _, slots := range []int{1, 2, 6} {
		g := exposed(generator(t, cpu.Open[float32](2), "lor2c", adapter.Values{"rank": 4}, nil))
		results, err := g.Run(context.Background(), requests, slots)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := g.Passed(), alone-5*len(start); got != want {
			t.Errorf("%d at a time, %d tokens are computed; want %d of %d", slots, got, want, alone)
		}
		before := g.Passed()
		var done []int
		g.Done = func(i int, r Result) { done = append(done, i) }
		again, err := g.Run(context.Background(), requests[2:3], 1)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(again[0].IDs, results[2].IDs) || g.Passed() > before+6 || !slices.Equal(done, []int{0}) {
			t.Errorf("a later run computes %d tokens for %v, done %v; before it was %v", g.Passed()-before, again[0].IDs, done,
				results[2].IDs)
		}
		if cpu.BLAS() != "openblas" && !slices.Equal(g.logits[:g.Model.Vocab], want[2]) {
			t.Errorf("%d at a time, the logits depend on the texts before", slots)
		}
	}
}

// TestOverwrittenStart: a slot that gets a copy of the start of one text is not taken for the start of the text that it
// had before, when a third text of the same pass begins like that one.
func TestOverwrittenStart(t *testing.T) {
	requests := func(texts ...[]int32) (list []Request) {
		for _, ids := range texts {
			list = append(list, Request{ids, 1})
		}
		return list
	}
	g := exposed(generator(t, cpu.Open[float64](1), "head", nil, nil))
	if err := g.Prepare(3, 16); err != nil { // so that the second run keeps the cache of the first
		t.Fatal(err)
	}
	second := requests([]int32{1, 405, 405, 405, 405, 406}, []int32{1, 405, 405, 405, 405, 408}, []int32{1, 409, 403})
	for _, run := range [][]Request{
		requests([]int32{1, 405, 405, 405, 405}, []int32{1, 409}, []int32{1, 407, 407, 407}), second,
	} {
		if _, err := g.Run(t.Context(), run, 3); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range second {
		fresh := exposed(generator(t, cpu.Open[float64](1), "head", nil, nil))
		if _, err := fresh.Run(t.Context(), []Request{r}, 1); err != nil {
			t.Fatal(err)
		}
		for j, want := range fresh.logits {
			if got := g.logits[i*g.Model.Vocab+j]; !(math.Abs(float64(got-want)) < 1e-4) {
				t.Fatalf("logit %d of text %d is %v; alone it is %v", j, i, got, want)
			}
		}
	}
}

// TestNotFinite: a logit that is not finite is an error that names the text, greedily and with sampling.
func TestNotFinite(t *testing.T) {
	for _, sample := range []bool{false, true} {
		g := generator(t, cpu.Open[float32](1), "lora", adapter.Values{"target_modules": []string{"v_proj"}}, nil)
		g.Sampling.DoSample = sample
		for _, p := range g.Method.Params() {
			if strings.Contains(p.Name, "layers.4.") && strings.Contains(p.Name, "lora_B") {
				values := make([]float32, p.Value.Shape.Len())
				values[0] = float32(math.NaN())
				p.Upload(g.Dev, values)
			}
		}
		_, err := g.Run(t.Context(), []Request{{story[:3], 2}}, 1)
		if err == nil || !strings.Contains(err.Error(), "a logit behind token 3 of text 0 is not finite") {
			t.Errorf("with sampling %t, error %v", sample, err)
		}
	}
}

// TestEnds: a text ends at a token of EOS, which is not part of it, when the caller says so, and at its length.
func TestEnds(t *testing.T) {
	g := generator(t, cpu.Open[float32](1), "head", nil, nil)
	g.EOS = []int32{2, story[9]}
	g.Token = func(request int, id int32) bool { return request == 1 && id == story[6] }
	results, err := g.Run(context.Background(), []Request{{story[:3], 60}, {story[:3], 60}, {story[:3], 2}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Result{{story[3:9], EndOfText}, {story[3:7], Stopped}, {story[3:5], Length}} {
		if got := results[i]; !slices.Equal(got.IDs, want.IDs) || got.Reason != want.Reason {
			t.Errorf("text %d is %v; want %v", i, got, want)
		}
	}
}

// TestRunFaults: a text that does not fit the network is refused, and an interrupt ends the run.
func TestRunFaults(t *testing.T) {
	g := generator(t, cpu.Open[float32](1), "head", nil, nil)
	for want, r := range map[string]Request{
		"text 0 has 0 tokens":   {nil, 1},
		"0 new ones are wanted": {story[:1], 0},
		"sequence 0 of the batch has 129 tokens; want at most 128": {make([]int32, 129), 1},
	} {
		if _, err := g.Run(context.Background(), []Request{r}, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v; want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.Token = func(int, int32) bool { cancel(); return false }
	results, err := g.Run(ctx, []Request{{story[:1], 9}}, 1)
	if !errors.Is(err, ErrInterrupted) || len(results[0].IDs) != 1 {
		t.Errorf("an interrupted run returns %v and %v", results, err)
	}
}

// TestGoldenPEFT: with adapters that PEFT wrote the texts are those that PEFT writes, alone and beside others, also
// where the adapter puts keys and values in front of every text, and where a text begins with what the cache has.
func TestGoldenPEFT(t *testing.T) {
	for _, name := range []string{"prefix", "dora", "ia3"} {
		t.Run("adapter="+name, func(t *testing.T) {
			dir := "../../testdata/golden_peft/decoder_" + name
			golden, err := checkpoint.Open(dir + "/golden.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			defer golden.Close()
			ints := func(name string) (out []int32) {
				list, err := golden.ReadInts(name)
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range list {
					out = append(out, int32(x))
				}
				return out
			}
			texts, err := Open(Source{Model: "../../demo/decoder", Adapter: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer texts.Close()
			if rows := map[string]int{"prefix": 5}[name]; texts.MaxTokens != 512-rows {
				t.Errorf("a text has up to %d tokens; want %d", texts.MaxTokens, 512-rows)
			}
			g, err := texts.Load(cpu.Open[float32](1), 64, 1)
			if err != nil {
				t.Fatal(err)
			}
			g.Sampling, g.EOS = Greedy(), nil
			ids, text := ints("input_ids"), ints("text")
			prompt := ids[:ints("cu_seqlens")[1]]
			requests := []Request{{prompt, len(text)}, {ids[:20], 5}, {slices.Concat(prompt, text[:9]), len(text) - 9}}
			for _, slots := range []int{1, 3} {
				results, err := g.Run(t.Context(), requests, slots)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(results[0].IDs, text) || !slices.Equal(results[2].IDs, text[9:]) {
					t.Errorf("%d slots: the texts are %v and %v; want %v", slots, results[0].IDs, results[2].IDs, text)
				}
			}
		})
	}
}
