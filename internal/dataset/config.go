package dataset

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/setting"
)

// Config is the `data:` section of a run file.
type Config struct {
	Task      string   `yaml:"task" doc:"a GLUE task, custom for your own labelled files, or instruct for what a decoder learns to write" words:"cola|sst2|mrpc|stsb|qqp|mnli|qnli|rte|wnli|custom|instruct" required:"true" example:"mrpc"`
	Dir       string   `yaml:"dir" doc:"GLUE tasks: the task's folder or the one above it" path:"true" example:"data/glue"`
	Train     string   `yaml:"train" doc:"custom: file to train on, .csv, .tsv or .jsonl; tokens: .conll, .txt, .tsv or .jsonl; instruct: .json, .jsonl or .txt" path:"true" example:"train.csv"`
	Dev       Source   `yaml:"dev" doc:"custom, instruct: file to evaluate on, or the fraction of data.train to keep for that; instruct: or a number of rows, drawn as numpy does with seed" path:"true" example:"dev.csv"`
	Test      string   `yaml:"test" doc:"custom: file to predict; it needs no labels" path:"true" example:"test.csv"`
	Text      []string `yaml:"text" doc:"custom: name of the text column, or a list of two for pairs; tokens: key of the tokens, or number of their column, 1 if empty" example:"[question, answer]"`
	Label     string   `yaml:"label" doc:"custom: name of the label column; multilabel: of the column that lists the labels, or empty if data.labels names a column of 0 and 1 for each; tokens: key of the tags, or number of their column, the last if empty" example:"verdict"`
	Kind      string   `yaml:"kind" doc:"custom: what the labels are; empty means classification" words:"|classification|regression|multilabel|tokens"`
	Labels    []string `yaml:"labels" doc:"custom: class names in order; tokens: names of the tags, to which numbers in a file refer; empty means those of data.train, sorted" example:"[wrong, right]"`
	Separator string   `yaml:"separator" doc:"multilabel: what separates the labels that a column lists; empty means a comma" example:"'|'"`
	Threshold float64  `yaml:"threshold" doc:"multilabel: the probability from which a label is predicted" range:">0..<1" unset:"0.5" example:"0.4"`
	Metric    string   `yaml:"metric" doc:"what picks the best epoch; empty means the task's own" words:"|accuracy|f1|f1_macro|matthews|pearson|spearman|f1_micro|subset_accuracy|precision|recall|perplexity"`
	// the least leaves one token of text besides the four special tokens that RoBERTa adds to a pair
	MaxLength int `yaml:"max_length" doc:"tokens an example is cut to" range:"5.." unset:"256, and 512 for rte" example:"128"`

	Format        string `yaml:"format" doc:"instruct: form of the rows; empty means that of the first" words:"|alpaca|completion|messages|sharegpt|text"`
	Template      string `yaml:"template" doc:"instruct: how prompt and response become one text; empty means alpaca for rows of alpaca, none for completion and text, and else the model's own, chat" words:"|alpaca|chat|none"`
	TrainOnInputs bool   `yaml:"train_on_inputs" doc:"instruct: learn to predict the prompts too"`
	ParseSpecial  bool   `yaml:"parse_special" doc:"instruct: control tokens that a text spells, such as </s>, become such tokens"`
	Order         string `yaml:"order" doc:"instruct: order of the rows in an epoch; empty means shuffled" words:"|shuffled|length_grouped"`
}

// Instruct is the task of data that a decoder learns to write.
const Instruct = "instruct"

// Source is where a split comes from: the path of a file, or a number such as
// 0.2, which is a fraction of the training examples.
type Source string

// Fraction returns the fraction and reports whether s is one. A path is not,
// because it ends in the extension of a data file.
func (s Source) Fraction() (float64, bool) {
	f, err := strconv.ParseFloat(string(s), 64)
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}

// These are the values of Config.Kind.
const (
	Classification = "classification"
	Regression     = "regression"
	MultiLabel     = "multilabel" // an example has any number of labels
	Tokens         = "tokens"     // each word of a sentence has a label
)

// Fault is a value of the section that is wrong.
type Fault struct {
	Key  string // for example data.dev
	What error  // what is wrong and what would be right
}

func (f *Fault) Error() string { return "dataset: " + f.Key + ": " + f.What.Error() }

// Unwrap returns What.
func (f *Fault) Unwrap() error { return f.What }

// faults collects the faults of a configuration.
type faults []error

func (f *faults) add(key, format string, args ...any) {
	*f = append(*f, &Fault{"data." + key, fmt.Errorf(format, args...)})
}

// Validate returns every fault of the section, each a [*Fault]. It does not read
// files.
func (c Config) Validate() []error {
	var f faults
	name := taskName(c.Task)
	tags := c
	if slices.Contains(taskNames(), name) {
		tags.Task = name // it may be written as SST-2 too
	}
	for _, err := range setting.Faults("data", tags) {
		if tag := new(setting.Fault); errors.As(err, &tag) {
			f = append(f, &Fault{tag.Key, errors.New(tag.What)})
		}
	}
	_, isGLUE := glueByName(name)
	switch {
	case isGLUE:
		c.checkGLUE(&f)
		c.refuseInstruct(&f)
	case name == customTask:
		c.checkCustom(&f)
		c.refuseInstruct(&f)
	case name == Instruct:
		c.checkInstruct(&f)
	}
	if c.Metric != "" && name != Instruct {
		c.checkMetric(&f)
	}
	return f
}

