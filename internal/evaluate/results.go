package evaluate

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/outfile"
)

// Results are the results of an evaluation.
type Results struct {
	Title  string        `json:"title"`
	Metric string        `json:"metric"`
	Value  metric.Number `json:"value"`
	StdErr metric.Number `json:"stderr"` // undefined for a perplexity
	N      int           `json:"n"`      // questions, or predicted tokens
	// Scores has all scores of tasks and groups, as lm-eval names them.
	Scores map[string]map[string]any `json:"scores"`
	// NotAsked is the number of questions that a limit left out.
	NotAsked int `json:"not_asked"`
	// Outcomes counts how programs ended.
	Outcomes map[string]int `json:"outcomes,omitempty"`
	// Cut counts the prompts that were longer than the model's positions allow, Fewer those with fewer examples.
	Cut   int    `json:"prompts_cut"`
	Fewer int    `json:"prompts_with_fewer_examples"`
	Path  string `json:"path"` // of the file in lm-eval's layout
}

// Finish writes the file of results and returns them. All questions must be answered.
func (e *Evaluation) Finish() (*Results, error) {
	if len(e.scored) < len(e.questions) || len(e.questions) == 0 {
		return nil, errors.New("evaluate: finish: not all questions are answered")
	}
	r := &Results{Title: e.title, Scores: map[string]map[string]any{}}
	for _, n := range e.original {
		r.NotAsked += n
	}
	r.NotAsked -= len(e.questions)
	if e.benchmark == nil {
		e.perplexity(r)
	} else {
		e.scores(r)
	}
	r.Path = filepath.Join(e.Out, "results_"+e.name()+"_"+e.files.suffix+".json")
	return r, outfile.WriteJSON(r.Path, e.layout(r))
}

// perplexity fills in the results of a text.
func (e *Evaluation) perplexity(r *Results) {
	nll, tokens := 0.0, 0.0
	for _, l := range e.scored {
		nll += l.scores["nll"]
		tokens += l.scores["tokens"]
	}
	bytes := float64(e.text.bytes)
	r.Metric, r.Value, r.StdErr = "token_perplexity", metric.Number(math.Exp(nll/tokens)), metric.Number(math.NaN())
	r.N, r.NotAsked = int(tokens), 0
	r.Scores["perplexity"] = map[string]any{
		"alias": "perplexity", "nll_per_token,none": nll / tokens, "token_perplexity,none": r.Value,
		"nll_per_byte,none": nll / bytes, "byte_perplexity,none": metric.Number(math.Exp(nll / bytes)),
		"bits_per_byte,none": nll / bytes / math.Ln2, "tokens": int(tokens), "bytes": e.text.bytes,
	}
}

// scores fills in the results of a benchmark: of all, of the areas of MMLU, and of each task.
func (e *Evaluation) scores(r *Results) {
	set := e.benchmark
	for _, l := range e.scored {
		for _, outcome := range l.Outcomes {
			if r.Outcomes == nil {
				r.Outcomes = map[string]int{}
			}
			r.Outcomes[outcome]++
		}
		if l.Cut > 0 {
			r.Cut++
		}
		if l.Shots < set.Shots {
			r.Fewer++
		}
	}
	for i, name := range e.metrics() {
		groups := map[string][]benchmark.Scored{}
		for j, l := range e.scored {
			it := e.questions[j].item
			one := benchmark.Scored{Task: l.task, Row: l.DocID, Score: l.scores[name]}
			groups[set.Name] = append(groups[set.Name], one)
			if set.Grouped() {
				groups[l.task] = append(groups[l.task], one)
			}
			if area := benchmark.Area(it.Task); area != "" && set.Name == benchmark.NameMMLU {
				groups["mmlu_"+area] = append(groups["mmlu_"+area], one)
			}
		}
		for group, scored := range groups {
			m := set.Aggregate(scored)
			if r.Scores[group] == nil {
				r.Scores[group] = map[string]any{"alias": group}
			}
			filter := e.scored[0].Filter
			r.Scores[group][name+","+filter] = m.Value
			r.Scores[group][name+"_stderr,"+filter] = orNA(m.StdErr)
			if group == set.Name && i == 0 {
				r.Metric, r.Value, r.StdErr, r.N = name, m.Value, m.StdErr, m.N
			}
		}
	}
}

// orNA returns n, or what lm-eval writes for an undefined number.
func orNA(n metric.Number) any {
	if n.Defined() {
		return n
	}
	return "N/A"
}

// Compare returns the difference of this evaluation to another one of the same questions, whose directory is named: the
// score of this one minus that of the other, with a paired bootstrap.
func (e *Evaluation) Compare(dir string) (*metric.Difference, error) {
	if e.benchmark == nil {
		return nil, errors.New("evaluate: compare: a perplexity has no questions to pair")
	}
	other := *e
	other.files, other.scored = &files{dir: dir, suffix: e.files.suffix, keep: true}, nil
	if err := other.continued(); err != nil {
		return nil, err
	}
	if len(other.scored) < len(e.questions) {
		return nil, fmt.Errorf("evaluate: compare %s: it has answers to %d of the %d questions; evaluate there first, with "+
			"the same task, protocol and limit", dir, len(other.scored), len(e.questions))
	}
	name := e.metrics()[0]
	var a, b []benchmark.Scored
	for i, l := range e.scored {
		o := other.scored[i]
		if o.PromptHash != l.PromptHash || o.TargetHash != l.TargetHash || !slices.Equal(o.Metrics, l.Metrics) {
			return nil, fmt.Errorf("evaluate: compare %s: the question of %s, row %d, was asked in another way there; compare "+
				"evaluations of the same data, protocol and examples", dir, l.task, l.DocID)
		}
		a = append(a, benchmark.Scored{Task: l.task, Row: l.DocID, Score: o.scores[name]})
		b = append(b, benchmark.Scored{Task: l.task, Row: l.DocID, Score: l.scores[name]})
	}
	d := e.benchmark.Paired(a, b)
	return &d, nil
}
