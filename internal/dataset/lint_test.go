package dataset

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// found returns the findings of reading and linting one split.
func found(t *testing.T, name, content, split string, change func(*Config)) ([]string, error) {
	t.Helper()
	path := writeFile(t, name, content)
	c := Config{Task: "custom", Train: path, Test: path, Text: []string{"text"}, Label: "label"}
	if change != nil {
		change(&c)
	}
	s, err := Open(t.Context(), c, Request{Splits: []string{split}})
	if err != nil {
		return nil, err
	}
	got, err := s.Load(t.Context(), split)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, f := range s.Task.Lint(got) {
		lines = append(lines, strings.Replace(f.String(), path, "f", 1))
	}
	return lines, nil
}

func regressed(c *Config) { c.Kind = Regression }

func classes(labels ...string) func(*Config) {
	return func(c *Config) { c.Train, c.Labels = "", labels }
}

// TestLint compares the text of each finding, and checks that correct data has
// none.
func TestLint(t *testing.T) {
	many := "text,label\n"
	for i := range 30 {
		many += "text " + strings.Repeat("x", i) + "," + string(rune('0'+i/10)) + string(rune('0'+i%10)) + "\n"
	}
	for _, c := range []struct {
		name, file, content, split string
		change                     func(*Config)
		want                       []string
	}{
		{"fine", "f.csv", "text,label\na,x\nb,y\n", "train", nil, nil},
		{"blanks", "f.csv", "text,label\na,x\nb,x \nc,X\nd,y\n", "train", nil,
			[]string{`f:3: labels that differ only in case, blanks, Unicode or number form are ` +
				`3 classes: "x" (1), "x " (1), "X" (1)`}},
		{"invisible", "f.csv", "text,label\na,x\nb,x\u200b\nc,y\n", "train", nil,
			[]string{`f:3: labels that differ only in case, blanks, Unicode or number form are ` +
				`2 classes: "x" (1), "x\u200b" (1)`}},
		{"composed", "f.csv", "text,label\na,caf\u00e9\nb,cafe\u0301\nc,\u00c9t\u00e9\n", "train", nil,
			[]string{"f:3: labels that differ only in case, blanks, Unicode or number form are " +
				"2 classes: \"caf\u00e9\" (1), " +
				"\"cafe\u0301\" (1)"}},
		{"numbers", "f.csv", "text,label\na,1\nb,1.0\nc,01\nd,2\n", "train", nil,
			[]string{`f:3: labels that differ only in case, blanks, Unicode or number form are ` +
				`3 classes: "1" (1), "1.0" (1), "01" (1)`}},
		{"json", "f.jsonl",
			`{"text":"a","label":true}` + "\n" + `{"text":"b","label":"true"}` + "\n" + `{"text":"c","label":0}`, "train", nil,
			[]string{`f:2: the labels are of several JSON types: 1 bool, 1 string, 1 number`}},
		{"json_numbers", "f.jsonl",
			`{"text":"a","label":0}` + "\n" + `{"text":"b","label":1.0}` + "\n" + `{"text":"c","label":0.0}` + "\n" +
				`{"text":"d","label":0e0}`, "train", nil,
			[]string{`f:3: label 0 is also written 0.0, and they are one class`}},
		{"json_alike", "f.jsonl",
			`{"text":"a","label":0.0}` + "\n" + `{"text":"b","label":1.0}` + "\n" + `{"text":"c","label":0.0}`, "train", nil,
			nil},
		{"wide", "f.csv", "text,label\na,1\nb,\uff11\nc,2\n", "train", nil,
			[]string{"f:3: labels that differ only in case, blanks, Unicode or number form are " +
				"2 classes: \"1\" (1), \"\uff11\" (1)"}},
		{"single", "f.csv", "text,label\n" + strings.Repeat("a,x\nb,y\n", 10) + "c,y.\ntext,label\n", "train", nil,
			[]string{`f:22: 2 of 4 classes have a single example: "label", "y."`,
				`f:4: 18 of 22 examples repeat the texts of an earlier one`}},
		{"undecoded", "f.csv", "text,label\na,x\nb\ufffd,y\n", "train", nil,
			[]string{`f:3: 1 of 2 examples has the character U+FFFD, which a program wrote in place of what it could not decode, ` +
				"such as \"b\ufffd\""}},
		{"misread", "f.csv", "text,label\na,x\nthe cafÃ© is small and warm,y\nitâ€™s,x\n", "train", nil,
			[]string{`f:3: 2 of 3 examples have UTF-8 text that a program read as Latin-1 or Windows-1252, such as "Ã©" for "é" ` +
				`in "the cafÃ© is small an"`}},
		{"html", "f.csv", "text,label\nhe said &quot;no&quot;,x\na<br />b,y\nif a & b < c,x\n", "train", nil,
			[]string{`f:2: 2 of 3 examples have escapes or line breaks of HTML, which a model learns as text, such as "&quot;" ` +
				`for "\"" in "he said &quot;no&quot;"`}},
		{"second_text", "f.csv", "text,more,label\na,b&#39;s,x\nc,d,y\n", "train",
			func(c *Config) { c.Text = []string{"text", "more"} },
			[]string{`f:2: 1 of 2 examples has escapes or line breaks of HTML, which a model learns as text, such as "&#39;" ` +
				`for "'" in "b&#39;s"`}},
		{"missing", "f.csv", "text,label\na,x\nb,None\nc,x\nd,None\n", "train", nil,
			[]string{`f:3: a class is named like the mark of a missing label: "None" (2); rows without a label belong in no class`}},
		{"missing_kinds", "f.tsv", "text\tlabel\na\tx\nb\tNaN\nc\t''\nd\tNULL\n", "train", nil,
			[]string{`f:3: classes are named like the marks of a missing label: "''" (1), "NULL" (1), "NaN" (1); rows without a ` +
				`label belong in no class`}},
		{"missing_wanted", "f.csv", "text,label\na,x\nb,None\n", "train",
			func(c *Config) { c.Labels = []string{"x", "None"} }, nil},
		{"misread_labels", "f.csv", "text,label\na,café\nb,cafÃ©\nc,café\nd,y\n", "train", nil,
			[]string{"f:3: labels that differ only in case, blanks, Unicode or number form are 2 classes: \"café\" (2), " +
				"\"cafÃ©\" (1)"}},
		{"many_numbers", "f.csv", many, "train", nil,
			[]string{`f: the labels are 30 different numbers, each a class; data.kind: regression makes them scores`}},
		{"many_classes", "f.csv", many, "train", func(c *Config) { c.Kind = Classification },
			[]string{`f:2: 30 of 30 classes have a single example: "00", "01", "02", "03", "04" and 25 more`}},
		{"empty", "f.csv", "text,label\na,x\n \u00a0,y\n", "train", nil, []string{`f:3: 1 of 2 examples has an empty text`}},
		{"doubled", "f.csv", "text,label\na,x\nb,y\na ,x\na,y\n", "train", nil,
			[]string{`f:4: 2 of 4 examples repeat the texts of an earlier one, 1 of them with another label, first in line 5`}},
		{"one_class", "f.csv", "text,label\na,x\nb,x\n", "test", classes("x", "y"),
			[]string{`f: all examples have the label "x"; scores on them mean little`}},
		{"one_target", "f.csv", "text,label\na,3\nb,3.0\n", "train", regressed,
			[]string{`f: all examples have the same target; correlations with them are undefined`}},
		{"withheld", "f.csv", "text,label\na,-1\nb,-1\n", "test", classes("0", "1"),
			[]string{`f:2: label "-1", 2 times, is read as a withheld label`}},
		{"question_marks", "f.csv", "text,label\na,?\nb,x\nc,y\n", "test", classes("x", "y"),
			[]string{`f:2: label "?", 1 time, is read as a withheld label`,
				`f:2: 2 of 3 examples have labels; there are scores only if all have one`}},
		{"a_class", "f.csv", "text,label\na,-1\nb,1\n", "test", classes("-1", "1"), nil},
		{"partly", "f.csv", "text,label\na,x\nb,\nc,y\n", "test", classes("x", "y"),
			[]string{`f:3: 2 of 3 examples have labels; there are scores only if all have one`}},
		{"scores", "f.csv", "text,label\na,-1\nb,2.5\n", "test", regressed, nil},
		{"withheld_scores", "f.csv", "text,label\na,-1.0\nb,-1.0\n", "test", regressed,
			[]string{`f:2: label "-1.0", 2 times, is read as a withheld label`}},
	} {
		t.Run("data="+c.name, func(t *testing.T) {
			got, err := found(t, c.file, c.content, c.split, c.change)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestLintRefuses has data that is refused and not only reported.
func TestLintRefuses(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		change              func(*Config)
		want                string
	}{
		{"commas", "f.csv", "text,label\na,\"0,5\"\nb,1\n", nil,
			`dataset: read f:2: label "0,5", and all 2 labels are numbers, some with a comma; want decimal points and data.kind: regression for scores, or data.kind: classification if they name classes`},
		{"fractions", "f.csv", "text,label\na,1\nb,0.5\nc,2\n", nil,
			`dataset: read f:3: label "0.5", and all 3 labels are numbers; want data.kind: regression for scores, or data.kind: classification if they name classes`},
		{"tab", "f.csv", "text,label\na,x\nb,big\tcat\n", nil,
			`dataset: read f:3: label "big\tcat" has a control character; want a name of one line without tabs`},
		{"line", "f.jsonl", `{"text":"a","label":"x"}` + "\n" + `{"text":"b","label":"so\nup"}`, nil,
			`dataset: read f:2: label "so\nup" has a control character; want a name of one line without tabs`},
		{"long_text", "f.tsv", "text\tlabel\n" + strings.Repeat("a ", maxText) + "\tx\nb\ty\n", nil,
			`dataset: read f:2: a text of 2097152 bytes; want at most 1048576`},
		{"blank_label", "f.csv", "text,label\na,x\nb,  \nc,y\n", nil,
			`dataset: read f:3: example without label; want a label on every example used to train or evaluate`},
		{"all_empty", "f.csv", "text,label\n ,x\n\t,y\n", nil,
			`dataset: read f: the text of all 2 examples is empty; want text in the column that data.text or the task names`},
		{"second_empty", "f.csv", "text,label,more\na,x,\nb,y, \n", func(c *Config) { c.Text = []string{"text", "more"} },
			`dataset: read f: the second text of all 2 examples is empty; want text in the column that data.text or the task names`},
		{"square", "f.csv", "text,label\na,1e20\n", regressed,
			`dataset: read f:2: score 1e20 is out of range; want a number from -1e+18 to 1e+18`},
		{"underscore", "f.csv", "text,label\na,1_000\n", regressed,
			`dataset: read f:2: score "1_000" is not a number; want a number from -1e+18 to 1e+18`},
		{"infinite", "f.csv", "text,label\na,inf\n", regressed,
			`dataset: read f:2: score "inf" is not a number; want a number from -1e+18 to 1e+18`},
		{"decimal_comma", "f.csv", "text,label\na,\"3,5\"\n", regressed,
			`dataset: read f:2: score "3,5" is not a number; want a number from -1e+18 to 1e+18, with a decimal point`},
		{"gzip", "f.csv", "\x1f\x8b\x08\x00text", nil, `dataset: read f: it is gzip data; want a text file in UTF-8`},
		{"workbook", "f.csv", "PK\x03\x04\x14\x00", nil,
			`dataset: read f: it is a zip archive, such as .xlsx of Excel or .pt and .bin of PyTorch; want a text file in UTF-8`},
		{"utf16", "f.tsv", "\xff\xfet\x00e\x00", nil, `dataset: read f: it is UTF-16 text; want a text file in UTF-8`},
		{"page", "f.jsonl", "<!DOCTYPE html>\n<title>404</title>", nil,
			`dataset: read f: it is an HTML page, it starts with "<!DOCTYPE html>"; want a text file in UTF-8`},
		{"hexadecimal", "f.csv", "text,label\na,0x10\n", regressed,
			`dataset: read f:2: score "0x10" is not a number; want a number from -1e+18 to 1e+18`},
		{"long_label", "f.csv", "text,label\na," + strings.Repeat("L", 1000) + "\n",
			func(c *Config) { c.Labels = []string{"x", "y"} },
			`dataset: read f:2: label "` + strings.Repeat("L", 60) + `"... is not in the task's set; want one of "x", "y"`},
	} {
		t.Run("data="+c.name, func(t *testing.T) {
			path := ""
			_, err := found(t, c.file, c.content, "train", func(config *Config) {
				path = config.Train
				if c.change != nil {
					c.change(config)
				}
			})
			if err == nil || strings.Replace(err.Error(), path, "f", 1) != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
	// If data.kind is set, fractions as labels are not an error.
	if _, err := found(t, "f.csv", "text,label\na,1\nb,0.5\n", "train",
		func(c *Config) { c.Kind = Classification }); err != nil {
		t.Error(err)
	}
}

func TestOverlap(t *testing.T) {
	split := func(name, content string) *Split {
		_, s := load(t,
			Config{Task: "custom", Train: writeFile(t, name, content), Text: []string{"text"}, Label: "label",
				Labels: []string{"0", "1"}}, "train")
		return s
	}
	train := split("train.csv", "text,label\na,0\nb,1\nc,1\ne\u0301 te,1\n")
	for content, want := range map[string]string{
		"text,label\nd,0\ne,1\n":       "",
		"text,label\nd,0\nb ,0\nc,1\n": ":3: 2 of 3 examples have texts of the train split, so scores on them are too high",
		"text,label\nA,0\nd,1\nc,1\nB,0\nb,0\n": ":4: 2 of 5 examples have texts of the train split, so scores on " +
			"them are too high:2: 2 of 5 examples differ from texts of the train split only in case, blanks or Unicode form, " +
			"such as \"A\" from \"a\" in line 2, so scores on them are too high",
		"text,label\n\"É  t\u200be\",0\nx,1\n": ":2: 1 of 2 examples differs from texts of the train split only in case, " +
			"blanks or Unicode form, such as \"É  t\\u200be\" from \"e\u0301 te\" in line 5, so scores on them are too high",
		"text,label\na,0\nb,1\nc,1\ne\u0301 te,1\n": ":2: the dev split is the train file, " +
			"byte for byte, so scores on it are too high",
	} {
		dev := split("dev.csv", content)
		got := ""
		for _, f := range Overlap(train, dev) {
			got += strings.TrimPrefix(f.String(), dev.Path)
		}
		if got != want {
			t.Errorf("%q: %s; want %s", content, got, want)
		}
	}
}

func TestProfile(t *testing.T) {
	c := Config{Task: "custom", Train: writeFile(t, "f.csv", "text,label\nabc,x\nab,y\nabcdefg,x\nab,x\n,x\n"),
		Text: []string{"text"}, Label: "label"}
	set, s := load(t, c, "train")
	e, err := Encode(t.Context(), newLetters(), s, 5, "")
	if err != nil {
		t.Fatal(err)
	}
	p := set.Task.Profile("train", s, e)
	want := Profile{Split: "train", Examples: 5, Classes: []int{4, 1}, Majority: 0.8, Empty: 1, Doubled: 1, Median: 2,
		Longest: 5, Truncated: 1}
	line := "train: 5 examples; x 4, y 1 (most frequent 80.0 %); tokens: median 2, longest 5, 1 cut"
	if p.String() != line {
		t.Errorf("%s\nwant %s", p, line)
	}
	p.text = ""
	if d := cmp.Diff(want, p, cmp.AllowUnexported(Profile{})); d != "" {
		t.Error(d)
	}
	c.Kind, c.Train = Regression, writeFile(t, "f.csv", "text,label\nabc,3.5\nab,-2\n")
	set, s = load(t, c, "train")
	if e, err = Encode(t.Context(), newLetters(), s, 5, ""); err != nil {
		t.Fatal(err)
	}
	if got, want := set.Task.Profile("dev", s,
		e).String(), "dev: 2 examples; targets from -2 to 3.5; tokens: median 3, longest 3, 0 cut"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