func (c Config) checkGLUE(f *faults) {
	if c.Dir == "" {
		f.add("dir", "not set; want the folder with the files of task %s", c.Task)
	}
	// A key that would be ignored is a misunderstanding, which is better
	// reported before training.
	for _, k := range []struct {
		key string
		set bool
	}{
		{"train", c.Train != ""}, {"dev", c.Dev != ""}, {"test", c.Test != ""}, {"text", len(c.Text) > 0},
		{"label", c.Label != ""}, {"kind", c.Kind != ""}, {"labels", len(c.Labels) > 0},
		{"separator", c.Separator != ""}, {"threshold", c.Threshold != 0},
	} {
		if k.set {
			f.add(k.key, "set, but task %s has its own; leave it out, or want task custom", c.Task)
		}
	}
}

func (c Config) checkCustom(f *faults) {
	if c.Dir != "" {
		f.add("dir", "%q set, but task custom names files; want data.train, data.dev and data.test", c.Dir)
	}
	paths := c.paths()
	if fraction, ok := c.Dev.Fraction(); ok {
		if !(fraction > 0 && fraction < 1) {
			f.add("dev", "the fraction is %s; want a number between 0 and 1, such as 0.2, or a file",
				place.List([]Source{c.Dev}))
		}
		if c.Train == "" {
			f.add("dev", "%s of data.train, which is not set; want data.train, or a file", c.Dev)
		}
	}
	if len(paths) == 0 {
		f.add("train", "no file named; want at least one of data.train, data.dev, data.test")
	}
	for _, split := range []string{"train", "dev", "test"} {
		path, ok := paths[split]
		if ext := strings.ToLower(filepath.Ext(path)); ok && !slices.Contains(c.extensions(), ext) {
			f.add(split, "%q has extension %q; want %s", path, ext, c.wantedFile())
		}
	}
	if c.Kind == Tokens {
		c.checkTokens(f)
		c.refuseMultiLabel(f)
		return
	}
	switch {
	case len(c.Text) == 0:
		f.add("text", "not set; want the name of the text column, or of two for pairs")
	case len(c.Text) > 2:
		f.add("text", "%s %q; want one or two", place.Count(len(c.Text), "column", "columns"), c.Text)
	case slices.Contains(c.Text, ""):
		f.add("text", "an empty column name in %q; want the names of columns", c.Text)
	case len(c.Text) == 2 && c.Text[0] == c.Text[1]:
		f.add("text", "the column %q is named twice; want two different columns", c.Text[0])
	}
	if c.Label == "" && c.Kind != MultiLabel {
		f.add("label", "not set; want the name of the label column")
	} else if c.Label != "" && slices.Contains(c.Text, c.Label) {
		f.add("label", "%q is a text column too; want another column", c.Label)
	}
	if c.Kind == MultiLabel {
		c.checkMultiLabel(f)
	} else {
		c.refuseMultiLabel(f)
	}
	switch c.Kind {
	case "", Classification:
		c.checkLabels(f)
	case Regression:
		if len(c.Labels) > 0 {
			f.add("labels", "%d classes set for regression; want none", len(c.Labels))
		}
	}
}

func (c Config) checkLabels(f *faults) {
	if len(c.Labels) == 1 {
		f.add("labels", "one class %q; want at least two", c.Labels[0])
	}
	for i, label := range c.Labels {
		if err := checkLabel(label); err != nil {
			f.add("labels", "class %d: %w", i, err)
		} else if strings.TrimSpace(label) == "" {
			f.add("labels", "class %d is empty; want a name", i)
		} else if slices.Contains(c.Labels[:i], label) {
			f.add("labels", "%q occurs twice; want each class once", label)
		}
	}
}

// checkMetric checks whether the metric applies to the kind of task. Open
// checks it against the number of classes, which is not known here.
func (c Config) checkMetric(f *faults) {
	m, err := metric.ByName(c.Metric)
	if err != nil && c.Metric != metric.Perplexity {
		return // the tags do not allow it either
	}
	kind := metric.Classes
	g, isGLUE := glueByName(taskName(c.Task))
	switch {
	case isGLUE && g.labels == nil, !isGLUE && c.Kind == Regression:
		kind = metric.Values
	case !isGLUE && c.Kind == MultiLabel:
		kind = metric.Sets
	case !isGLUE && c.Kind == Tokens:
		kind = metric.Tags
	}
	if err != nil || !m.Fits(kind) {
		f.add("metric", "%q does not apply to %s; want %s", c.Metric, kind, metric.Fitting(kind))
	}
}

// extensions returns the extensions of the files of a custom task, and wantedFile lists those that are usual.
func (c Config) extensions() []string {
	if c.Kind == Tokens {
		return tokenExtensions
	}
	return extensions
}

func (c Config) wantedFile() string {
	if c.Kind == Tokens {
		return ".conll, .txt, .tsv or .jsonl"
	}
	return ".csv, .tsv or .jsonl"
}

// paths returns the files of a custom task by split. A dev split that is a
// fraction of train has no file.
func (c Config) paths() map[string]string {
	p := map[string]string{}
	for split, path := range map[string]string{"train": c.Train, "dev": string(c.Dev), "test": c.Test} {
		if _, isFraction := c.Dev.Fraction(); path != "" && !(split == "dev" && isFraction) {
			p[split] = path
		}
	}
	return p
}
