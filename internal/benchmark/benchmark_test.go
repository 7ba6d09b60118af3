package benchmark

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/place"
)

// TestPrompts compares prompts with 165 that were written from the source of
// the two harnesses.
func TestPrompts(t *testing.T) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		t.Skip("LOR2C_SHARED is not set; it names a folder with data/eval and design/decoder")
	}
	data, err := os.ReadFile(filepath.Join(shared, "design", "decoder", "benchmark_prompts.json"))
	if err != nil {
		t.Fatal(err)
	}
	type wanted struct {
		Protocol, Subject, Task, Prompt, Label string
		TaskID                                 string `json:"task_id"`
		Row, Shots                             int
		Continuations, Until                   []string
	}
	var want map[string][]wanted
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	eval := filepath.Join(shared, "data", "eval")
	counts := map[string]map[Protocol]int{
		"mmlu": {InstructEval: 14042, LMEval: 14042}, "bbh": {InstructEval: 6430, LMEval: 6511},
		"drop":      {InstructEval: 5928, LMEval: 9536},
		"humaneval": {InstructEval: 164, LMEval: 164},
	}
	compared := 0
	for task, list := range want {
		for _, p := range []Protocol{InstructEval, LMEval} {
			s, err := Load(task, eval, Options{Protocol: p, Shots: -1})
			if err != nil {
				t.Fatal(err)
			}
			items := s.Items
			if len(items) != counts[task][p] {
				t.Errorf("%s@%s: %d items, want %d", task, p, len(items), counts[task][p])
			}
			type place struct {
				task string
				row  int
			}
			at := map[place]Item{}
			for _, it := range items {
				at[place{it.Task, it.Row}] = it
			}
			for _, w := range list {
				if !strings.HasPrefix(w.Protocol, string(p)) {
					continue
				}
				key := place{w.Subject + w.Task, w.Row}
				switch task {
				case "drop":
					key.task = "drop"
				case "humaneval":
					key = place{w.TaskID, 0}
					for k := range at {
						if k.task == w.TaskID {
							key = k
						}
					}
				}
				it, ok := at[key]
				if !ok {
					t.Errorf("%s@%s: no item %v", task, p, key)
					continue
				}
				compared++
				if got := it.Prompt(w.Shots); got != w.Prompt {
					t.Errorf("%s@%s %v:\n got %q\nwant %q", task, p, key, got, w.Prompt)
				}
				if w.Label != "" && it.Label != w.Label || strings.Join(w.Continuations, "|") != strings.Join(it.Choices, "|") ||
					w.Until != nil && strings.Join(w.Until, "|") != strings.Join(it.Until, "|") {
					t.Errorf("%s@%s %v: %+v", task, p, key, it)
				}
			}
		}
	}
	if compared != 165 {
		t.Errorf("%d prompts compared; want 165", compared)
	}
}

// TestFit drops examples from the end until the prompt fits.
func TestFit(t *testing.T) {
	it := Item{Head: "h", Shots: []string{"11", "22", "33"}, Question: "q"}
	count := func(s string) int { return len(s) }
	for limit, want := range map[int]string{9: "h112233q", 8: "h112233q", 7: "h1122q", 5: "h11q", 3: "hq", 0: "hq"} {
		if got, k := it.Fit(count, limit); got != want || k != (len(want)-2)/2 {
			t.Errorf("limit %d: %q with %d examples", limit, got, k)
		}
	}
}

// TestScores checks the rules in borderline cases.
func TestScores(t *testing.T) {
	for _, c := range []struct {
		answer, label string
		want          bool
	}{{" A", "A", true}, {"\n10", "1", true}, {"1", "10", false}, {"", "", true}, {"(A) because", "(A)", true}, {"a",
		"A", false}} {
		if Begins(c.answer, c.label) != c.want {
			t.Errorf("Begins(%q, %q)", c.answer, c.label)
		}
	}
	it := Item{Choices: []string{" A", " B", " C", " D"}}
	if got := Likeliest(it, []float64{-2, -1, -1, -3}); got != "B" {
		t.Errorf("the likeliest is %s", got)
	}
	if got := Cut("True\n\nQ: next", []string{"</s>", "Q", "\n\n"}); got != "True" {
		t.Errorf("%q", got)
	}
	for _, c := range []struct {
		n, c, k int
		want    float64
	}{{10, 3, 1, 0.3}, {10, 3, 5, 0.916667}, {10, 8, 3, 1}, {5, 0, 1, 0}} {
		if got := PassAtK(c.n, c.c, c.k); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("pass@%d of %d and %d: %v", c.k, c.n, c.c, got)
		}
	}
}

// TestCSV keeps CR LF inside quotes.
func TestCSV(t *testing.T) {
	rows, err := csvRows("a,\"b\r\n\"\"c\"\"\",d\r\n\n1,2\"x,3")
	if err != nil || len(rows) != 2 || strings.Join(rows[0], "|") != "a|b\r\n\"c\"|d" || strings.Join(rows[1],
		"|") != "1|2\"x|3" {
		t.Errorf("%q, %v", rows, err)
	}
	if _, err := csvRows("a,\"b"); err == nil || !strings.Contains(err.Error(), "row 1 has a quote that is never closed") {
		t.Errorf("error %v", err)
	}
}

