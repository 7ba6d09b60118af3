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
	load := map[string]func(p Protocol) ([]Item, error){
		"mmlu": func(p Protocol) ([]Item, error) { return MMLU(filepath.Join(eval, "mmlu", "data", "MMLU"), p, 5) },
		"bbh":  func(p Protocol) ([]Item, error) { return BBH(filepath.Join(eval, "bbh", "bbh"), p) },
		"drop": func(p Protocol) ([]Item, error) { return DROP(filepath.Join(eval, "drop", "drop_v0_dev.jsonl.gz"), p) },
		"humaneval": func(p Protocol) (items []Item, err error) {
			all, err := HumanEval(filepath.Join(eval, "humaneval", "HumanEval.jsonl.gz"), p)
			for _, x := range all {
				items = append(items, x.Item)
			}
			return items, err
		},
	}
	counts := map[string]map[Protocol]int{
		"mmlu": {InstructEval: 14042, LMEval: 14042}, "bbh": {InstructEval: 6430, LMEval: 6511},
		"drop":      {InstructEval: 5928, LMEval: 9536},
		"humaneval": {InstructEval: 164, LMEval: 164},
	}
	compared := 0
	for task, list := range want {
		for _, p := range []Protocol{InstructEval, LMEval} {
			items, err := load[task](p)
			if err != nil {
				t.Fatal(err)
			}
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
	m := MeanOf([]float64{1, 0, 1, 1})
	if m.Value != 0.75 || math.Abs(m.StdErr-0.25) > 1e-12 || m.N != 4 {
		t.Errorf("%+v", m)
	}
	mm := MeanOfMeans(map[string][]float64{"a": {1, 0, 1, 1}, "b": {0, 0, 0}})
	if mm.Value != 0.375 || math.Abs(mm.StdErr-0.125) > 1e-12 || mm.N != 7 {
		t.Errorf("%+v", mm)
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

// TestErrors: a missing, incomplete or other file is refused with its place.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.jsonl")
	put := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) || !place.IsMistake(err) {
			t.Errorf("error %v\nwant %s", err, want)
		}
	}
	_, err := MMLU(dir, InstructEval, 5)
	expect(err, "no file test/*_test.csv")
	_, err = MMLU(dir, "lm_eval", 5)
	expect(err, `protocol "lm_eval": unknown; want instruct-eval or lm-eval (nearest "lm-eval")`)
	_, err = BBH(dir, LMEval)
	expect(err, "has 0 files *.json; want the 27 tasks")
	_, err = DROP(file, LMEval)
	expect(err, "benchmark: read "+file)
	put("{\"context\": \"x\", \"ref_text\": \"y\"}\n")
	_, err = DROP(file, LMEval)
	expect(err, "x.jsonl:1: the row is not of the form of simple-evals")
	put("{\"context\": \"Passage: p\\nQuestion: q\\nAnswer:\", \"ref_text\": \"y\"}\n")
	_, err = DROP(file, InstructEval)
	expect(err, "has 1 rows with one answer; want the 5961 of the dev split")
	_, err = HumanEval(file, LMEval)
	expect(err, "x.jsonl:1: the row lacks task_id, prompt, entry_point or test")
	put("{\"task_id\": 1}\n")
	_, err = HumanEval(file, LMEval)
	expect(err, "x.jsonl:1:")
}
