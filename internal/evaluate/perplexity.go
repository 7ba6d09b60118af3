package evaluate

import (
	"context"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
)

// text is a text whose perplexity is measured.
type text struct {
	path  string
	bytes int // of the tokens that are predicted
}

// maxText is the most bytes of a text.
const maxText = 256 << 20

// window is the most tokens that one pass predicts.
const window = 2048

// Perplexity opens the measurement of the perplexity of a model on the text in a file, as [Benchmark] does. Call Close
// when the results are written.
//
// Every token but the first is predicted once, from the tokens before it in its window, whose first token is the last
// of the window before. That is how lm-eval rolls over a text (Merity et al. 2016 measure the same).
func Perplexity(ctx context.Context, path string, m Model, s Settings) (*Evaluation, error) {
	raw, err := infile.ReadStream(ctx, path, maxText)
	if err != nil {
		return nil, place.Given(fmt.Errorf("evaluate: read %s: %w", path, err))
	}
	if what := infile.Describe(raw[:min(len(raw), 512)]); what != "" {
		return nil, place.Mistake(fmt.Errorf("evaluate: read %s: it is %s; want a text", path, what))
	}
	before, _ := m.Tokenizer.Affixes()
	ids := m.Tokenizer.AppendIDs(slices.Clone(before), string(raw), false)
	if len(ids) < 2 {
		return nil, place.Mistake(fmt.Errorf("evaluate: read %s: the text has %s; want at least 2", path,
			place.Count(len(ids), "token", "tokens")))
	}
	e := &Evaluation{
		Model: m, Settings: s, title: "perplexity@rolling", text: &text{path, len(raw)}, samples: 1,
		sampling: generate.Greedy(), original: map[string]int{},
	}
	if len(before) == 0 {
		e.text.bytes -= len(m.Tokenizer.Decode(ids[:1]))
	}
	size := min(window, m.MaxTokens)
	for at := 0; at+1 < len(ids); at += size {
		e.original["perplexity"]++
		if s.Limit == 0 || len(e.questions) < s.Limit {
			e.questions = append(e.questions, e.window(len(e.questions), ids[at:min(at+size+1, len(ids))]))
		}
	}
	if s.Limit > 0 && s.Limit < e.original["perplexity"] {
		e.text.bytes = len(m.Tokenizer.Decode(ids[1:min(s.Limit*size+1, len(ids))]))
	}
	return e, e.open()
}

// window returns the question that predicts every token of ids except the first.
func (e *Evaluation) window(row int, ids []int32) question {
	q := question{task: "perplexity", row: row, content: fmt.Sprint(ids)}
	q.ask = func() (asked, error) {
		return asked{query: generate.Query{Context: ids[:1], Continuations: [][]int32{ids[1:]}}}, nil
	}
	q.answer = func(a asked, r replies) line {
		l := newLine(q.task, row, map[string]any{"tokens": len(ids) - 1}, "", a)
		l.Resps, l.Filtered = []any{r.likelihoods}, []any{r.likelihoods[0]}
		l.Metrics, l.scores = e.metrics(), map[string]float64{"nll": -r.likelihoods[0], "tokens": float64(len(ids) - 1)}
		return l
	}
	return q
}