// TestBrackets: brackets in the name of a folder are no pattern.
func TestBrackets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "eval [v1]", "bbh [x")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	rows := `{"examples": [` + strings.Repeat(`{"input": "a", "target": "b"}, `, 4) + `{"input": "c", "target": "d"}]}`
	if err := os.WriteFile(filepath.Join(dir, "mine.json"), []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load("bbh", dir, Options{Protocol: InstructEval, Shots: -1, Own: true})
	if err != nil || len(s.Items) != 2 || s.Items[0].Task != "mine" {
		t.Errorf("%+v, %v; want the two rows that are not examples", s, err)
	}
	for _, sub := range []string{"dev", "test"} {
		path := filepath.Join(dir, sub, "anatomy_"+sub+".csv")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Repeat("q,a,b,c,d,A\n", 5)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := Load("mmlu", dir, Options{Protocol: LMEval, Shots: -1, Own: true}); err != nil || len(s.Items) != 5 {
		t.Errorf("%+v, %v; want five questions", s, err)
	}
}

// TestErrors: a missing, incomplete or other file is refused with its place.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.jsonl")
	put := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(name, path string, o Options, want string) {
		t.Helper()
		_, err := Load(name, path, o)
		if err == nil || !strings.Contains(err.Error(), want) || !place.IsMistake(err) {
			t.Errorf("error %v\nwant %s", err, want)
		}
	}
	paper, lm := Options{Protocol: InstructEval, Shots: -1}, Options{Protocol: LMEval, Shots: -1}
	own := Options{Protocol: InstructEval, Shots: -1, Own: true}
	expect("mmul", dir, paper, `"mmul": there is no such benchmark; want mmlu, bbh, drop or humaneval (nearest mmlu)`)
	expect("mmlu", dir, Options{Protocol: "lm_eval"},
		`protocol "lm_eval": unknown; want instruct-eval or lm-eval (nearest lm-eval)`)
	expect("mmlu", dir, Options{Protocol: LMEval, Shots: 6}, "6 examples are wanted; lm-eval has at most 5")
	expect("mmlu", filepath.Join(dir, "no"), paper, "no: there is no such file or folder; want the folder of the released")
	expect("mmlu", dir, paper, "it has no mmlu files; want the folder of the released data with dev and test")
	put(filepath.Join(dir, "test", "anatomy_test.csv"), "q,a,b,c,d,A\n")
	expect("mmlu", dir, paper, "_test.csv; want all 57 subjects of the release, or add --own-data")
	expect("mmlu", dir, own, "no file "+filepath.Join(dir, "dev", "anatomy_dev.csv"))
	put(filepath.Join(dir, "dev", "anatomy_dev.csv"), "q,a,b,c,d,A\n")
	expect("mmlu", dir, own, "anatomy_dev.csv: it has 1 row; want at least 5 for the examples")
	put(filepath.Join(dir, "dev", "anatomy_dev.csv"), strings.Repeat("q,a,b,c,d,A\n", 5)+"q,a,b,c,d,E\n")
	expect("mmlu", dir, own, `row 6 has the answer "E"; want A, B, C or D`)
	expect("bbh", dir, lm, "it has no bbh files")
	put(filepath.Join(dir, "bbh", "mine.json"), `{"examples": [{"input": "a", "target": "b"}]}`)
	expect("bbh", dir, lm, "has 1 file *.json; want the 27 tasks of BIG-Bench-Hard, or add --own-data to ask")
	expect("bbh", dir, own, "it has 1 example; want at least 4")
	expect("drop", file, lm, "there is no such file or folder; want drop_dataset_dev.json or drop_v0_dev.jsonl.gz")
	put(file, "{\"context\": \"x\", \"ref_text\": \"y\"}\n")
	expect("drop", file, lm, "x.jsonl:1: the row is not of the form of simple-evals")
	put(file, "{\"context\": \"Passage: p\\nQuestion: q\\nAnswer:\", \"ref_text\": \"y\"}\n")
	expect("drop", file, paper, "x.jsonl: row 1 is not that of the released file; fetch the file again, or add --own-data")
	expect("drop", file, own, "it has 1 row with one answer; want more than 2")
	expect("humaneval", file, lm, "x.jsonl:1: the row lacks task_id, prompt, entry_point or test")
	put(file, "{\"task_id\": 1}\n")
	expect("humaneval", file, lm, "x.jsonl:1:")
	put(file, "")
	expect("humaneval", file, lm, "x.jsonl: it ends after row 0 of 164; fetch the file again")
	original := filepath.Join(dir, "drop_dataset_dev.json")
	put(original, `{"a": {"passage": "p", "qa_pairs": [{"question": "q", "answer": {"number": "1"}}]}}`)
	expect("drop", original, Options{Protocol: LMEval, Shots: -1, Own: true},
		"it has no questions; want rows with an answer")
	put(original, `{"a": {"passage": "p", "qa_pairs": []}}`)
	expect("drop", original, paper, `after row 0: passage "a" has no passage or no qa_pairs`)
	put(original, `{"a": {"passage": 7}}`)
	expect("drop", original, paper, `after row 0: passage "a": passage holds a JSON number, not a string`)
	put(original, `{"a": {"passage": "p",}}`)
	expect("drop", original, paper, `drop_dataset_dev.json:1:23: "}" stands where a key in double quotes must be`)
	put(original, `{"a": {"passage": "p", "qa_pairs": [{"question": "q", "validated_answers": [{"number": "1"}]}]}}`)
	expect("drop", original, paper, "it has 1 row with answers; want the 9535 of the released file")
}
