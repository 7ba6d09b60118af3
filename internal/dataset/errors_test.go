package dataset

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// failure opens the data, reads train and returns the first error.
func failure(t *testing.T, c Config) error {
	s, err := Open(t.Context(), c, Request{Splits: []string{"train"}})
	if err != nil {
		return err
	}
	_, err = s.Load(t.Context(), "train")
	return err
}

// TestBadFiles compares the whole message for every bad file; "bad/" stands for
// testdata/bad/.
func TestBadFiles(t *testing.T) {
	custom := func(file string, labels ...string) Config {
		if labels == nil {
			labels = []string{"0", "1"}
		}
		return Config{Task: "custom", Train: "bad/" + file, Text: []string{"text"}, Label: "label", Labels: labels}
	}
	regression := func(file string) Config {
		return Config{Task: "custom", Train: "bad/" + file, Text: []string{"text"}, Label: "label", Kind: Regression}
	}
	derived := func(file string) Config {
		return Config{Task: "custom", Train: "bad/" + file, Text: []string{"text"}, Label: "label"}
	}
	glue := func(task, dir string) Config { return Config{Task: task, Dir: "bad/" + dir} }
	for _, c := range []struct {
		config Config
		want   string
	}{
		{custom("columns.tsv"), `dataset: read bad/columns.tsv:3: 3 columns; want 2 separated by tabs`},
		{custom("columns.csv"), `dataset: read bad/columns.csv:4: 3 columns; want 2 separated by commas`},
		{custom("label.tsv", "negative", "positive"),
			`dataset: read bad/label.tsv:3: label "postive" is not in the task's set; want one of "negative", "positive" (nearest "positive")`},
		{custom("unlabelled.tsv"),
			`dataset: read bad/unlabelled.tsv:3: example without label; want a label on every example used to train or evaluate`},
		{custom("empty.tsv"), `dataset: read bad/empty.tsv: file is empty; want at least one example`},
		{custom("empty.csv"), `dataset: read bad/empty.csv: file is empty; want at least one example`},
		{custom("empty.jsonl"), `dataset: read bad/empty.jsonl: file is empty; want at least one example`},
		{custom("header.tsv"), `dataset: read bad/header.tsv: it has a header and no example; want at least one example`},
		{custom("header.csv"), `dataset: read bad/header.csv: it has a header and no example; want at least one example`},
		{custom("latin1.tsv"), `dataset: read bad/latin1.tsv:3:4: byte 0xe9 is not UTF-8; want a file encoded as UTF-8`},
		{custom("latin1.csv"), `dataset: read bad/latin1.csv:4: byte 0xe9 is not UTF-8; want a file encoded as UTF-8`},
		{custom("latin1_after_runes.jsonl"),
			`dataset: read bad/latin1_after_runes.jsonl:1:12: byte 0xe9 is not UTF-8; want a file encoded as UTF-8`},
		{custom("latin1.jsonl"), `dataset: read bad/latin1.jsonl:1:13: byte 0xe9 is not UTF-8; want a file encoded as UTF-8`},
		{custom("missing_column.tsv"),
			`dataset: read bad/missing_column.tsv:1: no column "text"; the file has "txt", "label" (nearest "txt")`},
		{custom("missing_label.csv"),
			`dataset: read bad/missing_label.csv:1: no column "label"; the file has "text", "lable" (nearest "lable")`},
		{custom("twice.csv"),
			`dataset: read bad/twice.csv:1: column "text" occurs more than once; want one column of that name`},
		{custom("quote.csv"),
			`dataset: read bad/quote.csv:3:1: the quote that opens here is never closed; want quotes inside a field doubled`},
		{custom("bare_quote.csv"),
			`dataset: read bad/bare_quote.csv:2:5: a quote inside a field that does not begin with one; want the field in quotes and quotes inside it doubled`},
		{custom("syntax.jsonl"),
			`dataset: read bad/syntax.jsonl:2:13: "\"" stands where a comma or "}" must be; want one JSON object per line`},
		{custom("runes.jsonl"),
			`dataset: read bad/runes.jsonl:1:14: "\"" stands where a comma or "}" must be; want one JSON object per line`},
		{custom("cut.jsonl"),
			`dataset: read bad/cut.jsonl:1:20: the text ends before its JSON value is complete; want one JSON object per line`},
		{custom("array.jsonl"), `dataset: read bad/array.jsonl:1: the line is a JSON array; want one JSON object per line`},
		{custom("null.jsonl"), `dataset: read bad/null.jsonl:1: the line is a JSON null; want one JSON object per line`},
		{custom("key.jsonl"), `dataset: read bad/key.jsonl:2: no key "text"; the line has "label", "txt" (nearest "txt")`},
		{custom("label_key.jsonl"),
			`dataset: read bad/label_key.jsonl:1: no key "label"; the line has "lable", "text" (nearest "lable")`},
		{custom("label_null.jsonl"),
			`dataset: read bad/label_null.jsonl:1: example without label; want a label on every example used to train or evaluate`},
		{custom("label_list.jsonl"), `dataset: read bad/label_list.jsonl:1: label is [1,2]; want a string, number or bool, or data.kind: multilabel for a list`},
		{custom("text_number.jsonl"), `dataset: read bad/text_number.jsonl:1: "text" holds 12; want a string`},
		{custom("text_null.jsonl"), `dataset: read bad/text_null.jsonl:1: "text" holds null; want a string`},
		{custom("nowhere.csv"), `dataset: data.train: no file "bad/nowhere.csv"; want a .csv, .tsv or .jsonl file`},
		{derived("one_class.tsv"),
			`dataset: read labels of bad/one_class.tsv: 1 different label (1); want at least two, or the whole list in data.labels`},
		{derived("many_classes.tsv"),
			`dataset: read labels of bad/many_classes.tsv: 1001 different labels; want at most 1000, the list in data.labels, or data.kind: regression`},
		{regression("score.tsv"),
			`dataset: read bad/score.tsv:3: score "high" is not a number; want a number from -1e+18 to 1e+18`},
		{regression("score_nan.tsv"),
			`dataset: read bad/score_nan.tsv:2: score "NaN" is not a number; want a number from -1e+18 to 1e+18`},
		{regression("score_huge.tsv"),
			`dataset: read bad/score_huge.tsv:2: score 1e39 is out of range; want a number from -1e+18 to 1e+18`},
		{glue("stsb", "stsb_range"),
			`dataset: read bad/stsb_range/STS-B/train.tsv:3: score 5.200 is out of range; want a number from 0 to 5`},
		{glue("stsb", "stsb_word"),
			`dataset: read bad/stsb_word/train.tsv:2: score "high" is not a number; want a number from 0 to 5`},
		{glue("rte", "rte_label"),
			`dataset: read bad/rte_label/train.tsv:3: label "entailed" is not in the task's set; want one of "entailment", "not_entailment" (nearest "entailment")`},
		{glue("rte", "rte_header"),
			`dataset: read bad/rte_header/train.tsv:1: no column "sentence1"; the file has "0", "A.", "B.", "entailment"`},
		{glue("cola", "cola_empty"), `dataset: read bad/cola_empty/train.tsv: file is empty; want at least one example`},
		{glue("cola", "cola_columns"), `dataset: read bad/cola_columns/train.tsv:2: 3 columns; want 4 separated by tabs`},
		{glue("qqp", "qqp_broken"),
			`dataset: read bad/qqp_broken/train.tsv: 1 row, all of them malformed; want 6 columns separated by tabs`},
		{glue("mnli", "nowhere"),
			`dataset: open mnli: no data files; looked for train.tsv and train-*.parquet and the other splits in bad/nowhere, bad/nowhere/MNLI, bad/nowhere/mnli`},
		{glue("sst2", "hub_label"),
			`dataset: read bad/hub_label/train-00000-of-00001.parquet: row 2: label 2 is not in the task's set; want an index into ["0" "1"]`},
		{glue("sst2", "hub_type"),
			`dataset: read bad/hub_type/train-00000-of-00001.parquet: row 1: label is yes of type BYTE_ARRAY; want a number`},
		{glue("sst2", "hub_unlabelled"),
			`dataset: read bad/hub_unlabelled/train-00000-of-00001.parquet: row 3: example without label; want a label on every example used to train or evaluate`},
		{glue("sst2", "hub_null"),
			`dataset: read bad/hub_null/train-00000-of-00001.parquet: row 2: column "sentence" holds "<null>"; want a string`},
		{glue("sst2", "hub_column"),
			`dataset: read bad/hub_column/train-00000-of-00001.parquet: no column "sentence"; the file has "sentences", "label" (nearest "sentences")`},
		{glue("sst2", "hub_rows"),
			`dataset: read bad/hub_rows/train-00000-of-00001.parquet: it has a header and no example; want at least one example`},
		{glue("sst2", "hub_shards"), `dataset: open bad/hub_shards: 1 of 2 files train-*.parquet; want all of them`},
		{glue("sst2", "hub_latin1"),
			`dataset: read bad/hub_latin1/train-00000-of-00001.parquet: row 1: column "sentence" is not UTF-8; want text encoded as UTF-8`},
		{glue("sst2", "hub_damaged"),
			`dataset: read bad/hub_damaged/train-00000-of-00001.parquet: the footer says that it is longer than the file; want a parquet file`},
		{glue("sst2", "hub_one_text"),
			`dataset: read bad/hub_one_text/train-00000-of-00001.parquet: row 1: column "sentence" has a text of 2097152 bytes; want at most 1048576`},
		{glue("sst2", "hub_repeated"),
			`dataset: read bad/hub_repeated/train-00000-of-00001.parquet: row 66: the 803 bytes of the file decode to more than 67160256 bytes: want a file that decodes to less`},
		{glue("sst2", "hub_many_rows"),
			`dataset: read bad/hub_many_rows/train-00000-of-00001.parquet: 3000000 rows in 14079 bytes; want a file that decodes to less`},
		{glue("stsb", "hub_score"),
			`dataset: read bad/hub_score/train-00000-of-00001.parquet: row 1: score 5.5 is out of range; want a number from 0 to 5`},
		{glue("mnli", "hub_names"),
			`dataset: read bad/hub_names/train-00000-of-00001.parquet: classes are ["contradiction" "entailment" "neutral"] in the file; want ["entailment" "neutral" "contradiction"] in this order`},
	} {
		file := strings.TrimPrefix(c.config.Dir+c.config.Train, "bad/")
		t.Run("file="+file, func(t *testing.T) {
			c.config.Train = strings.Replace(c.config.Train, "bad/", "testdata/bad/", 1)
			c.config.Dir = strings.Replace(c.config.Dir, "bad/", "testdata/bad/", 1)
			err := failure(t, c.config)
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.ReplaceAll(err.Error(), "testdata/bad/", "bad/"); got != c.want {
				t.Errorf("error %s\nwant  %s", got, c.want)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	s, err := Open(t.Context(), Config{Task: "rte", Dir: "testdata/bad/rte_label"}, Request{Splits: []string{"train"}})
	if err != nil {
		t.Fatal(err)
	}
	for split, want := range map[string]string{
		"tset":           `dataset: load rte: no split "tset"; want one of "train", "dev", "test" (nearest "test")`,
		"dev_mismatched": `dataset: load rte: no split "dev_mismatched"; want one of "train", "dev", "test"`,
		"dev":            `dataset: load rte: no file for split "dev" in testdata/bad/rte_label; found ["train"]`,
	} {
		if _, err := s.Load(t.Context(), split); err == nil || err.Error() != want {
			t.Errorf("%s: error %v\nwant %s", split, err, want)
		}
	}
	c := Config{Task: "custom", Train: "testdata/custom/bools.jsonl", Text: []string{"t"}, Label: "y", Metric: "f1",
		Labels: []string{"false", "true", "maybe"}}
	want := "dataset: data.metric: metric: evaluate f1: it is defined for two classes here, and the model has 3; want " +
		"f1_macro, accuracy or matthews"
	if _, err := Open(t.Context(), c, Request{Splits: []string{"train"}}); err == nil || err.Error() != want {
		t.Errorf("error %v\nwant %s", err, want)
	}
}

// TestVanishedFiles: a file may be removed between Open and Load.
func TestVanishedFiles(t *testing.T) {
	for _, c := range []struct{ file, from, task, want string }{
		{"train.tsv", "testdata/glue/RTE/train.tsv", "rte", "dataset: open DIR/train.tsv: no such file or directory"},
		{"train-00000-of-00001.parquet", "testdata/hub/rte/train-00000-of-00001.parquet", "rte",
			"dataset: open DIR/train-00000-of-00001.parquet: no such file or directory"},
		{"mine.tsv", "testdata/custom/dev.tsv", "custom", "dataset: open DIR/mine.tsv: no such file or directory"},
	} {
		t.Run("file="+c.file, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, c.file)
			raw, err := os.ReadFile(c.from)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			config := Config{Task: c.task, Dir: dir}
			if c.task == customTask {
				config = Config{Task: c.task, Train: path, Labels: []string{"bad", "fair", "good"}, Text: []string{"body"},
					Label: "class"}
			}
			s, err := Open(t.Context(), config, Request{Splits: []string{"train"}})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			_, err = s.Load(t.Context(), "train")
			if err == nil || !errors.Is(err, fs.ErrNotExist) || strings.ReplaceAll(err.Error(), dir, "DIR") != c.want {
				t.Errorf("error %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestReadErrors: the disk fails in the middle of a file.
func TestReadErrors(t *testing.T) {
	l := layout{text: []string{"text"}, label: "label", needLabel: true}
	broken := func(s string) io.Reader {
		return io.MultiReader(strings.NewReader(s), iotest.ErrReader(errors.New("disk gone")))
	}
	const want = "dataset: read f: disk gone"
	for name, read := range map[string]func() error{
		"tsv":   func() error { _, err := readTSV("f", broken("text\tlabel\na\t1\nb"), l); return err },
		"csv":   func() error { _, err := readCSV("f", broken("text,label\na,1\nb"), l); return err },
		"jsonl": func() error { _, err := readJSONL("f", broken(`{"text":"a","label":1}`+"\n{"), l); return err },
	} {
		if err := read(); err == nil || err.Error() != want {
			t.Errorf("%s: error %v; want %s", name, err, want)
		}
	}
}

// TestDamagedParquet: damage anywhere in a parquet file gives an error or data,
// never a panic. Each byte is inverted in turn.
func TestDamagedParquet(t *testing.T) {
	raw, err := os.ReadFile("testdata/hub/mnli/train-00000-of-00001.parquet")
	if err != nil {
		t.Fatal(err)
	}
	g, _ := glueByName("mnli")
	path := filepath.Join(t.TempDir(), "train.parquet")
	refused := 0
	for i := range raw {
		damaged := bytes.Clone(raw)
		damaged[i] ^= 0xff
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := g.readShard(t.Context(), path, true); err != nil {
			refused++
			if !strings.HasPrefix(err.Error(), "dataset: read "+path) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
	if refused < len(raw)/10 {
		t.Errorf("%d of %d damaged files refused", refused, len(raw))
	}
}

func TestLongListOfNames(t *testing.T) {
	var names []string
	for i := range 25 {
		names = append(names, string(rune('a'+i)))
	}
	got := oneOf("zzz", names)
	if !strings.HasSuffix(got, `"t", ... (25 in all)`) {
		t.Error(got)
	}
}
