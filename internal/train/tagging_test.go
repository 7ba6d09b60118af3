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
)

// tagConfig returns the demo's run file of token classification.
func tagConfig(t *testing.T) *config.Config {
	t.Helper()
	dir := t.TempDir()
	c := demoConfig(t, dir, 4)
	for _, split := range []string{"train", "dev"} {
		raw, err := os.ReadFile(filepath.Join(demoDir, "data", "entities-"+split+".conll"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, split+".conll"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.Data = dataset.Config{Task: "custom", Kind: dataset.Tokens, Train: filepath.Join(dir, "train.conll"),
		Dev: dataset.Source(filepath.Join(dir, "dev.conll")), MaxLength: 64}
	c.Optim.LR, c.Train.BatchSize, c.Train.Epochs = 8e-3, 16, 7
	return c
}

// TestTaggingRun trains on the demo's sentences, evaluates the adapter and predicts with it: the run learns names that
// it has not seen, which the most frequent tag cannot, and all three agree.
func TestTaggingRun(t *testing.T) {
	c := tagConfig(t)
	outcome, saved, e, lines := trainAndEvaluate(t, c, 2)
	if got := outcome.Dev.Scores["f1"]; outcome.Select != "f1" || !(got > 0.6) {
		t.Errorf("%s is %v; want more than 0.6", outcome.Select, got)
	}
	if task := saved.Task; task.Kind != dataset.Tokens || adapter.Tokens != dataset.Tokens ||
		fmt.Sprint(task.Labels) != "[B-LOC B-ORG B-PER I-LOC I-ORG I-PER O]" {
		t.Errorf("the adapter records %+v", task)
	}
	if e.Scores["f1"] != outcome.Dev.Scores["f1"] ||
		strings.Join(e.Classes.Names, " ") != "LOC ORG PER" || e.Intervals["f1"] == nil || e.Majority.Scores["f1"] != 0 {
		t.Errorf("the evaluation is %+v; the run had %+v", e, outcome.Dev)
	}
	best := filepath.Join(c.Out, bestLink)
	p, _ := predictor(t, "", best)
	examples := devTexts(t, c)
	out := outputs(t, p, append(examples, dataset.Example{}, dataset.Example{Words: []string{"\u200b", "Mara", ""}}))[0]
	width := len(saved.Task.Labels)
	for i := range examples {
		var names []string
		for _, row := range out.Words[i] {
			_, tag := crossEntropy(out.Values[row*width:(row+1)*width], 0)
			names = append(names, saved.Task.Labels[tag])
		}
		if want := fmt.Sprintf("%d\t%s", i, strings.Join(names, " ")); lines[i+1] != want {
			t.Errorf("the evaluation writes %q; the outputs of predict are %q", lines[i+1], want)
		}
	}
	// A text without words has no outputs, and neither has a word of which the tokenizer makes no token.
	n := len(examples)
	if len(out.Words[n]) != 0 || len(out.Words[n+1]) != 3 || out.Words[n+1][1] < 0 || out.Words[n+1][2] != -1 {
		t.Errorf("rows of words: %v", out.Words[n:])
	}
	d, err := e.Against(e)
	if err != nil || d["f1"].Value != 0 || d["f1"].N != len(examples) || d["loss"].Value != 0 {
		t.Errorf("differences from itself: %+v, %v", d, err)
	}

	c.Data = dataset.Config{Task: "custom", Dev: c.Data.Dev, Text: []string{"text"}, Label: "label",
		Labels: saved.Task.Labels}
	c.Data.Dev = dataset.Source(filepath.Join(t.TempDir(), "dev.csv"))
	if err := os.WriteFile(string(c.Data.Dev), []byte("text,label\nwater,O\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Evaluate(context.Background(), c, cpu.Open[float32](1), best, "dev", nil)
	want := "its head predicts a tag for each word, and data.kind says one label for each example"
	if !errors.Is(err, adapter.ErrMismatch) || !strings.Contains(err.Error(), want) {
		t.Errorf("evaluation as classes: %v; want %s", err, want)
	}
}

// TestTaggingMemory: steps and evaluations of sentences use the memory that was planned, and no more.
func TestTaggingMemory(t *testing.T) {
	c := tagConfig(t)
	c.Train.MicroBatchSize = 4
	testReservedArena(t, c)
}

// TestTaggingSentences: words that are cut off or have no token are found, and a sentence without any token is left out
// of the batches.
func TestTaggingSentences(t *testing.T) {
	c := tagConfig(t)
	c.Data.MaxLength = 6
	text := "one O\ntwo B-x\nantidisestablishmentarianism I-x\nfour O\n\n\u0001 O\n\nfive I-x\n"
	for _, path := range []string{c.Data.Train, string(c.Data.Dev)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, train, _ := loaded(t, c)
	if train.Len() == 0 || train.Len() > 3 || len(train.Labels) != len(train.Words) {
		t.Fatalf("%d sentences with %d words and %d labels", train.Len(), len(train.Words), len(train.Labels))
	}
	found := map[string]int{}
	for _, f := range s.source.findings(train) {
		found[f.Kind] = f.Line
	}
	if found["cut_words"] != 1 || found["stray_tags"] != 8 {
		t.Errorf("findings by line: %v", found)
	}
	b := train.batch(sequence(train.Len()))
	if b.Rows() != len(b.Labels) || b.Ends()[b.Len()-1] != len(b.Read) {
		t.Errorf("a batch reads %v and has the labels %v", b.Read, b.Labels)
	}
	bare := data{Encoded: &dataset.Encoded{Cu: []int64{0, 2, 5, 7}, WordCu: []int64{0, 0, 1, 1}}, split: &dataset.Split{
		Path: "f", Examples: []dataset.Example{{Line: 1}, {Line: 3}, {Line: 7}}}}
	kept := texts{s}.withWords(bare, "train")
	want := "f:1: 2 sentences of train, of whose words the tokenizer makes no token, left out"
	if len(kept.Examples) != 1 || kept.Examples[0].Line != 3 || kept.Findings[0].String() != want {
		t.Errorf("kept %+v, findings %v; want %s", kept.Examples, kept.Findings, want)
	}
}

// TestTaggingSettings: settings that do not fit token classification are refused by name.
func TestTaggingSettings(t *testing.T) {
	c := tagConfig(t)
	c.Method = adapter.Configure("adamix", nil)
	_, err := Run(context.Background(), c, quiet(1))
	want := "data.kind is tokens, and method.consistency_weight is 1, which compares outputs of whole texts; set it to 0"
	var fault *config.Error
	if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
		t.Errorf("adamix: %v; want %s", err, want)
	}
	// Balanced weights count words: class O has most of them.
	c = tagConfig(t)
	c.Train.ClassWeights = []config.Weight{config.Balanced}
	s, d, _ := loaded(t, c)
	weights, err := s.classWeights(d)
	if err != nil || len(weights) != 7 {
		t.Fatal(weights, err)
	}
	counts, sum := make([]float64, 7), 0.0
	for _, label := range d.Labels {
		counts[int(label)]++
	}
	for k, w := range weights {
		sum += w * counts[k]
	}
	if want := float64(len(d.Labels)); math.Abs(sum-want) > 1e-6*want || weights[6] >= weights[0] {
		t.Errorf("weights %v of %v words sum up to %v", weights, counts, sum)
	}
}
