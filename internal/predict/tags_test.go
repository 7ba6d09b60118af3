package predict

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/train"
)

// tagger is a model that gives words the tag B-N if they begin with a capital letter, I-N if with x, and else O. It has
// no output for a word that begins with a dot.
type tagger struct{ labels []string }

func (m *tagger) Task(int) adapter.Task { return adapter.Task{Labels: m.labels, Kind: adapter.Tokens} }

func (m *tagger) Outputs(_ context.Context, _ string, texts []dataset.Example) ([]train.Outputs, error) {
	out := train.Outputs{Cut: make([]bool, len(texts))}
	for _, x := range texts {
		rows := []int{}
		for _, word := range x.Divided() {
			if word[0] == '.' {
				rows = append(rows, -1)
				continue
			}
			rows = append(rows, len(out.Values)/3)
			logits := []float32{0, 0, 0}
			switch {
			case word[0] == 'x':
				logits[1] = 40
			case strings.ToLower(word) != word:
				logits[0] = 40
			default:
				logits[2] = 40
			}
			out.Values = append(out.Values, logits...)
		}
		out.Words = append(out.Words, rows)
	}
	return []train.Outputs{out}, nil
}

// write returns the output of a job that tags the words of lines.
func write(t *testing.T, lines, format string, labels ...string) string {
	t.Helper()
	j := jobOf(t, dataset.Texts{Path: "-", Stdin: strings.NewReader(lines), Format: dataset.Lines, Words: true},
		&tagger{labels})
	j.Names = []string{""}
	if err := j.Check(format); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := j.Write(context.Background(), &b, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestTags: words have tags, and entities the characters at which they begin and end. A word without an output is
// outside. Labels that mark no entities have no column of entities.
func TestTags(t *testing.T) {
	const lines = "é  Ann xu saw .x 日本 Bo\n\n"
	entities := `[{"type":"N","start":3,"end":9,"text":"Ann xu","score":1},{"type":"N","start":20,"end":22,"text":"Bo",` +
		`"score":1}]`
	for format, want := range map[string]string{
		TSV: "id\ttokens\ttags\tentities\n0\té Ann xu saw .x 日本 Bo\tO B-N I-N O O O B-N\t" + entities + "\n1\t\t\t[]\n",
		JSONL: `{"id":0,"tokens":["é","Ann","xu","saw",".x","日本","Bo"],"tags":["O","B-N","I-N","O","O","O","B-N"],"entities":` +
			entities + "}\n" + `{"id":1,"tokens":[],"tags":[],"entities":[]}` + "\n",
		CoNLL: "é\tO\nAnn\tB-N\nxu\tI-N\nsaw\tO\n.x\tO\n日本\tO\nBo\tB-N\n\n\n",
	} {
		if d := cmp.Diff(want, write(t, lines, format, "B-N", "I-N", "O")); d != "" {
			t.Errorf("%s: %s", format, d)
		}
	}
	want := "id\ttokens\ttags\n0\ta .b\tVERB _\n"
	if d := cmp.Diff(want, write(t, "a .b\n", TSV, "NOUN", "X", "VERB")); d != "" {
		t.Error(d)
	}
}

// TestTagsOfLists: the words of a list are a text with one blank between two of them, whatever they are.
func TestTagsOfLists(t *testing.T) {
	j := jobOf(t, dataset.Texts{Path: "-", Stdin: strings.NewReader(`{"tokens":["New York","a  b","Bo"]}`),
		Format: dataset.JSONL, Words: true}, &tagger{[]string{"B-N", "I-N", "O"}})
	j.Names = []string{""}
	var b bytes.Buffer
	if _, err := j.Write(context.Background(), &b, JSONL); err != nil {
		t.Fatal(err)
	}
	want := `{"id":0,"tokens":["New York","a  b","Bo"],"tags":["B-N","O","B-N"],"entities":[{"type":"N","start":0,"end":8,` +
		`"text":"New York","score":1},{"type":"N","start":14,"end":16,"text":"Bo","score":1}]}` + "\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}

// TestTagsErrors: the format of CoNLL is for adapters that tag words.
func TestTagsErrors(t *testing.T) {
	j := job(t, "text\na\n", &labelled{})
	want := "predict: the output format is conll, which has words and their tags, and an adapter does not tag words; " +
		"want one of tsv, csv, jsonl, parquet"
	if err := j.Check(CoNLL); err == nil || err.Error() != want {
		t.Errorf("error %v; want %s", err, want)
	}
}
