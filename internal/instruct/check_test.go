package instruct

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
)

// passage has more than gramWords words.
const passage = "The quick brown fox jumps over the lazy dog while seven other foxes watch it from the hill."

// TestCheckOneLine: rows that share a line are named by their numbers alone, and others also by their lines where these
// differ from the numbers.
func TestCheckOneLine(t *testing.T) {
	row, empty := `{"instruction": "Add", "output": "3"}`, `{"instruction": "Say nothing", "output": ""}`
	for content, want := range map[string]string{
		"[" + row + "," + empty + "," + row + "," + empty + "]":         "in row 3, 4|in row 2, 4",
		"[\n" + row + ",\n" + empty + ",\n" + row + ",\n" + empty + "]": "in row 3, 4 (line 4, 5)|in row 2, 4 (line 3, 5)",
		"[" + row + ",\n" + empty + ",\n" + row + ",\n" + empty + "]":   "in row 3, 4|in row 2, 4",
	} {
		f, err := Read(t.Context(), write(t, "x.json", content), Auto)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, found := range NewCheck(f).Findings() {
			_, where, _ := strings.Cut(found.Text, ": 2, ")
			got = append(got, where)
		}
		if joined := strings.Join(got, "|"); joined != want {
			t.Errorf("%s: the findings are %s; want %s", content, joined, want)
		}
		part, _, err := f.SplitNumpy(1, 1)
		if err != nil {
			t.Fatal(err)
		}
		last := part.Rows[len(part.Rows)-1]
		if at := part.Place(last); strings.Contains(at, ", row ") != strings.HasPrefix(content, "["+row+","+empty) {
			t.Errorf("%s: a row is at %s", content, at)
		}
	}
}

// TestCheckResponses: a file of empty responses is refused with the key that has them, and one response is enough.
func TestCheckResponses(t *testing.T) {
	for _, c := range []struct{ empty, full, want string }{
		{`{"instruction": "a", "output": " "}`, `{"instruction": "a", "output": "b"}`, "in output"},
		{`{"prompt": "a", "completion": ""}`, `{"prompt": "a", "completion": "b"}`, "in completion"},
		{`{"text": "\n"}`, `{"text": "b"}`, "in text"},
		{`{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}]}`,
			`{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`,
			"as content of messages of the assistant"},
		{`{"messages": [{"role": "user", "content": "a"}]}`,
			`{"messages": [{"role": "assistant", "tool_calls": [{"name": "f"}]}]}`, "as content of messages of the assistant"},
		{`{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": ""}]}`,
			`{"conversations": [{"from": "gpt", "value": "b"}]}`, "as value of turns from gpt"},
	} {
		f, err := Read(t.Context(), write(t, "x.jsonl", c.empty+"\n"+c.empty), Auto)
		if err != nil {
			t.Fatal(err)
		}
		want := "instruct: read " + f.Path + ": the responses of all 2 rows are empty; want text " + c.want
		if err := f.CheckResponses(); err == nil || err.Error() != want || !place.IsMistake(err) {
			t.Errorf("%v; want %s", err, want)
		}
		if f, err = Read(t.Context(), write(t, "x.jsonl", c.empty+"\n"+c.full), Auto); err != nil {
			t.Fatal(err)
		}
		if err := f.CheckResponses(); err != nil {
			t.Error(err)
		}
	}
}

