package dataset

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tagged returns the configuration of a file of sentences.
func tagged(path string, change func(*Config)) Config {
	c := Config{Task: "custom", Train: path, Test: path, Kind: Tokens}
	if change != nil {
		change(&c)
	}
	return c
}

// shown returns sentences as words with their tags.
func shown(t Task, examples []Example) (all []string) {
	for _, x := range examples {
		var words []string
		for i, word := range x.Words {
			tag := "?"
			if x.HasLabel {
				tag = t.Labels[x.Tags[i]]
			}
			words = append(words, word+"/"+tag)
		}
		all = append(all, strings.Join(words, " "))
	}
	return all
}

// TestSentences: each way of writing sentences gives the same words and tags.
func TestSentences(t *testing.T) {
	for _, c := range []struct {
		name, content string
		change        func(*Config)
	}{
		{"blanks.conll", "-DOCSTART- -X- O O\n\nRuth NNP I-NP B-PER\nran VBD I-VP O\n\n\nto TO I-PP O\n" +
			"Bonn NNP I-NP B-LOC\n", nil},
		{"windows.txt", "\ufeffRuth NNP B-PER\r\nran VBD O\r\n\r\nto TO O\r\nBonn NNP B-LOC\r\n\r\n", nil},
		{"tabs.tsv", "Ruth\tB-PER\nran\tO\n \nto\tO\nBonn\tB-LOC", nil},
		{"columns.iob2", "1 Ruth B-PER x\n2 ran O x\n\n1 to O x\n2 Bonn B-LOC x\n",
			func(c *Config) { c.Text, c.Label = []string{"2"}, "3" }},
		{"names.jsonl", `{"tokens":["Ruth","ran"],"tags":["B-PER","O"]}` + "\n\n" +
			`{"tokens":["to","Bonn"],"tags":["O","B-LOC"]}`,
			nil},
		{"hub.jsonl", `{"id":"0","tokens":["Ruth","ran"],"ner_tags":[1,2]}` + "\n" +
			`{"id":"1","tokens":["to","Bonn"],"ner_tags":[2,0]}`,
			func(c *Config) { c.Labels = []string{"B-LOC", "B-PER", "O"} }},
		{"keys.jsonl", `{"w":["Ruth","ran"],"t":["B-PER","O"],"tokens":1}` + "\n" + `{"w":["to","Bonn"],"t":["O","B-LOC"]}`,
			func(c *Config) { c.Text, c.Label = []string{"w"}, "t" }},
	} {
		t.Run("file="+c.name, func(t *testing.T) {
			s, got := load(t, tagged(writeFile(t, c.name, c.content), c.change), "train")
			if s.Task.Kind != Tokens || s.Task.Select != "f1" || strings.Join(s.Task.Labels, " ") != "B-LOC B-PER O" {
				t.Errorf("the task is %+v", s.Task)
			}
			if d := cmp.Diff([]string{"Ruth/B-PER ran/O", "to/O Bonn/B-LOC"}, shown(s.Task, got.Examples)); d != "" {
				t.Error(d)
			}
			same := Task{Kind: Tokens, Labels: []string{"B-PER", "O", "B-LOC"}}
			as := &Split{Examples: []Example{
				{TextA: "Ruth ran", Words: []string{"Ruth", "ran"}, HasLabel: true, Tags: []int32{0, 1}},
				{TextA: "to Bonn", Words: []string{"to", "Bonn"}, HasLabel: true, Tags: []int32{1, 2}},
			}}
			if s.Task.Digest(got) != same.Digest(as) {
				t.Error("the digest depends on the file or the order of the labels")
			}
			as.Examples[1].Tags[1] = 0
			if s.Task.Digest(got) == same.Digest(as) {
				t.Error("another tag has the same digest")
			}
		})
	}
}

