package dataset

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// header reads the first line of a TSV fixture.
func header(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := lines{path: path, r: bufio.NewReader(f)}
	line, err := in.next()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(line, "\t")
}

func TestCustomClasses(t *testing.T) {
	c := Config{Task: "custom", Train: "testdata/custom/train.csv", Dev: "testdata/custom/dev.tsv",
		Test: "testdata/custom/test.jsonl", Text: []string{"title", "body"}, Label: "class"}
	s, train := load(t, c, "train")
	want := Task{Name: "custom", Labels: []string{"bad", "fair", "good"}, Metrics: []string{"accuracy", "matthews"},
		Select: "accuracy", Text: []string{"title", "body"}}
	if d := cmp.Diff(want, s.Task); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Example{
		{0, 2, "Lamp", ptr(`bright, and "warm"`), 2, true, nil, nil, nil},
		{1, 3, "Chair", ptr("wobbly\nlegs"), 0, true, nil, nil, nil},
		{2, 5, "Desk", ptr("plain"), 1, true, nil, nil, nil},
	}, train.Examples); d != "" {
		t.Error(d)
	}
	_, dev := load(t, c, "dev")
	if d := cmp.Diff([]Example{
		{0, 2, "Rug", ptr(`a "thin thing`), 0, true, nil, nil, nil},
		{1, 3, "Cup", ptr(""), 2, true, nil, nil, nil},
	}, dev.Examples); d != "" {
		t.Error(d)
	}
	_, test := load(t, c, "test")
	if d := cmp.Diff([]Example{
		{0, 1, "Pen", ptr("runs dry"), 0, false, nil, nil, nil},
		{1, 3, "Mug", ptr("café"), 0, false, nil, nil, nil},
	}, test.Examples); d != "" {
		t.Error(d)
	}
}

func TestCustomLabelOrder(t *testing.T) {
	c := Config{Task: "custom", Train: "testdata/custom/train.csv", Text: []string{"body"}, Label: "class",
		Labels: []string{"good", "fair", "bad"}, Kind: Classification}
	_, got := load(t, c, "train")
	if d := cmp.Diff([]float32{0, 2, 1}, labels(got)); d != "" {
		t.Error(d)
	}
	if got.Examples[0].TextB != nil {
		t.Error("a single text column gave a pair")
	}
}

func TestCustomRegression(t *testing.T) {
	c := Config{Task: "custom", Train: "testdata/custom/train.csv", Dev: "testdata/custom/dev.tsv",
		Text: []string{"body"}, Label: "stars", Kind: Regression}
	s, train := load(t, c, "train")
	if d := cmp.Diff(Task{Name: "custom", Metrics: []string{"pearson", "spearman"}, Select: "pearson",
		Text: []string{"body"}}, s.Task); d != "" {
		t.Error(d)
	}
	_, dev := load(t, c, "dev")
	if d := cmp.Diff([][]float32{{4.5, 1, 3}, {2, 5}}, [][]float32{labels(train), labels(dev)}); d != "" {
		t.Error(d)
	}
}

// TestJSONLabels: JSON labels can be of any scalar type, and integers are
// sorted by value, not as text.
func TestJSONLabels(t *testing.T) {
	for _, c := range []struct {
		file, kind string
		names      []string
		metrics    []string
		values     []float32
	}{
		{"kinds", "", []string{"-1", "2", "10"}, []string{"accuracy", "matthews"}, []float32{2, 1, 0}},
		{"bools", "", []string{"false", "true"}, []string{"accuracy", "f1", "matthews"}, []float32{1, 0}},
		{"scores", Regression, nil, []string{"pearson", "spearman"}, []float32{-12.5, 3, 100}},
	} {
		t.Run("file="+c.file, func(t *testing.T) {
			s, got := load(t, Config{Task: "custom", Train: "testdata/custom/" + c.file + ".jsonl",
				Text: []string{"t"}, Label: "y", Kind: c.kind}, "train")
			if d := cmp.Diff(c.names, s.Task.Labels); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.metrics, s.Task.Metrics); d != "" {
				t.Error(d)
			}
			var values []float32
			for _, e := range got.Examples {
				values = append(values, e.Label)
			}
			if d := cmp.Diff(c.values, values); d != "" {
				t.Error(d)
			}
		})
	}
}
