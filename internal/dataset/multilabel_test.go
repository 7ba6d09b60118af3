package dataset

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// multi returns the configuration of a multi-label file.
func multi(path string, change func(*Config)) Config {
	c := Config{Task: "custom", Train: path, Test: path, Text: []string{"text"}, Label: "tags", Kind: MultiLabel}
	if change != nil {
		change(&c)
	}
	return c
}

// flagged makes the labels columns of 0 and 1.
func flagged(c *Config) { c.Label, c.Labels = "", []string{"b", "a"} }

// TestMultiLabel: each way of writing labels gives the same sets.
func TestMultiLabel(t *testing.T) {
	for _, c := range []struct {
		name, content string
		change        func(*Config)
	}{
		{"list.jsonl", `{"text":"x","tags":["a","b"]}` + "\n" + `{"text":"y","tags":[]}` + "\n" + `{"text":"z","tags":["b"]}`,
			nil},
		{"string.jsonl", `{"text":"x","tags":"b, a"}` + "\n" + `{"text":"y","tags":""}` + "\n" + `{"text":"z","tags":"b"}`,
			nil},
		{"flags.jsonl", `{"text":"x","a":1,"b":true}` + "\n" + `{"text":"y","a":0,"b":false}` + "\n" +
			`{"text":"z","a":0.0,"b":1}`, flagged},
		{"column.csv", "text,tags\nx,\"a, b\"\ny,\nz,b\n", nil},
		{"json.csv", "text,tags\nx,\"[\"\"b\"\", \"\"a\"\"]\"\ny,[]\nz,\"[\"\"b\"\"]\"\n", nil},
		{"json.tsv", "text\ttags\nx\t[\"b\",\"a\"]\ny\t []\nz\tb\n", func(c *Config) { c.Separator = "|" }},
		{"json.jsonl", `{"text":"x","tags":"[\"b\", \"a\"]"}` + "\n" + `{"text":"y","tags":"[]"}` + "\n" +
			`{"text":"z","tags":["b"]}`, nil},
		{"bars.tsv", "tags\ttext\nb|a\tx\n\ty\nb\tz\n", func(c *Config) { c.Separator = "|" }},
		{"spaces.csv", "text,tags\nx,b  a\ny,\nz,b\n", func(c *Config) { c.Separator = " " }},
		{"quoted.tsv", "\"text\"\t\"tags\"\n\"x\"\t\"a,b\"\n\"y\"\t\"\"\n\"z\"\t\"b\"\n", nil},
		{"flags.csv", "a,text,b\n1,x, 1\n0,y,0\nFalse,z, True\n", flagged},
		{"flags.tsv", "\"a\"\t\"text\"\t\"b\"\n\"1\"\t\"x\"\t\"1\"\n\"0\"\t\"y\"\t\"0\"\n\"0\"\t\"z\"\t\"1\"\n", flagged},
	} {
		t.Run("file="+c.name, func(t *testing.T) {
			s, got := load(t, multi(writeFile(t, c.name, c.content), c.change), "train")
			if s.Task.Kind != MultiLabel || s.Task.Threshold != Threshold || s.Task.Select != "f1_micro" {
				t.Errorf("the task is %+v", s.Task)
			}
			var names []string
			for _, x := range got.Examples {
				set := s.Task.List(x.Set)
				slices.Sort(set)
				names = append(names, x.TextA+":"+strings.Join(set, "+"))
				if !x.HasLabel || !slices.IsSorted(x.Set) {
					t.Errorf("%+v", x)
				}
			}
			if d := cmp.Diff([]string{"x:a+b", "y:", "z:b"}, names); d != "" {
				t.Error(d)
			}
			want := []float32{1, 1, 0, 0, 0, 1} // of labels a and b
			if s.Task.Labels[0] == "b" {
				want = []float32{1, 1, 0, 0, 1, 0}
			}
			if d := cmp.Diff(want, s.Task.Targets(got.Examples)); d != "" {
				t.Error(d)
			}
			same := Task{Kind: MultiLabel, Labels: []string{"a", "b"}}
			as := &Split{Examples: []Example{{TextA: "x", HasLabel: true, Set: []int32{0, 1}}, {TextA: "y", HasLabel: true},
				{TextA: "z", HasLabel: true, Set: []int32{1}}}}
			if s.Task.Labels[0] == "a" && s.Task.Digest(got) != same.Digest(as) {
				t.Error("the digest depends on the file")
			}
			as.Examples[1].Set = []int32{0}
			if s.Task.Digest(got) == same.Digest(as) {
				t.Error("another set of labels has the same digest")
			}
		})
	}
}

