package dataset

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// TestValidate compares the whole message of each fault. Several faults are
// reported together.
func TestValidate(t *testing.T) {
	ok := Config{Task: "custom", Train: "a.csv", Text: []string{"t"}, Label: "y"}
	with := func(change func(*Config)) Config {
		c := ok
		change(&c)
		return c
	}
	const glue = `; leave it out, or want task custom`
	const tasks = `cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte, wnli, custom or instruct`
	for _, c := range []struct {
		name   string
		config Config
		want   []string
	}{
		{"fine", ok, nil},
		{"fine_glue", Config{Task: "MNLI", Dir: "d", Metric: "accuracy", MaxLength: 5}, nil},
		{"no_task", Config{}, []string{`dataset: data.task: is ""; want ` + tasks}},
		{"task", Config{Task: "Colla"},
			[]string{`dataset: data.task: is "Colla"; want ` + tasks + ` (nearest "cola")`}},
		{"glue", Config{Task: "RTE", Train: "x", Dev: "x", Test: "x", Text: []string{"x"}, Label: "x", Kind: "regression",
			Labels: []string{"x"}, MaxLength: 4, Metric: "pearson"}, []string{
			`dataset: data.max_length: is 4; want at least 5`,
			`dataset: data.dir: not set; want the folder with the files of task RTE`,
			`dataset: data.train: set, but task RTE has its own` + glue,
			`dataset: data.dev: set, but task RTE has its own` + glue,
			`dataset: data.test: set, but task RTE has its own` + glue,
			`dataset: data.text: set, but task RTE has its own` + glue,
			`dataset: data.label: set, but task RTE has its own` + glue,
			`dataset: data.kind: set, but task RTE has its own` + glue,
			`dataset: data.labels: set, but task RTE has its own` + glue,
			`dataset: data.metric: "pearson" does not apply to classification; want accuracy, f1, f1_macro or matthews`,
		}},
		{"bare", Config{Task: "custom"}, []string{
			`dataset: data.train: no file named; want at least one of data.train, data.dev, data.test`,
			`dataset: data.text: not set; want the name of the text column, or of two for pairs`,
			`dataset: data.label: not set; want the name of the label column`,
		}},
		{"files", with(func(c *Config) { c.Dir, c.Train, c.Dev = "d", "notes.txt", "b.JSONL" }), []string{
			`dataset: data.dir: "d" set, but task custom names files; want data.train, data.dev and data.test`,
			`dataset: data.train: "notes.txt" has extension ".txt"; want .csv, .tsv or .jsonl`,
		}},
		{"three_texts", with(func(c *Config) { c.Text = []string{"a", "b", "c"} }),
			[]string{`dataset: data.text: 3 columns ["a" "b" "c"]; want one or two`}},
		{"empty_text", with(func(c *Config) { c.Text = []string{""} }),
			[]string{`dataset: data.text: an empty column name in [""]; want the names of columns`}},
		{"same_text", with(func(c *Config) { c.Text = []string{"a", "a"} }),
			[]string{`dataset: data.text: the column "a" is named twice; want two different columns`}},
		{"label_is_text", with(func(c *Config) { c.Label = "t" }),
			[]string{`dataset: data.label: "t" is a text column too; want another column`}},
		{"kind", with(func(c *Config) { c.Kind = "regresion" }),
			[]string{`dataset: data.kind: is "regresion"; want classification, regression, multilabel or tokens (nearest "regression")`}},
		{"labels_in_regression", with(func(c *Config) { c.Kind, c.Labels, c.Metric = Regression, []string{"a", "b"}, "f1" }),
			[]string{
				`dataset: data.labels: 2 classes set for regression; want none`,
				`dataset: data.metric: "f1" does not apply to regression; want pearson or spearman`,
			}},
		{"labels", with(func(c *Config) { c.Labels = []string{"a", "", "a"} }), []string{
			`dataset: data.labels: class 1 is empty; want a name`,
			`dataset: data.labels: "a" occurs twice; want each class once`,
		}},
		{"one_label", with(func(c *Config) { c.Labels = []string{"a"} }),
			[]string{`dataset: data.labels: one class "a"; want at least two`}},
		{"no_train", with(func(c *Config) { c.Train, c.Dev = "", "d.tsv" }), nil},
		{"fraction", with(func(c *Config) { c.Dev = "0.2" }), nil},
		{"whole", with(func(c *Config) { c.Dev = "1.0" }),
			[]string{`dataset: data.dev: the fraction is 1.0; want a number between 0 and 1, such as 0.2, or a file`}},
		{"nan", with(func(c *Config) { c.Dev = "nan" }),
			[]string{`dataset: data.dev: the fraction is nan; want a number between 0 and 1, such as 0.2, or a file`}},
		{"fraction_of_nothing", with(func(c *Config) { c.Train, c.Dev, c.Test = "", "0.2", "t.csv" }),
			[]string{`dataset: data.dev: 0.2 of data.train, which is not set; want data.train, or a file`}},
		{"metric", with(func(c *Config) { c.Metric = "acuracy" }), []string{
			`dataset: data.metric: is "acuracy"; want accuracy, f1, f1_macro, matthews, pearson, spearman, f1_micro, subset_accuracy, precision, recall or perplexity (nearest "accuracy")`,
		}},
		{"perplexity", with(func(c *Config) { c.Metric = "perplexity" }), []string{
			`dataset: data.metric: "perplexity" does not apply to classification; want accuracy, f1, f1_macro or matthews`,
		}},
		{"words", Config{Task: "instruct", Train: "t.json", Dev: "0.1", Format: "alpacca", Order: "sorted"}, []string{
			`dataset: data.format: is "alpacca"; want alpaca, completion, messages, sharegpt or text (nearest "alpaca")`,
			`dataset: data.order: is "sorted"; want shuffled or length_grouped`,
		}},
	} {
		t.Run("config="+c.name, func(t *testing.T) {
			var got []string
			for _, err := range c.config.Validate() {
				got = append(got, err.Error())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if _, err := Open(t.Context(), c.config, Request{}); c.want != nil &&
				(err == nil || err.Error() != errors.Join(c.config.Validate()...).Error()) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

// TestConfigKeys: these keys are read from a run file; numbers and words such
// as `no` remain class names.
func TestConfigKeys(t *testing.T) {
	const text = `
task: custom
dir: d
train: a.csv
dev: b.csv
test: c.csv
text: [one, two]
label: y
kind: classification
labels: [0, 1, no]
separator: "|"
threshold: 0.25
metric: accuracy
max_length: 128
`
	var got Config
	if err := yaml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := Config{"custom", "d", "a.csv", "b.csv", "c.csv", []string{"one", "two"}, "y", "classification",
		[]string{"0", "1", "no"}, "|", 0.25, "accuracy", 128, "", "", false, false, ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