// TestSentencesWithoutTags: a test split needs no tags, and labels that are no tags of entities are classes.
func TestSentencesWithoutTags(t *testing.T) {
	for name, content := range map[string]string{
		"bare.conll": "Ruth\nran\n\nto\n", "bare.jsonl": `{"tokens":["Ruth","ran"]}` + "\n" + `{"tokens":["to"],"tags":null}`,
	} {
		s, got := load(t, tagged(writeFile(t, name, content), func(c *Config) {
			c.Train, c.Labels = "", []string{"NOUN", "VERB"}
		}), "test")
		if d := cmp.Diff([]string{"Ruth/? ran/?", "to/?"}, shown(s.Task, got.Examples)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if s.Task.Select != "accuracy" || got.Examples[0].HasLabel {
			t.Errorf("%s: %+v, %+v", name, s.Task, got.Examples[0])
		}
	}
}

// TestSentenceErrors: every fault of a file is one line with its place and what would be right.
func TestSentenceErrors(t *testing.T) {
	label := func(labels ...string) func(*Config) { return func(c *Config) { c.Labels = labels } }
	for _, c := range []struct {
		name, content string
		change        func(*Config)
		want          string
	}{
		{"uneven.conll", "a x O\nb O\n", nil, "uneven.conll:2: the line has 2 columns, and line 1 has 3; want as many in " +
			"every line, and an empty line between sentences"},
		{"joined.conll", "a O\n\nb O\nc\n", nil, "joined.conll:4: the line has 1 column, and line 1 has 2"},
		{"one.conll", "a\n", nil, "one.conll:1: the line has no column after the token; want the tag in the last column, " +
			"or the number of its column in data.label"},
		{"token.conll", "a O\n", func(c *Config) { c.Text = []string{"3"} },
			"token.conll:1: data.text is column 3, and the line has 2 columns; want a column that it has"},
		{"tag.conll", "a O\n", func(c *Config) { c.Label = "3" },
			"tag.conll:1: data.label is column 3, and the line has 2 columns; want a column that it has"},
		{"empty-tag.tsv", "a\tO\nb\t\n", nil, "empty-tag.tsv:2: column 2, the tag, is empty; want a tag for each token"},
		{"empty-token.tsv", "a\tO\n\tO\n", nil, "empty-token.tsv:2: column 1, the token, is empty; want a token"},
		{"set.conll", "a O\nb B-X\n", label("O", "B-x"),
			`set.conll:2: tag "B-X" of token 2, "b", is not in the task's set; want one of "O", "B-x"`},
		{"nothing.conll", "-DOCSTART- O\n\n", nil, "nothing.conll: the file has no sentence with a token; want at least one"},
		{"single.conll", "a O\n", nil, "1 different label"},
		{"length.jsonl", `{"tokens":["a","b"],"tags":["O"]}`, nil,
			`length.jsonl:1: "tags" has 1 entry, and "tokens" has 2 entries; want one tag for each token`},
		{"numbers.jsonl", `{"tokens":["a"],"tags":[0]}`, nil, `numbers.jsonl:1: "tags", entry 1, is the number 0, and the names ` +
			"of the tags are not known; want them in data.labels, in the order of the numbers"},
		{"range.jsonl", `{"tokens":["a"],"tags":[2]}`, label("O", "B-x"),
			`range.jsonl:1: "tags", entry 1, is the number 2, and data.labels has 2 names; want 0 to 1`},
		{"kind.jsonl", `{"tokens":["a"],"tags":[null]}`, nil, `kind.jsonl:1: "tags", entry 1, is null`},
		{"string.jsonl", `{"tokens":"a b","tags":["O"]}`, nil, `string.jsonl:1: "tokens" holds "\"a b\""; want a list of strings`},
		{"null.jsonl", `{"tokens":["a",null],"tags":["O","O"]}`, nil, `null.jsonl:1: "tokens" holds`},
		{"no-tags.jsonl", `{"tokens":["a"]}`, nil, `no-tags.jsonl:1: no key "tags" with the tags; the line has`},
		{"no-tokens.jsonl", `{"tags":["O"]}`, nil, `no-tokens.jsonl:1: no key "tokens" with the tokens; the line has`},
		{"syntax.jsonl", `{"tokens":["a"],`, nil, "syntax.jsonl:1:"},
	} {
		t.Run("file="+c.name, func(t *testing.T) {
			set, err := Open(t.Context(), tagged(writeFile(t, c.name, c.content), c.change), Request{Splits: []string{"train"}})
			if err == nil {
				_, err = set.Load(t.Context(), "train")
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v; want %s", err, c.want)
			}
		})
	}
}

// TestTokensConfig: keys that do not fit token classification are faults.
func TestTokensConfig(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Train = "train.csv" }, `data.train: "train.csv" has extension ".csv"; want .conll, .txt, .tsv or .jsonl`},
		{func(c *Config) { c.Text = []string{"a", "b"} }, `data.text: 2 columns ["a" "b"]; want one with the tokens of a sentence`},
		{func(c *Config) { c.Text = []string{"words"} }, `data.text: "words" is not the number of a column, as "train.conll" needs`},
		{func(c *Config) { c.Label = "0" }, `data.label: "0" is not the number of a column`},
		{func(c *Config) { c.Text, c.Label = []string{"1"}, "1" }, `data.label: "1" has the tokens too; want another column`},
		{func(c *Config) { c.Threshold = 0.4 }, "data.threshold: set, but only data.kind multilabel has a threshold"},
		{func(c *Config) { c.Metric = "matthews" }, `data.metric: "matthews" does not apply to token classification; want ` +
			"accuracy, f1, precision or recall"},
	} {
		found := ""
		for _, err := range tagged("train.conll", func(k *Config) { k.Test = ""; c.change(k) }).Validate() {
			found += err.Error() + "\n"
		}
		if !strings.Contains(found, c.want) {
			t.Errorf("faults %q; want %s", found, c.want)
		}
	}
	if faults := tagged("train.conll", nil).Validate(); faults != nil {
		t.Errorf("a section without faults has %v", faults)
	}
	_, err := Open(t.Context(), tagged(writeFile(t, "pos.conll", "a NOUN\nb VERB\n"), func(c *Config) { c.Metric = "f1" }),
		Request{Splits: []string{"train"}})
	if err == nil || !strings.Contains(err.Error(), "metric: evaluate f1: it compares entities") {
		t.Errorf("f1 of parts of speech: %v", err)
	}
}

