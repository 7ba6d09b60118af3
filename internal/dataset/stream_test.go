package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stored writes a file and returns its path.
func stored(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll returns what Next returns until the end, one line per call.
func readAll(t *testing.T, in Texts) (lines []string, notes []Finding) {
	t.Helper()
	r, err := OpenRows(context.Background(), in)
	if err != nil {
		return []string{"open: " + strings.ReplaceAll(err.Error(), in.Path, "F")}, nil
	}
	defer r.Close()
	for {
		row, err := r.Next()
		var bad *BadRow
		switch {
		case err == io.EOF:
			return lines, r.Findings()
		case errors.As(err, &bad):
			lines = append(lines, fmt.Sprintf("%d bad: %v", row.ID, err))
		case err != nil:
			return append(lines, "end: "+strings.ReplaceAll(err.Error(), in.Path, "F")), r.Findings()
		default:
			line := fmt.Sprintf("%d:%d %q", row.ID, row.Line, row.TextA)
			if row.TextB != nil {
				line += fmt.Sprintf(" %q", *row.TextB)
			}
			for _, v := range row.Kept {
				line += fmt.Sprintf(" %s=%v", v.Text, v.JSON)
			}
			lines = append(lines, strings.ReplaceAll(line, in.Path, "F"))
		}
	}
}

// TestRows reads each format, by its extension, from a stream, and with rows that cannot be read.
func TestRows(t *testing.T) {
	one, two := []string{"text"}, []string{"a", "b"}
	for name, c := range map[string]struct {
		file, content string
		text, keep    []string
		want          []string
	}{
		"csv": {"x.csv", "\ufeffid,text,y\r\n7,\"a, \"\"b\"\"\nc\",0\r\n\r\n8,d,1\n", one, []string{"y", "id"},
			[]string{`0:2 "a, \"b\"\nc" 0=false 7=false`, `1:5 "d" 1=false 8=false`}},
		"csv-bad": {"x.csv",
			"text,y\na,1\nb\nc,2,3\nd\xff,\"4\n4\"\ne,4\nf\"g,5\nh,6\n\"i\"j,\"7\nk,8\nl\x00,9\nm,10\n", one, nil,
			[]string{`0:2 "a"`, "1 bad: dataset: read F:3: 1 column; want 2 separated by commas",
				"2 bad: dataset: read F:4: 3 columns; want 2 separated by commas",
				"3 bad: dataset: read F:5: byte 0xff is not UTF-8; want a file encoded as UTF-8", `4:7 "e"`,
				"5 bad: dataset: read F:8:2: a quote inside a field that does not begin with one; want the field in quotes and " +
					"quotes inside it doubled", `6:9 "h"`,
				"7 bad: dataset: read F:10:4: text follows the quote that closes a field, which opened on line 10; want quotes " +
					"inside a field doubled", `8:11 "k"`, "9 bad: dataset: read F:12:1: a NUL byte; want text", `10:13 "m"`}},
		"csv-open": {"x.csv", "text\na\n\"b\nc\n", one, nil, []string{`0:2 "a"`,
			"end: dataset: read F:3:1: the quote that opens here is never closed; want quotes inside a field doubled"}},
		"csv-column": {"x.csv", "txt\na\n", one, nil, []string{`open: dataset: read F:1: no column "text"; the file has "txt"`}},
		"csv-keep":   {"x.csv", "text\na\n", one, []string{"id"}, []string{`open: dataset: read F:1: no column "id"; the file has "text"`}},
		"csv-index":  {"x.csv", ",text\n0,a\n", one, nil, []string{`0:2 "a"`}},
		"csv-empty":  {"x.csv", "", one, nil, []string{"open: dataset: read F: file is empty; want at least one example"}},
		"tsv":        {"x.tsv", "a\tb\nx\t\"y\"\n\nz\t\n", two, nil, []string{`0:2 "x" "\"y\""`, `1:4 "z" ""`}},
		"tsv-quoted": {"x.tsv", "text\tk\n\"say \"\"x\"\"\"\t1\n\"plain\"\t2\n", one, []string{"k"},
			[]string{`0:2 "say \"x\"" 1=false`, `1:3 "plain" 2=false`}},
		"tsv-bad": {"x.tsv", "text\tk\na\nb\t1\nc\t\xff\nd\t2", one, nil,
			[]string{"0 bad: dataset: read F:2: 1 column; want 2 separated by tabs", `1:3 "b"`,
				"2 bad: dataset: read F:4:3: byte 0xff is not UTF-8; want a file encoded as UTF-8", `3:5 "d"`}},
		"jsonl": {"x.jsonl", `{"text":"a","k":1.50,"l":"s"}` + "\n \n" + `{"l":null,"k":{"m": [1]},"text":"b"}` + "\n", one,
			[]string{"k", "l"}, []string{`0:1 "a" 1.50=true s=false`, `1:3 "b" {"m":[1]}=true null=true`}},
		"jsonl-bad": {"x.jsonl", "{\"text\":\"a\"}\n{\"text\":1}\n{\"txt\":\"b\"}\n[]\n{\n{\"text\":\"c\"}\n", one, nil,
			[]string{`0:1 "a"`, `1 bad: dataset: read F:2: "text" holds 1; want a string`,
				`2 bad: dataset: read F:3: no key "text"; the line has "txt"`,
				"3 bad: dataset: read F:4: the line is a JSON array; want one JSON object per line",
				"4 bad: dataset: read F:5:1: the text ends before its JSON value is complete; want one JSON object per line",
				`5:6 "c"`}},
		"lines": {"x.txt", "\ufeffa\tb\r\n\n c \nd", one, []string{"text"},
			[]string{"0:1 \"a\\tb\" a\tb=false", `1:2 "" =false`, "2:3 \" c \"  c =false", `3:4 "d" d=false`}},
		"lines-pairs": {"x.txt", "a\tb\tc\nd\n\te\n", two, nil,
			[]string{`0:1 "a" "b\tc"`,
				"1 bad: dataset: read F:2: there is no tab; want the two texts of a pair with a tab between",
				`2:3 "" "e"`}},
		"lines-keep": {"x.txt", "a\n", one, []string{"id"},
			[]string{`open: dataset: open F: no column "id"; lines have "text"`}},
		"lines-bad": {"x.txt", "a\n\xffb\n\x00\nc\n", one, nil,
			[]string{`0:1 "a"`, "1 bad: dataset: read F:2:1: byte 0xff is not UTF-8; want a file encoded as UTF-8",
				"2 bad: dataset: read F:3:1: a NUL byte; want text", `3:4 "c"`}},
		"lines-long": {"x.txt",
			"a\n" + strings.Repeat("b", maxLine+3) + "\n" + strings.Repeat("c", maxText+1) + "\nd\n", one, nil,
			[]string{`0:1 "a"`, "1 bad: dataset: read F:2: a line of more than 4 MiB; want one example per line",
				"2 bad: dataset: read F:3: a text of 1048577 bytes; want at most 1048576", `3:4 "d"`}},
		"extension": {"x.docx", "a", one, nil,
			[]string{`open: dataset: open F: the extension is ".docx"; want .csv, .tsv, .jsonl or .txt, or the format by ` +
				`name, one of csv, tsv, jsonl, lines, conll`}},
		"gzip": {"x.csv", "\x1f\x8b\x08", one, nil,
			[]string{"open: dataset: read F: it is gzip data; want a text file in UTF-8"}},
	} {
		t.Run("case="+name, func(t *testing.T) {
			path := stored(t, c.file, c.content)
			got, _ := readAll(t, Texts{Path: path, Text: c.text, Keep: c.keep})
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], path, "F")
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			// A stream gives the same rows. Its kind is named, and it cannot be read twice for its quotes.
			if c.file == "x.docx" || name == "tsv-quoted" || name == "gzip" {
				return
			}
			format := map[string]string{".csv": CSV, ".tsv": TSV, ".jsonl": JSONL, ".txt": Lines}[filepath.Ext(c.file)]
			stream, _ := readAll(t, Texts{Path: "-", Stdin: strings.NewReader(c.content), Format: format, Text: c.text,
				Keep: c.keep})
			for i := range stream {
				stream[i] = strings.NewReplacer("read standard input", "read F", "open -", "open F").Replace(stream[i])
			}
			if d := cmp.Diff(c.want, stream); d != "" {
				t.Errorf("as a stream: %s", d)
			}
		})
	}
}