// TestMultiLabelFaults: a fault is reported with its place and what would be right.
func TestMultiLabelFaults(t *testing.T) {
	named := func(c *Config) { c.Labels = []string{"a", "b"} }
	for _, c := range []struct {
		name, content, want string
		change              func(*Config)
	}{
		{"unknown.csv", "text,tags\nx,a\ny,\"a,c\"\n",
			`dataset: read F:3: label "c" is not in the task's set; want one of "a", "b"`, named},
		{"twice.csv", "text,tags\nx,\"a,a\"\n",
			`dataset: read F:2: label "a" occurs twice in one example; want each label once`, named},
		{"empty.csv", "text,tags\nx,\"a,,b\"\n",
			`dataset: read F:2: labels "a,,b" have an empty one; want one "," between two labels`, nil},
		{"one.csv", "text,tags\nx,a\ny,\n",
			`dataset: read labels of F: 1 different label (a); want at least two, or the whole list in data.labels`, nil},
		{"separator.jsonl", `{"text":"x","tags":["a,b","c"]}`,
			`dataset: read F:1: label "a,b" has the separator "," in it; want another data.separator`, nil},
		{"python.csv", "text,tags\nx,\"['a', 'b']\"\n", `dataset: read F:2: labels "['a', 'b']" are a list that is not ` +
			`JSON; want a list such as ["a", "b"], or labels with "," between them`, named},
		{"cut.csv", "text,tags\nx,\"[\"\"a\"\" \"\"b\"\"]\"\n", `dataset: read F:2: labels "[\"a\" \"b\"]" are a list that ` +
			`is not JSON; want a list such as ["a", "b"], or labels with "," between them`, named},
		{"null.csv", "text,tags\nx,\"[\"\"a\"\", null]\"\n",
			`dataset: read F:2: the list of labels has a null; want strings, numbers or bools`, named},
		{"classes.csv", "text,tags\nx,a\ny,\"[\"\"a\"\",\"\"b\"\"]\"\n", `dataset: read F:3: label "[\"a\",\"b\"]" is a ` +
			`list; want data.kind: multilabel for texts with several labels, or all classes in data.labels`,
			func(c *Config) { c.Kind = "" }},
		{"null.jsonl", `{"text":"x","tags":["a",null]}`,
			`dataset: read F:1: the list of labels has a null; want strings, numbers or bools`, named},
		{"nested.jsonl", `{"text":"x","tags":[["a"]]}`,
			`dataset: read F:1: label is ["a"]; want a string, number or bool, or data.kind: multilabel for a list`, named},
		{"missing.jsonl", `{"text":"x"}`, `dataset: read F:1: no key "tags"; the line has "text"`, named},
		{"absent.jsonl", `{"text":"x","tags":null}`, `dataset: read F:1: example without label; want a label on every ` +
			`example used to train or evaluate`, named},
		{"flag.csv", "text,a,b\nx,0,2\n", `dataset: read F:2: column "b" is "2"; want 0 or 1`, flagged},
		{"blank.csv", "text,a,b\nx,,0\n", `dataset: read F:2: column "a" is ""; want 0 or 1`, flagged},
		{"column.csv", "text,a,B\nx,1,0\n", `dataset: read F:1: no column "b"; the file has "text", "a", "B" (nearest "B")`,
			flagged},
		{"key.jsonl", `{"text":"x","a":1}`, `dataset: read F:1: no key "b"; the line has "a", "text"`, flagged},
		{"value.jsonl", `{"text":"x","a":1,"b":[1]}`, `dataset: read F:1: "b" holds [1]; want 0 or 1`, flagged},
	} {
		t.Run("file="+c.name, func(t *testing.T) {
			path := writeFile(t, c.name, c.content)
			s, err := Open(t.Context(), multi(path, c.change), Request{Splits: []string{"train"}})
			if err == nil {
				_, err = s.Load(t.Context(), "train")
			}
			if err == nil || strings.ReplaceAll(err.Error(), path, "F") != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
}

// TestMultiLabelConfig: faults of the section.
func TestMultiLabelConfig(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"fine":    {nil, ""},
		"columns": {flagged, ""},
		"nothing": {func(c *Config) { c.Label = "" }, `dataset: data.label: not set; want the name of the column that lists the ` +
			`labels, or in data.labels the names of columns of 0 and 1`},
		"text":      {func(c *Config) { flagged(c); c.Text = []string{"a"} }, `dataset: data.labels: "a" is a text column too; want columns of 0 and 1`},
		"separator": {func(c *Config) { c.Labels = []string{"a,b", "c"} }, `dataset: data.labels: "a,b" has the separator "," in it; want another data.separator`},
		"tab":       {func(c *Config) { c.Separator = "\t" }, `dataset: data.separator: "\t" has a control character; want a text such as a comma`},
		"threshold": {func(c *Config) { c.Threshold = 1 }, `dataset: data.threshold: is 1; want more than 0 and less than 1`},
		"metric": {func(c *Config) { c.Metric = "accuracy" }, `dataset: data.metric: "accuracy" does not apply to multi-label ` +
			`classification; want f1_macro, f1_micro or subset_accuracy`},
		"class": {func(c *Config) { c.Kind, c.Threshold = "", 0.4 }, `dataset: data.threshold: set, but only data.kind multilabel ` +
			`has a threshold; leave it out`},
		"classes": {func(c *Config) { c.Kind, c.Separator = Regression, "|" }, `dataset: data.separator: set, but only ` +
			`data.kind multilabel has several labels; leave it out`},
	} {
		t.Run("config="+name, func(t *testing.T) {
			var got []string
			for _, err := range multi("a.csv", c.change).Validate() {
				got = append(got, err.Error())
			}
			if strings.Join(got, "\n") != c.want {
				t.Errorf("faults %q\nwant   %q", got, c.want)
			}
		})
	}
}

// TestMultiLabelWithheld: the labels of a test split may be withheld.
func TestMultiLabelWithheld(t *testing.T) {
	for _, c := range []struct {
		name, content string
		change        func(*Config)
		labelled      int
	}{
		{"none.csv", "text\nx\ny\n", flagged, 0},
		{"empty.csv", "text,tags\nx,\ny,\n", func(c *Config) { c.Labels = []string{"a", "b"} }, 0},
		{"minus.csv", "text,a,b\nx,-1,-1\ny,0,1\n", flagged, 1},
		{"none.jsonl", `{"text":"x"}` + "\n" + `{"text":"y","a":0,"b":1}`, flagged, 1},
		{"lists.jsonl", `{"text":"x","tags":[]}` + "\n" + `{"text":"y"}`,
			func(c *Config) { c.Labels = []string{"a", "b"} }, 1},
	} {
		t.Run("file="+c.name, func(t *testing.T) {
			s, got := load(t, multi(writeFile(t, c.name, c.content), c.change), "test")
			labelled := 0
			for _, x := range got.Examples {
				if x.HasLabel {
					labelled++
				}
			}
			if labelled != c.labelled {
				t.Errorf("%d examples have labels; want %d", labelled, c.labelled)
			}
			partly := slices.ContainsFunc(s.Task.Lint(got), func(f Finding) bool { return f.Kind == "partly_labelled" })
			if partly != (labelled == 1) {
				t.Errorf("findings %v", s.Task.Lint(got))
			}
		})
	}
}

// TestMultiLabelLint: the profile counts every label, and a label that no example or every example has is found.
func TestMultiLabelLint(t *testing.T) {
	path := writeFile(t, "f.csv", "text,tags\nx,\"a,b\"\ny,b\nz,b\nz,\"a,b\"\n")
	s, got := load(t, multi(path, func(c *Config) { c.Labels = []string{"a", "b", "c"} }), "train")
	var lines []string
	for _, f := range s.Task.Lint(got) {
		lines = append(lines, strings.ReplaceAll(f.String(), path, "f"))
	}
	if d := cmp.Diff([]string{
		"f:5: 1 of 4 examples repeats the texts of an earlier one, 1 of them with another label, first in line 5",
		"f: no example has the label c; scores of it mean little",
		"f: every example has the label b; scores of it mean little",
	}, lines); d != "" {
		t.Error(d)
	}
	e := &Encoded{Cu: []int64{0, 1, 2, 3, 4}}
	want := "train: 4 examples; a 2, b 4, c 0 (1.50 labels an example, 0 without); tokens: median 1, longest 1, 0 cut"
	if p := s.Task.Profile("train", got, e); p.String() != want {
		t.Errorf("%s\nwant %s", p, want)
	}
}

// TestLintSeparator: labels that are lists with another separator are found, and a label with the character is not.
func TestLintSeparator(t *testing.T) {
	for _, c := range []struct {
		labels []string
		want   string
	}{
		{[]string{"a", "a;b", "b"}, `f: 1 label has ";", such as "a;b"; if it is between labels, set data.separator to it`},
		{[]string{"a|b", "b | c"}, `f: 2 labels have "|", such as "a|b"; if it is between labels, set data.separator to it`},
		{[]string{"a", "either;or"}, ""},
		{[]string{"a", "b"}, ""},
	} {
		got := ""
		for _, f := range lintSeparator("f", c.labels) {
			got += f.String()
		}
		if got != c.want {
			t.Errorf("%q: %s\nwant %s", c.labels, got, c.want)
		}
	}
}

// TestMultiLabelDivide: a drawn dev split has its share of the examples although each set of labels occurs once.
func TestMultiLabelDivide(t *testing.T) {
	content := "text,tags\n"
	for i := range 20 {
		var tags []string
		for k := range 5 {
			if i>>k&1 == 1 {
				tags = append(tags, string(rune('a'+k)))
			}
		}
		content += "text " + strings.Repeat("x", i) + ",\"" + strings.Join(tags, ",") + "\"\n"
	}
	path := writeFile(t, "f.csv", content)
	c := multi(path, func(c *Config) { c.Dev, c.Test = "0.25", "" })
	if _, dev := load(t, c, "dev"); len(dev.Examples) != 5 {
		t.Errorf("%s has %d examples; want 5", filepath.Base(path), len(dev.Examples))
	}
}