// TestSentenceFindings: the profile counts tags, and what is probably a mistake is found with its line.
func TestSentenceFindings(t *testing.T) {
	path := writeFile(t, "train.conll", "a B-x\nb I-y\n\nc I-x\nd I-x\n\na B-x\nb I-y\n")
	s, got := load(t, tagged(path, nil), "train")
	var lines []string
	for _, f := range s.Task.Lint(got) {
		lines = append(lines, strings.TrimPrefix(f.String(), path))
	}
	if d := cmp.Diff([]string{
		":7: 1 of 3 examples repeats the texts of an earlier one",
		":2: 3 of 6 tags continue no entity of their type, such as I-y after B-x; each counts as the beginning of one",
	}, lines); d != "" {
		t.Error(d)
	}
	e := &Encoded{Cu: []int64{0, 4, 8, 12}}
	want := "train: 3 examples; 6 words: B-x 2, I-x 2, I-y 2 (most frequent 33.3 %); tokens: median 4, longest 4, 0 cut"
	if got := s.Task.Profile("train", got, e).String(); got != want {
		t.Errorf("profile %q; want %q", got, want)
	}
	path = writeFile(t, "empty.jsonl", `{"tokens":[],"tags":[]}`+"\n"+`{"tokens":["a","b"],"tags":["O","O"]}`)
	s, got = load(t, tagged(path, func(c *Config) { c.Labels = []string{"O", "B-x"} }), "train")
	found := s.Task.Lint(got)
	if len(got.Examples) != 1 || got.Examples[0].ID != 1 || len(found) != 2 || found[0].Kind != "empty" ||
		found[0].Line != 1 || found[1].Kind != "one_class" {
		t.Errorf("%+v, findings %+v", got.Examples, found)
	}
}

