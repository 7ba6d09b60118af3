package dataset

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ptr(s string) *string { return &s }

func load(t *testing.T, c Config, split string) (*Set, *Split) {
	t.Helper()
	s, err := Open(t.Context(), c, Request{Splits: []string{split}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Load(t.Context(), split)
	if err != nil {
		t.Fatal(err)
	}
	return s, got
}

func labels(s *Split) []float32 {
	var l []float32
	for _, e := range s.Examples {
		if e.HasLabel {
			l = append(l, e.Label)
		} else {
			l = append(l, -1)
		}
	}
	return l
}

// TestGLUE compares the first example of every task and split, and all labels
// (-1 is withheld).
func TestGLUE(t *testing.T) {
	for _, c := range []struct {
		task, split string
		first       Example
		labels      []float32
	}{
		{"CoLA", "train", Example{0, 1, "The kettle sang on the stove.", nil, 1, true, nil, nil, nil}, []float32{1, 0, 1}},
		{"CoLA", "dev", Example{0, 1, "Him saw she.", nil, 0, true, nil, nil, nil}, []float32{0, 1}},
		{"CoLA", "test", Example{0, 2, "Rain fell all night.", nil, 0, false, nil, nil, nil}, []float32{-1}},
		{"SST-2", "train", Example{0, 2, "a warm and funny film ", nil, 1, true, nil, nil, nil}, []float32{1, 0}},
		{"SST-2", "dev", Example{0, 2, "never dull ", nil, 1, true, nil, nil, nil}, []float32{1}},
		{"SST-2", "test", Example{0, 2, "mostly harmless .", nil, 0, false, nil, nil, nil}, []float32{-1}},
		{"MRPC", "train", Example{0, 2, `The "Wren sank on Monday.`, ptr("On Monday the Wren sank."), 1, true, nil, nil, nil},
			[]float32{1, 0}},
		{"MRPC", "dev", Example{0, 2, "It rained.", ptr("It snowed."), 0, true, nil, nil, nil}, []float32{0}},
		{"MRPC", "test", Example{0, 2, "They met.", ptr("They parted."), 0, false, nil, nil, nil}, []float32{-1}},
		{"STS-B", "train", Example{0, 2, "A dog runs.", ptr("A dog is running."), 4.75, true, nil, nil, nil},
			[]float32{4.75, 0}},
		{"STS-B", "dev", Example{0, 2, "A man sings.", ptr("A man is singing."), 5, true, nil, nil, nil}, []float32{5}},
		{"STS-B", "test", Example{0, 2, "A boy swims.", ptr("A boy dives."), 0, false, nil, nil, nil}, []float32{-1}},
		{"RTE", "train", Example{0, 2, "Ann sold Bo a car.", ptr("Bo has a car."), 0, true, nil, nil, nil}, []float32{0, 1}},
		{"RTE", "dev", Example{0, 2, "It is raining hard.", ptr("It is dry."), 1, true, nil, nil, nil}, []float32{1}},
		{"RTE", "test", Example{0, 2, "Snow fell.", ptr("It was cold."), 0, false, nil, nil, nil}, []float32{-1}},
		{"QNLI", "train", Example{0, 2, "Who built it?", ptr("It was built by Ann."), 0, true, nil, nil, nil},
			[]float32{0, 1}},
		{"QNLI", "dev", Example{0, 2, "Where is it?", ptr("It was built by Ann."), 1, true, nil, nil, nil}, []float32{1}},
		{"QNLI", "test", Example{0, 2, "When?", ptr("In May."), 0, false, nil, nil, nil}, []float32{-1}},
		{"MNLI", "train", Example{0, 2, "He left early.", ptr("He stayed late."), 0, true, nil, nil, nil},
			[]float32{0, 1, 2}},
		{"MNLI", "dev", Example{0, 2, "It is hot.", ptr("It is warm."), 1, true, nil, nil, nil}, []float32{1}},
		{"MNLI", "dev_matched", Example{0, 2, "It is hot.", ptr("It is warm."), 1, true, nil, nil, nil}, []float32{1}},
		{"MNLI", "dev_mismatched", Example{0, 2, "It is hot.", ptr("It is cold."), 0, true, nil, nil, nil}, []float32{0}},
		{"MNLI", "test", Example{0, 2, "So it goes.", ptr("It goes."), 0, false, nil, nil, nil}, []float32{-1}},
		{"MNLI", "test_mismatched", Example{0, 2, "So they say.", ptr("They say."), 0, false, nil, nil, nil}, []float32{-1}},
		{"QQP", "train", Example{0, 2, "How do I tie a bow?", ptr("How is a bow tied?"), 1, true, nil, nil, nil},
			[]float32{1, 0}},
		{"QQP", "dev", Example{0, 2, "Is it far?", ptr("How far is it?"), 1, true, nil, nil, nil}, []float32{1}},
		{"QQP", "test", Example{0, 2, "Is it?", ptr("Is it not?"), 0, false, nil, nil, nil}, []float32{-1}},
		{"WNLI", "train", Example{0, 2, "Ann sold Bo a car.", ptr("Bo has a car."), 1, true, nil, nil, nil}, []float32{1, 0}},
		{"WNLI", "dev", Example{0, 2, "It is raining hard.", ptr("It is dry."), 0, true, nil, nil, nil}, []float32{0}},
		{"WNLI", "test", Example{0, 2, "Snow fell.", ptr("It was cold."), 0, false, nil, nil, nil}, []float32{-1}},
	} {
		t.Run("task="+c.task+"/split="+c.split, func(t *testing.T) {
			// The folder of the task and the folder above it must give the same data.
			for _, dir := range []string{"testdata/glue", "testdata/glue/" + c.task} {
				s, got := load(t, Config{Task: c.task, Dir: dir}, c.split)
				if d := cmp.Diff(c.first, got.Examples[0]); d != "" {
					t.Error(d)
				}
				if d := cmp.Diff(c.labels, labels(got)); d != "" {
					t.Error(d)
				}
				if s.Format != "glue-tsv" {
					t.Errorf("format %q", s.Format)
				}
			}
		})
	}
}

func TestSkippedRowsAreCounted(t *testing.T) {
	_, got := load(t, Config{Task: "qqp", Dir: "testdata/glue"}, "train")
	last := got.Examples[len(got.Examples)-1]
	// The broken row takes two lines, and ids still count lines of the file.
	if got.Skipped != 2 || last.ID != 3 || last.Line != 5 {
		t.Errorf("skipped %d, last example %+v; want 2, id 3, line 5", got.Skipped, last)
	}
}

func TestParquet(t *testing.T) {
	nli := []string{"entailment", "not_entailment"}
	for _, c := range []struct {
		task, split string
		first       Example
		labels      []float32
		names       []string
	}{
		{"cola", "train", Example{0, 1, "Fine so far.", nil, 1, true, nil, nil, nil}, []float32{1, 0}, zeroOne},
		{"cola", "dev", Example{0, 1, "Go on.", nil, 1, true, nil, nil, nil}, []float32{1}, zeroOne},
		{"cola", "test", Example{0, 1, "Café.", nil, 0, false, nil, nil, nil}, []float32{-1}, zeroOne},
		{"sst2", "train", Example{0, 1, "Fine so far.", nil, 1, true, nil, nil, nil}, []float32{1, 0}, zeroOne},
		{"rte", "train", Example{0, 1, "A?", ptr("B."), 0, true, nil, nil, nil}, []float32{0, 1}, nli},
		{"qnli", "train", Example{0, 1, "A?", ptr("B."), 0, true, nil, nil, nil}, []float32{0, 1}, nli},
		{"qqp", "train", Example{0, 1, "A?", ptr("B."), 0, true, nil, nil, nil}, []float32{0, 1}, zeroOne},
		{"wnli", "train", Example{0, 1, "A?", ptr("B."), 0, true, nil, nil, nil}, []float32{0, 1}, zeroOne},
		{"mnli", "train", Example{0, 1, "P.", ptr("H."), 0, true, nil, nil, nil}, []float32{0, 1, 2},
			[]string{"entailment", "neutral", "contradiction"}},
		{"mnli", "dev", Example{0, 1, "P.", ptr("H."), 2, true, nil, nil, nil}, []float32{2},
			[]string{"entailment", "neutral", "contradiction"}},
		{"mnli", "dev_mismatched", Example{0, 1, "P.", ptr("H."), 1, true, nil, nil, nil}, []float32{1},
			[]string{"entailment", "neutral", "contradiction"}},
		{"mnli", "test_mismatched", Example{0, 1, "P.", ptr("H."), 0, false, nil, nil, nil}, []float32{-1, -1},
			[]string{"entailment", "neutral", "contradiction"}},
		{"stsb", "train", Example{0, 1, "A", ptr("B"), 0, true, nil, nil, nil}, []float32{0, 4.6}, nil},
		{"stsb", "dev", Example{0, 1, "A", ptr("B"), 2.5, true, nil, nil, nil}, []float32{2.5}, nil},
		{"stsb", "test", Example{0, 1, "A", ptr("B"), 0, false, nil, nil, nil}, []float32{-1}, nil},
	} {
		t.Run("task="+c.task+"/split="+c.split, func(t *testing.T) {
			s, got := load(t, Config{Task: c.task, Dir: "testdata/hub"}, c.split)
			if d := cmp.Diff(c.first, got.Examples[0]); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.labels, labels(got)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.names, s.Task.Labels); d != "" || s.Format != "glue-parquet" {
				t.Error(s.Format, d)
			}
		})
	}
}

// TestParquetShards: shards are joined in order; row groups and dictionary
// pages make no difference.
func TestParquetShards(t *testing.T) {
	_, got := load(t, Config{Task: "mrpc", Dir: "testdata/hub"}, "train")
	if len(got.Examples) != 30 {
		t.Fatalf("%d examples; want 30", len(got.Examples))
	}
	text := func(i int) string { return "Sentence " + string(rune('0'+i%7)) + "." }
	for i, e := range got.Examples {
		// The second sentences are in reverse order within a shard of 15.
		want := Example{i, i%15 + 1, text(i), ptr(text(i/15*15 + 14 - i%15)), float32(i % 2), true, nil, nil, nil}
		if d := cmp.Diff(want, e); d != "" {
			t.Fatal(d)
		}
	}
}

// glueOf returns a task whose first metric selects the best epoch.
func glueOf(name string, labels, metrics, text []string) Task {
	return Task{Name: name, Labels: labels, Metrics: metrics, Select: metrics[0], Text: text}
}

func TestTasks(t *testing.T) {
	nli := []string{"entailment", "not_entailment"}
	for _, c := range []struct {
		spelling string
		want     Task
		length   int
	}{
		{"CoLA", glueOf("cola", zeroOne, []string{"matthews"}, []string{"sentence"}), 256},
		{"SST-2", glueOf("sst2", zeroOne, []string{"accuracy"}, []string{"sentence"}), 256},
		{"mrpc", glueOf("mrpc", zeroOne, []string{"accuracy", "f1"}, []string{"#1 String", "#2 String"}), 256},
		{"sts_b", glueOf("stsb", nil, []string{"pearson", "spearman"}, sentences), 256},
		{"RTE", glueOf("rte", nli, []string{"accuracy"}, sentences), 512},
		{"QNLI", glueOf("qnli", nli, []string{"accuracy"}, []string{"question", "sentence"}), 256},
		{"MNLI", glueOf("mnli", []string{"contradiction", "entailment", "neutral"}, []string{"accuracy"}, sentences), 256},
		{"QQP", glueOf("qqp", zeroOne, []string{"accuracy", "f1"}, questions), 256},
		{"WNLI", glueOf("wnli", zeroOne, []string{"accuracy"}, sentences), 256},
	} {
		t.Run("task="+c.spelling, func(t *testing.T) {
			s, err := Open(t.Context(), Config{Task: c.spelling, Dir: "testdata/glue"}, Request{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, s.Task); d != "" || s.MaxLength != c.length {
				t.Error(s.MaxLength, d)
			}
			if outputs := max(1, len(c.want.Labels)); s.Task.Outputs() != outputs {
				t.Errorf("outputs %d; want %d", s.Task.Outputs(), outputs)
			}
		})
	}
}

func TestMetricOverride(t *testing.T) {
	s, err := Open(t.Context(), Config{Task: "cola", Dir: "testdata/glue", Metric: "accuracy", MaxLength: 64}, Request{})
	if err != nil {
		t.Fatal(err)
	}
	want := Task{Name: "cola", Labels: zeroOne, Metrics: []string{"matthews", "accuracy"}, Select: "accuracy",
		Text: []string{"sentence"}}
	if d := cmp.Diff(want, s.Task); d != "" || s.MaxLength != 64 {
		t.Error(s.MaxLength, d)
	}
	if d := cmp.Diff([]string{"matthews"}, glueTasks[0].metrics); d != "" {
		t.Errorf("the table changed: %s", d)
	}
}

func TestSplits(t *testing.T) {
	for dir, want := range map[string][]string{
		"testdata/glue": {"train", "dev", "dev_mismatched", "test", "test_mismatched"},
		"testdata/hub":  {"train", "dev", "dev_mismatched", "test", "test_mismatched"},
	} {
		s, err := Open(t.Context(), Config{Task: "mnli", Dir: dir}, Request{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, s.Splits()); d != "" {
			t.Error(d)
		}
	}
}

// TestColumnPositions: the columns found by name are those that the published
// GLUE readers use (the processors of microsoft/LoRA, 0-based).
func TestColumnPositions(t *testing.T) {
	for _, c := range []struct {
		path, task, split string
		text              []int
		label             int
	}{
		{"CoLA/test.tsv", "cola", "test", []int{1}, -1},
		{"SST-2/train.tsv", "sst2", "train", []int{0}, 1},
		{"SST-2/test.tsv", "sst2", "test", []int{1}, -1},
		{"MRPC/train.tsv", "mrpc", "train", []int{3, 4}, 0},
		{"STS-B/train.tsv", "stsb", "train", []int{7, 8}, 9},
		{"RTE/train.tsv", "rte", "train", []int{1, 2}, 3},
		{"QNLI/train.tsv", "qnli", "train", []int{1, 2}, 3},
		{"WNLI/train.tsv", "wnli", "train", []int{1, 2}, 3},
		{"MNLI/train.tsv", "mnli", "train", []int{8, 9}, 11},
		{"MNLI/dev_matched.tsv", "mnli", "dev", []int{8, 9}, 15},
		{"QQP/train.tsv", "qqp", "train", []int{3, 4}, 5},
		{"QQP/test.tsv", "qqp", "test", []int{1, 2}, -1},
	} {
		t.Run("file="+c.path, func(t *testing.T) {
			g, _ := glueByName(c.task)
			at, err := g.tsvLayout(c.split).locate(c.path, header(t, filepath.Join("testdata/glue", c.path)))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.text, at.text); d != "" || at.label != c.label {
				t.Errorf("label %d; %s", at.label, d)
			}
		})
	}
	g, _ := glueByName("cola")
	at, err := g.tsvLayout("train").locate("", g.header)
	if err != nil || at.text[0] != 3 || at.label != 1 {
		t.Errorf("cola train: %+v, %v", at, err)
	}
}

// TestRealGLUE reads the complete real files if LOR2C_SHARED has them.
func TestRealGLUE(t *testing.T) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		t.Skip("LOR2C_SHARED is unset: the real GLUE files are not in this repository")
	}
	for _, c := range []struct {
		task             string
		train, dev, test int
		positive         float64 // sum of the labels of train if it is known, else -1
	}{
		{"CoLA", 8551, 1043, 1063, 6023}, {"MRPC", 3668, 408, 1725, -1}, {"RTE", 2490, 277, 3000, 1241},
		{"STS-B", 5749, 1500, 1379, -1}, {"SST-2", 67349, 872, 1821, -1},
	} {
		t.Run("task="+c.task, func(t *testing.T) {
			for split, want := range map[string]int{"train": c.train, "dev": c.dev, "test": c.test} {
				_, got := load(t, Config{Task: c.task, Dir: filepath.Join(shared, "data/glue")}, split)
				if len(got.Examples) != want || got.Skipped != 0 {
					t.Errorf("%s: %d examples, %d skipped; want %d", split, len(got.Examples), got.Skipped, want)
				}
				sum, pairs := 0.0, 0
				for _, e := range got.Examples {
					sum += float64(e.Label)
					if e.TextB != nil {
						pairs++
					}
					if e.HasLabel == (split == "test") || e.TextA == "" {
						t.Fatalf("%s: example %+v", split, e)
					}
				}
				if split == "train" && c.positive >= 0 && sum != c.positive {
					t.Errorf("labels add up to %v; want %v", sum, c.positive)
				}
				if single := c.task == "CoLA" || c.task == "SST-2"; single != (pairs == 0) {
					t.Errorf("%s: %d pairs", split, pairs)
				}
			}
		})
	}
}
