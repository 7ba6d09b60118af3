package benchmark

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/place"
)

// FuzzLoad looks for a file of a benchmark that panics, that is refused without its place, or that gives an item which
// cannot be asked or scored.
func FuzzLoad(f *testing.F) {
	f.Add("mmlu", []byte(strings.Repeat("q,a,b,c,d,A\n", 6)))
	f.Add("mmlu", []byte(strings.Repeat("\"q \"\"x\"\"\n\",a,b,c,d,A\r\n", 6)))
	row := `{"input": "a", "target": "b"}`
	f.Add("bbh", []byte(`{"canary": "c", "examples": [`+strings.Repeat(row+", ", 4)+row+"]}"))
	simple := `{"context": "Passage: p\nQuestion: q\nAnswer:", "completion": "x", "ref_text": "y|7"}` + "\n"
	f.Add("drop", []byte(strings.Repeat(simple, 4)))
	answer := `{"number": "", "date": {"day": "1", "month": "May", "year": ""}, "spans": ["s", "t"]}`
	f.Add("drop original", []byte(`{"a": {"passage": "p", "qa_pairs": [{"question": "q", "query_id": "1", "answer": `+
		answer+`, "validated_answers": [`+answer+`]}]}}`))
	f.Add("humaneval", []byte(`{"task_id": "x/1", "prompt": "def f():\n", "entry_point": "f", "test": "def check(g): pass",`+
		` "canonical_solution": "    return 1\n"}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		dir := t.TempDir()
		put := func(name string) string {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		path := dir
		switch name {
		case "mmlu":
			put("dev/anatomy_dev.csv")
			put("test/anatomy_test.csv")
		case "bbh":
			put("mine.json")
		case "drop", "humaneval":
			path = put("x.jsonl")
		default:
			name, path = "drop", put("drop_dataset_dev.json")
		}
		for _, p := range Protocols {
			s, err := Load(name, path, Options{Protocol: p, Shots: -1, Own: true})
			if err != nil {
				if !place.IsMistake(err) || !strings.Contains(err.Error(), dir) || strings.ContainsAny(err.Error(), "\n\x1b") {
					t.Errorf("error %q; want one line with the path", err)
				}
				continue
			}
			if len(s.Items) == 0 {
				t.Error("the benchmark has no questions")
			}
			for _, it := range s.Items {
				prompt := it.Prompt(len(it.Shots))
				if scores := s.Scores(it, Cut(prompt+it.Label, it.Until)); name != "humaneval" && len(scores) == 0 {
					t.Errorf("row %d has no scores", it.Row)
				}
				if name == "humaneval" {
					it.Code.Program(p, prompt)
				}
			}
		}
	})
}