// TestRowsAreThoseOfTraining: the readers of predictions and of training read the same texts.
func TestRowsAreThoseOfTraining(t *testing.T) {
	for path, text := range map[string][]string{"testdata/custom/train.csv": {"title", "body"},
		"testdata/custom/dev.tsv": {"body"}, "testdata/custom/test.jsonl": {"title", "body"}} {
		s, err := Open(t.Context(), Config{Task: "custom", Test: path, Text: text, Label: "class", Labels: []string{"bad",
			"fair", "good"}}, Request{Splits: []string{"test"}})
		if err != nil {
			t.Fatal(err)
		}
		want, err := s.Load(t.Context(), "test")
		if err != nil {
			t.Fatal(err)
		}
		r, err := OpenRows(t.Context(), Texts{Path: path, Text: text})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range want.Examples {
			x.Label, x.HasLabel = 0, false
			row, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(x, row.Example); d != "" {
				t.Errorf("%s: %s", path, d)
			}
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%s: more rows: %v", path, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestStreamQuotes: in a stream of TSV, quotes are removed if the header has them, and otherwise kept and reported.
func TestStreamQuotes(t *testing.T) {
	read := func(s string) ([]string, []Finding) {
		t.Helper()
		return readAll(t, Texts{Path: "-", Stdin: strings.NewReader(s), Format: TSV, Text: []string{"text"}})
	}
	got, notes := read("\"text\"\n\"a \"\"b\"\"\"\n\"c\" d\n")
	want := []string{`0:2 "a \"b\""`, "end: dataset: read standard input:3: the names of the columns are in quotes, " +
		"but this field has a quote that is neither around the whole field nor doubled; want quotes around the whole field " +
		"and doubled inside, or no quotes"}
	if d := cmp.Diff(want, got); d != "" || notes != nil {
		t.Error(d, notes)
	}
	got, notes = read("text\n\"a \"\"b\"\"\"\n\"c\"\n")
	if d := cmp.Diff([]string{`0:2 "\"a \"\"b\"\"\""`, `1:3 "\"c\""`}, got); d != "" {
		t.Error(d)
	}
	if len(notes) != 1 || !strings.Contains(notes[0].String(),
		"standard input:2: quotes around a whole field, 2 times, were kept") {
		t.Errorf("findings %v", notes)
	}
}

// TestEndlessLine: the end of a line that is far too long is not looked for.
func TestEndlessLine(t *testing.T) {
	got, _ := readAll(t, Texts{Path: "-", Stdin: endlessLine{}, Text: []string{"text"}})
	if len(got) != 1 || !strings.Contains(got[0], "end: dataset: read standard input: a line of more than 256 MiB") {
		t.Errorf("%.300q", got)
	}
}

// endlessLine is a line without an end.
type endlessLine struct{}

func (endlessLine) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}