// TestSentencesDivide: a dev split that is a fraction has whole sentences, and none twice.
func TestSentencesDivide(t *testing.T) {
	content := ""
	for i := range 20 {
		content += strings.Repeat("w", i+1) + " O\nx B-x\n\n"
	}
	c := tagged(writeFile(t, "train.conll", content), func(c *Config) { c.Dev, c.Test = "0.2", "" })
	set, err := Open(t.Context(), c, Request{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	train, err := set.Load(t.Context(), "train")
	if err != nil {
		t.Fatal(err)
	}
	dev, err := set.Load(t.Context(), "dev")
	if err != nil || len(dev.Examples) != 4 || len(train.Examples) != 16 || len(Overlap(train, dev)) != 0 {
		t.Errorf("%d train and %d dev sentences, %v", len(train.Examples), len(dev.Examples), err)
	}
}

// TestSentenceRows: texts to predict are sentences of CoNLL, lists of JSONL, or lines, and a bad row does not hold up
// the next one.
func TestSentenceRows(t *testing.T) {
	read := func(in Texts) (all []string, bad []string) {
		in.Path, in.Words = "-", true
		rows, err := OpenRows(context.Background(), in)
		if err != nil {
			return nil, []string{err.Error()}
		}
		for {
			r, err := rows.Next()
			var fault *BadRow
			switch {
			case err == io.EOF:
				return all, bad
			case errors.As(err, &fault):
				bad = append(bad, err.Error())
			case err != nil:
				t.Fatal(err)
			default:
				line := strings.Join(r.Divided(), "|") + "=" + r.TextA
				for _, v := range r.Kept {
					line += "," + v.Text
				}
				all = append(all, line)
			}
		}
	}
	for _, c := range []struct {
		in              Texts
		content         string
		want, wantFault []string
	}{
		{Texts{Format: CoNLL}, "a O\nb O\n\nc\n\nd O\n", []string{"a|b=a b", "d=d"},
			[]string{"dataset: read standard input:4: the line has 1 column, and line 1 has 2; want as many in every line, " +
				"and an empty line between sentences"}},
		{Texts{Format: CoNLL, Text: []string{"2"}}, "1 a\n2 b\n", []string{"a|b=a b"}, nil},
		{Texts{Format: Lines}, "a  b\n\n", []string{"a|b=a  b", "="}, nil},
		{Texts{Format: JSONL, Keep: []string{"k"}}, `{"tokens":["a b","c"],"k":1}` + "\n" + `{"text":"d e","k":"x"}`,
			[]string{"a b|c=a b c,1", "d|e=d e,x"}, nil},
		{Texts{Format: CSV}, "id,text\n1,a b\n", []string{"a|b=a b"}, nil},
		{Texts{Format: CoNLL, Keep: []string{"k"}}, "a O\n", nil, []string{"dataset: open -: the format is conll, whose " +
			"columns have no names; want the number of the column of the words with --text, and neither --id nor --keep"}},
	} {
		c.in.Stdin = strings.NewReader(c.content)
		all, bad := read(c.in)
		if d := cmp.Diff(c.want, all); d != "" {
			t.Errorf("%+v: %s", c.in, d)
		}
		if d := cmp.Diff(c.wantFault, bad); d != "" {
			t.Errorf("%+v: %s", c.in, d)
		}
	}
	_, err := OpenRows(context.Background(), Texts{Path: "-", Format: CoNLL, Text: []string{"text"}})
	if err == nil || !strings.Contains(err.Error(), "the adapter does not tag words; want one of csv, tsv, jsonl, lines") {
		t.Errorf("CoNLL for texts: %v", err)
	}
}
