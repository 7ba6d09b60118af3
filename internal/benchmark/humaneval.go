package benchmark

import (
	"errors"
	"fmt"

	"github.com/lor2c/lor2c/internal/place"
)

// humanEvalProblems is the number of problems of HumanEval (Chen et al. 2021).
const humanEvalProblems = 164

// humanEvalRequest is what instruct-eval writes before a prompt.
const humanEvalRequest = "Please complete the following Python code without providing any additional tasks such " +
	"as testing or explanations\n"

// Problem is a problem of HumanEval. Item.Label is empty: a completion is right
// if Test passes.
type Problem struct {
	Item
	EntryPoint string
	Test       string
}

// HumanEval returns the problems of HumanEval.jsonl or HumanEval.jsonl.gz.
func HumanEval(path string, p Protocol) ([]Problem, error) {
	if err := checkProtocol(p); err != nil {
		return nil, place.Mistake(err)
	}
	type row struct {
		TaskID     string `json:"task_id"`
		Prompt     string `json:"prompt"`
		EntryPoint string `json:"entry_point"`
		Test       string `json:"test"`
	}
	var problems []Problem
	err := readLines(path, func(_ int, r row) error {
		if r.TaskID == "" || r.Prompt == "" || r.EntryPoint == "" || r.Test == "" {
			return errors.New("the row lacks task_id, prompt, entry_point or test")
		}
		one := Problem{Item: Item{Task: r.TaskID, Row: len(problems), Question: r.Prompt, MaxTokens: 1024},
			EntryPoint: r.EntryPoint, Test: r.Test}
		if p == InstructEval {
			one.Question, one.MaxTokens = humanEvalRequest+r.Prompt, 512
		} else {
			one.Until = []string{"\nclass", "\ndef", "\n#", "\nif", "\nprint"}
		}
		problems = append(problems, one)
		return nil
	})
	if err == nil && len(problems) != humanEvalProblems {
		err = place.Mistake(fmt.Errorf("benchmark: humaneval: %s has %d problems; want %d", path, len(problems),
			humanEvalProblems))
	}
	return problems, err
}
