package evaluate

import (
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/generate"
)

// maxPrompt is the most tokens of a prompt of instruct-eval, which then leaves out examples.
const maxPrompt = 2048

// question returns the question for an item of the benchmark.
func (e *Evaluation) question(task string, it benchmark.Item) question {
	q := question{task: task, row: it.Row, tokens: it.MaxTokens, item: it}
	q.ask = func() (asked, error) { return e.ask(it) }
	q.answer = func(a asked, r replies) line { return e.benchmarkLine(task, it, a, r) }
	return q
}

// ask encodes an item as its harness does. A prompt that is longer than the model's positions allow is cut at its
// start.
func (e *Evaluation) ask(it benchmark.Item) (a asked, err error) {
	// A model of few positions keeps half of them for the prompt.
	it.MaxTokens = min(it.MaxTokens, e.MaxTokens/2)
	room := e.MaxTokens - it.MaxTokens
	if e.benchmark.Protocol == benchmark.InstructEval {
		encode := func(prompt string) []int32 { return e.Tokenizer.Encode(prompt, nil, 0).IDs }
		a.prompt, a.shots = it.Fit(func(prompt string) int { return len(encode(prompt)) }, min(maxPrompt, room))
		a.request, a.cut = e.request(encode(a.prompt), room, it)
		a.until = it.Until
		a.arguments = []any{generation{it.Until, it.MaxTokens}}
		return a, nil
	}
	// lm-eval encodes without special tokens.
	a.prompt, a.shots, a.until = it.Prompt(len(it.Shots)), len(it.Shots), it.Until
	ids := e.Tokenizer.AppendIDs(nil, a.prompt, true)
	if it.Choices == nil {
		a.request, a.cut = e.request(ids, room, it)
		a.arguments = []any{generation{it.Until, it.MaxTokens}}
		return a, nil
	}
	longest := 0
	for _, choice := range it.Choices {
		whole := e.Tokenizer.AppendIDs(nil, a.prompt+choice, true)
		if len(whole) <= len(ids) {
			return a, fmt.Errorf("evaluate: %s: row %d: the continuation %q has no token of its own with this "+
				"tokenizer", it.Task, it.Row+1, choice)
		}
		next := whole[len(ids):]
		a.query.Continuations, longest = append(a.query.Continuations, next), max(longest, len(next))
		a.arguments = append(a.arguments, choice)
	}
	a.cut = max(0, len(ids)+longest-1-e.MaxTokens)
	a.query.Context = ids[a.cut:]
	return a, nil
}

// request returns the request for a prompt, and how many tokens at its start had to be cut off. The special tokens in
// front of it stay.
func (e *Evaluation) request(ids []int32, room int, it benchmark.Item) (generate.Request, int) {
	cut := max(0, len(ids)-room)
	if cut > 0 && len(ids) > 0 && e.Tokenizer.Special(ids[0]) {
		ids = slices.Concat(ids[:1], ids[1+cut:])
	} else {
		ids = ids[cut:]
	}
	return generate.Request{IDs: ids, MaxNew: it.MaxTokens}, cut
}

// generation is the arguments of a generation in lm-eval's layout.
type generation struct {
	Until     []string `json:"until"`
	MaxTokens int      `json:"max_gen_toks"`
}