// TestCheck: each kind of probable mistake is found on its line, and a file without one has no findings.
func TestCheck(t *testing.T) {
	rows := []string{
		`{"instruction": "Add", "input": "1 2", "output": "3"}`,
		`{"instruction": "Add ", "input": "1 2", "output": "3"}`, // a blank does not make a difference
		`{"instruction": "Add", "input": "1 2", "output": "4"}`,
		`{"instruction": "Say nothing", "output": " "}`,
		"{\"instruction\": \"Bad \ufffd\", \"output\": \"x\"}",
		`{"instruction": "Write </s>", "output": "done"}`,
		`{"instruction": "Repeat", "output": "` + strings.ToUpper(passage) + `"}`,
		`{"instruction": "Short", "output": "row"}`,
		`{"instruction": "The cafÃ©", "output": "is small"}`,
		`{"instruction": "He said", "output": "&quot;no&quot;"}`,
		`{"instruction": "Write HTML", "output": "<p>salt &amp; pepper</p>"}`,
	}
	path := write(t, "x.jsonl", strings.Join(rows, "\n"))
	f, err := Read(t.Context(), path, Auto)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCheck(f)
	tok := load(t, "llama")
	opts := Options{Template: TemplateAlpaca, Cutoff: 150, EOS: tok.EOS()}
	if err := c.Encode(t.Context(), tok, f, opts); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.csv":      "question,answer\n\"It says: " + passage + "\",A\n",
		"b.json":     `{"examples": [{"input": "short", "target": "row"}, {"input": "other", "n": 3}]}`,
		"ignored.md": passage,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := NewReference("bench")
	if err := r.AddPath(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	c.Overlaps = append(c.Overlaps, r.Compare(f))
	for _, x := range []struct {
		what  string
		got   Lines
		lines []int
	}{
		{"duplicates", c.Duplicates, []int{2}}, {"conflicts", c.Conflicts, []int{3}}, {"empty", c.Empty, []int{4}},
		{"undecoded", c.Undecoded, []int{5}}, {"special text", c.SpecialText, []int{6}},
		{"misread", c.Misread, []int{9}}, {"HTML", c.HTML, []int{10}},
		{"overlaps", c.Overlaps[0].Rows, []int{7, 8}},
	} {
		if !slices.Equal(x.got.Lines, x.lines) || !slices.Equal(x.got.Rows, x.lines) {
			t.Errorf("%s are on the lines %v; want %v", x.what, x.got.Lines, x.lines)
		}
	}
	if !strings.HasSuffix(c.Overlaps[0].Example, "a.csv:2") {
		t.Errorf("the example is %s", c.Overlaps[0].Example)
	}
	rowsOfLength := 0
	for _, b := range c.Tokens.Lengths {
		rowsOfLength += b.Rows
	}
	if n := c.Tokens; rowsOfLength != 11 || n.CutOff != 1 || n.EOS != 10 || n.Lost == 0 || n.Dropped.Count != 0 {
		t.Errorf("the tokens are %+v", n)
	}
	if got := len(c.Findings()); got != 8 {
		t.Errorf("%d findings: %v", got, c.Findings())
	}
	want := `rows with UTF-8 text that a program read as Latin-1 or Windows-1252, such as "The cafÃ© is small": 1, in row 9`
	if !slices.ContainsFunc(c.Findings(), func(f dataset.Finding) bool { return f.Text == want && f.Count == 1 }) {
		t.Errorf("the findings are %v; want %s among them", c.Findings(), want)
	}
	clean, err := Read(t.Context(), write(t, "y.jsonl", rows[0]), Auto)
	if err != nil {
		t.Fatal(err)
	}
	if got := NewCheck(clean).Findings(); got != nil {
		t.Errorf("a file without a mistake has the findings %v", got)
	}
	for _, bad := range []string{filepath.Join(dir, "nothing"), t.TempDir(), filepath.Join(dir, "ignored.md")} {
		err := NewReference("x").AddPath(t.Context(), bad)
		if err == nil || !strings.Contains(err.Error(), "want a file of") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// FuzzReference looks for a file of texts that panics, or that is refused without its path.
func FuzzReference(f *testing.F) {
	f.Add("a.json", []byte(`{"examples": [{"input": "a b", "n": {"x": "y"}}, ["z"]], "k": 1}`))
	f.Add("a.jsonl", []byte("{\"a\": \"b\"}\n\"text\"\n{\"a\": "))
	f.Add("a.csv", []byte("a,\"b\nc\",d\n\"x"))
	f.Add("a.tsv", []byte("a\t\"b\tc\n"))
	f.Add("a.txt", []byte("one\ntwo"))
	f.Add("a.txt.gz", []byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if !slices.Contains(referenceKinds, kind(name)) || name != filepath.Base(name) ||
			strings.ContainsAny(name, "\x00\n") {
			return
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Skip("the file system does not take the name")
		}
		r := NewReference("x")
		err := r.AddPath(t.Context(), path)
		if err != nil && (!place.IsMistake(err) || !strings.Contains(err.Error(), path) ||
			strings.Contains(err.Error(), "\n")) {
			t.Errorf("error %q; want one line with the path", err)
		}
		for _, at := range r.places {
			if !strings.HasPrefix(at, path) {
				t.Errorf("a text is at %q", at)
			}
		}
	})
}
