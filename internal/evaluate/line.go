package evaluate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/lor2c/lor2c/internal/benchmark"
)

// line is a line of a file of answers in lm-eval's layout, with the scores of the answer beside the other keys.
type line struct {
	DocID      int                       `json:"doc_id"`
	Doc        any                       `json:"doc"`
	Target     string                    `json:"target"`
	Arguments  map[string]map[string]any `json:"arguments"`
	Resps      []any                     `json:"resps"`
	Filtered   []any                     `json:"filtered_resps"`
	Filter     string                    `json:"filter"`
	Metrics    []string                  `json:"metrics"`
	DocHash    string                    `json:"doc_hash"`
	PromptHash string                    `json:"prompt_hash"`
	TargetHash string                    `json:"target_hash"`
	Shots      int                       `json:"shots"`
	Cut        int                       `json:"tokens_cut,omitempty"`
	Outcomes   []string                  `json:"outcomes,omitempty"`

	task   string
	scores map[string]float64
}

// MarshalJSON writes the scores as keys of the line.
func (l line) MarshalJSON() ([]byte, error) {
	type plain line
	raw, err := json.Marshal(plain(l))
	if err != nil {
		return nil, err
	}
	for _, name := range l.Metrics {
		raw = fmt.Appendf(raw[:len(raw)-1], ",%q:%s}", name, strconv.FormatFloat(l.scores[name], 'g', -1, 64))
	}
	return raw, nil
}

// UnmarshalJSON reads a line with its scores.
func (l *line) UnmarshalJSON(raw []byte) error {
	type plain line
	if err := json.Unmarshal(raw, (*plain)(l)); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	l.scores = map[string]float64{}
	for _, name := range l.Metrics {
		var score float64
		if err := json.Unmarshal(all[name], &score); err != nil {
			return fmt.Errorf("score %s: %w", name, err)
		}
		l.scores[name] = score
	}
	return nil
}

// newLine returns a line without answers and scores.
func newLine(task string, row int, doc any, target string, a asked) line {
	l := line{
		DocID: row, Doc: doc, Target: target, Arguments: map[string]map[string]any{}, Filter: "none", Shots: a.shots,
		Cut: a.cut, PromptHash: hash(a.prompt), TargetHash: hash(target), task: task,
	}
	for i, argument := range a.arguments {
		l.Arguments[fmt.Sprintf("gen_args_%d", i)] = map[string]any{"arg_0": a.prompt, "arg_1": argument}
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		panic(err) // the line has only texts, which can always be encoded
	}
	l.DocHash = hash(string(raw))
	return l
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// benchmarkLine returns the line for the replies to an item of a benchmark.
func (e *Evaluation) benchmarkLine(task string, it benchmark.Item, a asked, r replies) line {
	doc := map[string]any{"task": it.Task, "question": it.Question}
	if it.Golds != nil {
		doc["answers"] = it.Golds
	}
	l := newLine(task, it.Row, doc, it.Label, a)
	switch {
	case r.likelihoods != nil:
		for _, x := range r.likelihoods {
			l.Resps = append(l.Resps, []any{[]float64{x}})
			l.Filtered = append(l.Filtered, []float64{x})
		}
		l.scores = e.benchmark.Scores(it, benchmark.Likeliest(it, r.likelihoods))
	case e.benchmark.Name == benchmark.NameHumanEval:
		l.Filter, l.Outcomes = "create_test", r.outcomes
		passed := 0
		for i, text := range r.texts {
			l.Filtered = append(l.Filtered, e.program(it, text))
			if r.outcomes[i] == Passed {
				passed++
			}
		}
		l.Resps, l.scores = []any{r.texts}, passAt(len(r.texts), passed)
	default:
		answer := benchmark.Cut(r.texts[0], it.Until)
		l.Resps, l.Filtered = []any{[]string{r.texts[0]}}, []any{answer}
		l.scores = e.benchmark.Scores(it, answer)
	}
	l.Metrics = e.metrics()
	return l
}

// metrics returns the names of the scores of each answer, the one that stands for the benchmark first.
func (e *Evaluation) metrics() []string {
	if e.benchmark == nil {
		return []string{"nll", "tokens"}
	}
	names := e.benchmark.Metrics
	if e.benchmark.Name == benchmark.NameHumanEval {
		names = nil
		for _, k := range passes {
			if k <= e.samples {
				names = append(names, fmt.Sprintf("pass@%d", k))
			}
		}
	}
	return names
}

// passes lists the k of pass@k.
var passes = []int{1, 10, 100}

func passAt(n, right int) map[string]float64 {
	scores := map[string]float64{}
	for _, k := range passes {
		if k <= n {
			scores[fmt.Sprintf("pass@%d", k)] = benchmark.PassAtK(n, right, k)
		}
	}
	return scores
}

// program returns the program that an answer to a problem becomes.
func (e *Evaluation) program(it benchmark.Item, text string) string {
	return it.Code.Program(e.benchmark.Protocol, benchmark.Cut(text, it.Until))
}
