// Package benchmark makes the prompts of MMLU, BBH, DROP and HumanEval as two
// evaluation harnesses make them, and scores what a model answers.
//
// The protocols are those of instruct-eval (declare-lab, commit 49bbd2c), with
// which the LoR2C paper was evaluated, and of lm-evaluation-harness
// (EleutherAI, commit 4e7e0d47f). The package knows no model: an [Item] says
// what to score or to generate.
package benchmark

import (
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/nearest"
)

// Protocol is a way of asking and scoring.
type Protocol string

// These are the protocols.
const (
	InstructEval Protocol = "instruct-eval"
	LMEval       Protocol = "lm-eval"
)

// Item is one question of a benchmark.
type Item struct {
	Task string // subject of MMLU, task of BBH, or task_id of HumanEval
	Row  int    // 0-based row of its file

	Head     string   // text before the examples
	Shots    []string // solved examples, in order
	Question string

	// Choices are the continuations whose log-likelihoods are compared. Without
	// them the model generates at most MaxTokens tokens, up to the first of Until.
	Choices   []string
	Until     []string
	MaxTokens int

	Label string // the right choice, or the right answer
}

// Prompt returns the prompt with the first k examples.
func (it Item) Prompt(k int) string {
	return it.Head + strings.Join(it.Shots[:min(k, len(it.Shots))], "") + it.Question
}

// Fit returns the prompt with as many examples as fit into limit tokens, as
// instruct-eval does, and their number. The prompt without examples is returned
// whatever its length. count returns the number of tokens of a prompt.
func (it Item) Fit(count func(prompt string) int, limit int) (prompt string, k int) {
	for k = len(it.Shots); k > 0; k-- {
		if prompt = it.Prompt(k); count(prompt) <= limit {
			return prompt, k
		}
	}
	return it.Prompt(0), 0
}

// checkProtocol returns an error for a protocol that there is not.
func checkProtocol(p Protocol) error {
	if p == InstructEval || p == LMEval {
		return nil
	}
	hint := ""
	if name, near := nearest.Name(string(p), []string{string(InstructEval), string(LMEval)}); near {
		hint = fmt.Sprintf(" (nearest %q)", name)
	}
	return fmt.Errorf("benchmark: protocol %q: unknown; want instruct-eval or lm-eval%s", p, hint)
}
