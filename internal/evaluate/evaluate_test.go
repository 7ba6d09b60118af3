package evaluate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/place"
)

const demo = "../../demo/decoder"

// opened returns a model of the directory and a function that loads it.
func opened(t *testing.T, dir string) (Model, func() *generate.Generator) {
	t.Helper()
	texts, err := generate.Open(generate.Source{Model: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(texts.Close)
	m := Model{Tokenizer: texts.Tokenizer, MaxTokens: texts.MaxTokens, Sampling: texts.Sampling}
	if m.Identity, err = texts.Identity(); err != nil {
		t.Fatal(err)
	}
	return m, func() *generate.Generator {
		g, err := texts.Load(cpu.Open[float32](2), texts.MaxTokens, 1)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
}

// load returns a benchmark of our own.
func load(t *testing.T, name, path string, p benchmark.Protocol) *benchmark.Set {
	t.Helper()
	set, err := benchmark.Load(name, path, benchmark.Options{Protocol: p, Shots: -1, Own: true})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// settings returns settings with which programs that contain "x" pass.
func settings(out string) Settings {
	return Settings{
		Decode: ByProtocol, Samples: 1, Seed: 3, Batch: 4, Out: out,
		Execute: func(_ context.Context, program string) (string, error) {
			if strings.Contains(program, "x") {
				return Passed, nil
			}
			return "failed", nil
		},
	}
}

// contents returns the files of a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		// The results name their directory.
		all[entry.Name()] = strings.ReplaceAll(string(raw), dir, "DIR")
	}
	return all
}

// finish answers all questions, writes the results and closes the evaluation.
func finish(t *testing.T, e *Evaluation, g *generate.Generator) *Results {
	t.Helper()
	defer e.Close()
	if err := e.Run(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	r, err := e.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// longMMLU writes a subject with examples of some length and returns its folder.
func longMMLU(t *testing.T, rows int) string {
	t.Helper()
	dir := t.TempDir()
	put := func(split, text string) {
		path := filepath.Join(dir, split, "animals_"+split+".csv")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	example := "The little dog saw a big red ball in the park. What did it see?,a cat,a ball,a hat,a bed,B\n"
	put("dev", strings.Repeat(example, 5))
	var test strings.Builder
	for i := range rows {
		fmt.Fprintf(&test, "Who is %d?,a,b,c,d,%c\n", i, "ABCD"[i%4])
	}
	put("test", test.String())
	return dir
}

// TestContinues: an evaluation that is interrupted after any chunk or in the middle of a write, and then continued,
// writes the same bytes as an evaluation without an interruption. The test covers likelihoods, greedy answers, drawn
// answers and a text.
func TestContinues(t *testing.T) {
	m, load260K := opened(t, demo)
	g := load260K()
	book := filepath.Join(t.TempDir(), "book.txt")
	if err := os.WriteFile(book, []byte(strings.Repeat("Once upon a time there was a dog. ", 300)), 0o600); err != nil {
		t.Fatal(err)
	}
	long := longMMLU(t, 150)
	for name, open := range map[string]func(s Settings) (*Evaluation, error){
		"mmlu/lm-eval": func(s Settings) (*Evaluation, error) {
			return Benchmark(load(t, "mmlu", long, benchmark.LMEval), m, s)
		},
		"mmlu/instruct-eval": func(s Settings) (*Evaluation, error) {
			return Benchmark(load(t, "mmlu", long, benchmark.InstructEval), m, s)
		},
		"bbh/instruct-eval": func(s Settings) (*Evaluation, error) {
			return Benchmark(load(t, "bbh", "../../demo/benchmarks", benchmark.InstructEval), m, s)
		},
		"humaneval/instruct-eval": func(s Settings) (*Evaluation, error) {
			s.Samples = 3
			return Benchmark(load(t, "humaneval", "../../demo/benchmarks", benchmark.InstructEval), m, s)
		},
		"perplexity": func(s Settings) (*Evaluation, error) {
			return Perplexity(context.Background(), book, m, s)
		},
	} {
		t.Run("task="+name, func(t *testing.T) {
			if testing.Short() && strings.HasPrefix(name, "humaneval") {
				t.Skip("it takes seconds")
			}
			whole := t.TempDir()
			e, err := open(settings(whole))
			if err != nil {
				t.Fatal(err)
			}
			finish(t, e, g)
			want := contents(t, whole)
			part := t.TempDir()
			for stop := range 4 {
				s := settings(part)
				ctx, cancel := context.WithCancel(context.Background())
				calls := 0
				s.Watch = func(done, total int) {
					if calls++; calls == 2 && stop < 3 { // after the first chunk of this part
						cancel()
					}
				}
				e, err := open(s)
				if err != nil {
					t.Fatal(err)
				}
				if err = e.Run(ctx, g); err != nil && !errors.Is(err, generate.ErrInterrupted) {
					t.Fatal(err)
				}
				cancel()
				if err == nil {
					if _, err := e.Finish(); err != nil {
						t.Fatal(err)
					}
					e.Close()
					break
				}
				e.Close()
				// A process that is killed while it writes leaves a part of a chunk.
				for file := range contents(t, part) {
					if strings.HasPrefix(file, "samples_") {
						path := filepath.Join(part, file)
						raw, _ := os.ReadFile(path)
						first, _, _ := bytes.Cut([]byte(want[file])[len(raw):], []byte("\n"))
						half := slices.Concat(raw, first[:len(first)/2])
						if err := os.WriteFile(path, half, 0o600); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			for file, text := range contents(t, part) {
				if text != want[file] {
					t.Errorf("%s differs:\n%.300s\nwant\n%.300s", file, text, want[file])
				}
			}
			if got := contents(t, part); len(got) != len(want) {
				t.Errorf("files %v; want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
		})
	}
}

// TestShares: with five examples in front of every question, MMLU computes at most a fifth of the tokens of its
// prompts, in both protocols.
func TestShares(t *testing.T) {
	m, load260K := opened(t, demo)
	dir := longMMLU(t, 120)
	for _, p := range benchmark.Protocols {
		g := load260K()
		set := load(t, "mmlu", dir, p)
		e, err := Benchmark(set, m, settings(t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		finish(t, e, g)
		alone := 0
		for _, it := range set.Items {
			a, err := e.ask(it)
			if err != nil {
				t.Fatal(err)
			}
			if alone += len(a.query.Context) + len(a.request.IDs); a.shots != 5 {
				t.Fatalf("a prompt has %d examples", a.shots)
			}
		}
		t.Logf("%s: %d tokens of %d", p, g.Passed(), alone)
		if 5*g.Passed() > alone {
			t.Errorf("%s: %d tokens were computed for prompts of %d; want at most a fifth", p, g.Passed(), alone)
		}
	}
}

// TestResults: the files have the layout of lm-evaluation-harness and the scores of the answers.
func TestResults(t *testing.T) {
	m, load260K := opened(t, demo)
	dir := t.TempDir()
	set := load(t, "mmlu", "../../demo/benchmarks", benchmark.LMEval)
	e, err := Benchmark(set, m, settings(dir))
	if err != nil {
		t.Fatal(err)
	}
	r := finish(t, e, load260K())
	raw, err := os.ReadFile(filepath.Join(dir, "results_mmlu_lm-eval.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Results map[string]map[string]any
		Groups  map[string]any
		Sub     map[string][]string                          `json:"group_subtasks"`
		NShot   map[string]int                               `json:"n-shot"`
		Samples map[string]struct{ Original, Effective int } `json:"n-samples"`
		Configs map[string]struct {
			Output string `json:"output_type"`
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if file.Results["mmlu"]["acc,none"] != float64(r.Value) || file.Results["mmlu_animals"]["acc_stderr,none"] == nil ||
		file.NShot["mmlu_numbers"] != 5 || file.Samples["mmlu_animals"].Effective != 4 || len(file.Sub["mmlu"]) != 2 ||
		file.Configs["mmlu_animals"].Output != "multiple_choice" || file.Groups["mmlu"] == nil {
		t.Errorf("%s", raw)
	}
	right := 0.0
	for _, task := range []string{"mmlu_animals", "mmlu_numbers"} {
		text, err := os.ReadFile(filepath.Join(dir, "samples_"+task+"_lm-eval.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for i, each := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
			var l struct {
				DocID     int `json:"doc_id"`
				Target    string
				Arguments map[string]struct {
					Prompt string `json:"arg_0"`
					Next   string `json:"arg_1"`
				}
				Filtered [][]float64 `json:"filtered_resps"`
				Acc      float64
			}
			if err := json.Unmarshal(each, &l); err != nil {
				t.Fatal(err)
			}
			best := 0
			for j, x := range l.Filtered {
				if x[0] > l.Filtered[best][0] {
					best = j
				}
			}
			if l.DocID != i || (l.Acc == 1) != ("ABCD"[best:best+1] == l.Target) || l.Arguments["gen_args_3"].Next != " D" ||
				!strings.HasSuffix(l.Arguments["gen_args_0"].Prompt, "Answer:") {
				t.Errorf("%s", each)
			}
			right += l.Acc
		}
	}
	if right/8 != float64(r.Value) {
		t.Errorf("%v of 8 are right, and the score is %v", right, r.Value)
	}
}

// TestCompare: an evaluation can be compared with another of the same questions only.
func TestCompare(t *testing.T) {
	m, load260K := opened(t, demo)
	g := load260K()
	evaluate := func(s Settings, p benchmark.Protocol) *Evaluation {
		e, err := Benchmark(load(t, "mmlu", "../../demo/benchmarks", p), m, s)
		if err != nil {
			t.Fatal(err)
		}
		finish(t, e, g)
		return e
	}
	a, b := evaluate(settings(t.TempDir()), benchmark.LMEval), evaluate(settings(t.TempDir()), benchmark.LMEval)
	d, err := b.Compare(a.Out)
	if err != nil || d.Value != 0 || d.N != 8 {
		t.Errorf("%+v, %v", d, err)
	}
	// The other evaluation had its first question of numbers wrong, and this one right, or the other way round.
	path := filepath.Join(a.Out, "samples_mmlu_numbers_lm-eval.jsonl")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	was := b.scored[4].scores["acc"]
	changed := bytes.Replace(raw, fmt.Appendf(nil, `"acc":%v}`, was), fmt.Appendf(nil, `"acc":%v}`, 1-was), 1)
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := b.Compare(a.Out); err != nil || float64(d.Value) != (2*was-1)/8 {
		t.Errorf("%+v, %v; want a difference of %v", d, err, (2*was-1)/8)
	}
	if _, err := b.Compare(t.TempDir()); err == nil || !strings.Contains(err.Error(), "it has answers to 0 of the 8") {
		t.Errorf("error %v", err)
	}
}

// TestOneProcess: two processes do not answer the same questions into one directory, and the second changes no file. An
// evaluation of another protocol may use the directory at the same time.
func TestOneProcess(t *testing.T) {
	m, load260K := opened(t, demo)
	set := load(t, "mmlu", "../../demo/benchmarks", benchmark.LMEval)
	s := settings(t.TempDir())
	first, err := Benchmark(set, m, s)
	if err != nil {
		t.Fatal(err)
	}
	// A second process would cut off the line that the first one has just begun.
	path := filepath.Join(s.Out, "samples_mmlu_animals_lm-eval.jsonl")
	if err := os.WriteFile(path, []byte("half a li"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "evaluate: open " + s.Out + ": another process is evaluating mmlu there; wait for it, or name another " +
		"directory with --out"
	if _, err := Benchmark(set, m, s); err == nil || err.Error() != want || !place.IsMistake(err) {
		t.Errorf("error %v; want %s", err, want)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "half a li" {
		t.Errorf("the file is %q, %v", raw, err)
	}
	other, err := Benchmark(load(t, "mmlu", "../../demo/benchmarks", benchmark.InstructEval), m, s)
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	first.Close()
	again, err := Benchmark(set, m, s)
	if err != nil {
		t.Fatal(err)
	}
	finish(t, again, load260K())
}

// TestOn: answers of one device are not continued on another, and the results of a complete evaluation need no device.
func TestOn(t *testing.T) {
	m, load260K := opened(t, demo)
	set := load(t, "mmlu", "../../demo/benchmarks", benchmark.LMEval)
	s := settings(t.TempDir())
	open := func() *Evaluation {
		t.Helper()
		e, err := Benchmark(set, m, s)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for _, device := range []string{"cuda A, float32", "cpu float32"} { // the first gave no answer
		e := open()
		if err := e.On(device); err != nil {
			t.Fatal(err)
		}
		if device == "cpu float32" {
			ctx, cancel := context.WithCancel(context.Background())
			e.Watch = func(done, _ int) {
				if done > 0 {
					cancel()
				}
			}
			if err := e.Run(ctx, load260K()); !errors.Is(err, generate.ErrInterrupted) {
				t.Fatal(err)
			}
		}
		e.Close()
	}
	e := open()
	want := `its answers were computed on "cpu float32", and this device is "cuda A, float32"; name another directory`
	if err := e.On("cuda A, float32"); err == nil || !strings.Contains(err.Error(), want) || !place.IsMistake(err) {
		t.Errorf("error %v; want %s", err, want)
	}
	if err := e.On("cpu float32"); err != nil {
		t.Error(err)
	}
	finish(t, e, load260K())
	e = open()
	defer e.Close()
	if _, err := e.Finish(); err != nil {
		t.Error(err)
	}
}

// TestFaults: an evaluation that does not fit, or whose directory has another one, is refused before a model is loaded.
func TestFaults(t *testing.T) {
	m, load260K := opened(t, demo)
	set := load(t, "mmlu", "../../demo/benchmarks", benchmark.LMEval)
	expect := func(want string, set *benchmark.Set, m Model, s Settings) {
		t.Helper()
		if _, err := Benchmark(set, m, s); err == nil || !strings.Contains(err.Error(), want) || !place.IsMistake(err) {
			t.Errorf("error %v; want %s", err, want)
		}
	}
	bad := settings(t.TempDir())
	bad.Decode = "beam"
	expect(`decode is "beam"; want one of`, set, m, bad)
	bad = settings(t.TempDir())
	bad.Samples = 2
	expect("2 samples of each question are set; want 1 (only humaneval takes more)", set, m, bad)
	code := load(t, "humaneval", "../../demo/benchmarks", benchmark.LMEval)
	bad.Decode = Greedy
	expect("they are all the same with decode greedy", code, m, bad)
	bad.Execute = nil
	expect("humaneval runs programs that the model writes", code, m, bad)

	s := settings(t.TempDir())
	e, err := Benchmark(set, m, s)
	if err != nil {
		t.Fatal(err)
	}
	finish(t, e, load260K())
	other := m
	other.Identity = maps.Clone(m.Identity)
	other.Identity["adapter"] = "another"
	expect("it has another evaluation of mmlu; name another directory:\n"+
		`  adapter: "none" in the directory, "another" now`, set, other, s)
	limited := s
	limited.Limit = 2
	expect(`limit: "0" in the directory, "2" now`, set, m, limited)
	identity, err := os.ReadFile(e.settingsPath())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(e.settingsPath(), identity[:1], 0o600); err != nil {
		t.Fatal(err)
	}
	expect(filepath.Base(e.settingsPath())+":1:1: the text ends before its JSON value is complete; want the JSON that an "+
		"evaluation writes, or another directory", set, m, s)
	if err := os.WriteFile(e.settingsPath(), identity, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Out, "samples_mmlu_animals_lm-eval.jsonl")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Replace(raw, []byte(`"doc_id":2`), []byte(`"doc_id":7`), 1)
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	expect("animals_lm-eval.jsonl:3: it is not the answer to row 2; remove the file", set, m, s)
	if err := os.WriteFile(path, append(raw, raw...), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("animals_lm-eval.jsonl:5: the task has 4 questions; remove the file", set, m, s)

	empty := filepath.Join(t.TempDir(), "empty.txt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Perplexity(context.Background(), empty, m, s); err == nil || !place.IsMistake(err) ||
		!strings.Contains(err.Error(), "the text has 1 token; want at least 2") {
		t.Errorf("error %v", err)
	}
	if _, err := Perplexity(context.Background(), filepath.Join(demo, "model.safetensors"), m, s); err == nil {
		t.Error("weights are a text")
	}
}

// TestGreedyByDefault: a model that recommends sampling answers the same in two evaluations of a benchmark with other
// seeds, and the title says that answers are greedy.
func TestGreedyByDefault(t *testing.T) {
	m, loaded := opened(t, demo)
	m.Sampling.DoSample, m.Sampling.Temperature = true, 5
	set := load(t, "mmlu", "../../demo/benchmarks", benchmark.InstructEval)
	var answers []string
	for seed := range uint64(2) {
		s := settings(t.TempDir())
		s.Seed = seed
		e, err := Benchmark(set, m, s)
		if err != nil {
			t.Fatal(err)
		}
		r := finish(t, e, loaded())
		if !strings.Contains(r.Title, "decode=greedy") {
			t.Errorf("title %s", r.Title)
		}
		for name, text := range contents(t, s.Out) {
			if strings.HasPrefix(name, "samples_") {
				answers = append(answers, text)
			}
		}
	}
	if slices.Sort(answers); len(answers) < 2 || answers[0] != answers[1] {
		t.Errorf("two evaluations have the answers\n%s", strings.Join(answers, "\n"))
	}
}

// TestContinuationTokens: the tokens of a prompt and of each answer, which is scored as what follows them, are those of
// the whole text, also where the answer begins with a blank.
func TestContinuationTokens(t *testing.T) {
	m, _ := opened(t, demo)
	e, err := Benchmark(load(t, "mmlu", "../../demo/benchmarks", benchmark.LMEval), m, settings(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, q := range e.questions {
		a, err := q.ask()
		if err != nil {
			t.Fatal(err)
		}
		if len(q.item.Choices) != 4 || a.cut > 0 {
			t.Fatalf("row %d has %d choices, and %d tokens are cut off", q.row, len(q.item.Choices), a.cut)
		}
		for i, choice := range q.item.Choices {
			want := m.Tokenizer.AppendIDs(nil, a.prompt+choice, true)
			if got := slices.Concat(a.query.Context, a.query.Continuations[i]); !slices.Equal(got[len(got)-len(want):], want) {
				t.Errorf("row %d, %q: the tokens are %v; want %v at the end", q.row, choice, got, want)
			}
		}
	}
}
