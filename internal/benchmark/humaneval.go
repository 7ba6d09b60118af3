package benchmark

import (
	"errors"
	"strings"
)

// humanEvalRequest is what instruct-eval writes before a prompt.
const humanEvalRequest = "Please complete the following Python code without providing any additional tasks such " +
	"as testing or explanations\n"

// Code has the texts that make a program of an answer to HumanEval. The answer is right if the program runs to its end.
type Code struct {
	Prompt     string
	Test       string
	EntryPoint string
}

// humanEvalRow is a line of the file.
type humanEvalRow struct {
	TaskID     string `json:"task_id"`
	Prompt     string `json:"prompt"`
	EntryPoint string `json:"entry_point"`
	Test       string `json:"test"`
}

func humanEvalRows(path string) (rows []humanEvalRow, err error) {
	err = readLines(path, func(_ int, r humanEvalRow) error {
		if r.TaskID == "" || r.Prompt == "" || r.EntryPoint == "" || r.Test == "" {
			return errors.New("the row lacks task_id, prompt, entry_point or test")
		}
		rows = append(rows, r)
		return nil
	})
	return rows, err
}

// loadHumanEval adds the problems of HumanEval (Chen et al. 2021).
func loadHumanEval(s *Set, o Options) error {
	rows, err := humanEvalRows(s.Path)
	if err == nil && !o.Own {
		err = checkRelease("humaneval", s.Path, rows)
	}
	for i, r := range rows {
		it := Item{
			Task: r.TaskID, Row: i, Question: r.Prompt, MaxTokens: 1024,
			Until: []string{"\nclass", "\ndef", "\n#", "\nif", "\nprint"}, Code: Code{r.Prompt, r.Test, r.EntryPoint},
		}
		if o.Protocol == InstructEval {
			it.Question, it.MaxTokens, it.Until = humanEvalRequest+r.Prompt, 512, nil
		}
		s.Items = append(s.Items, it)
	}
	return err
}

// Program returns the program that tests an answer.
func (c Code) Program(p Protocol, answer string) string {
	if p == InstructEval {
		answer = firstBlock(evenIndents(answer))
	}
	return c.Prompt + answer + "\n" + c.Test + "\n" + "check(" + c.EntryPoint + ")"
}

// evenIndents adds a space to each line that begins with an odd number of spaces, because decoding with SentencePiece
// drops the first space of a text.
func evenIndents(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if (len(line)-len(strings.TrimLeft(line, " ")))%2 == 1 {
			lines[i] = " " + line
		}
	}
	return strings.Join(lines, "\n")
}

// firstBlock returns what is before the first empty line of a text, without newlines at its start.
func firstBlock(text string) string {
	text, _, _ = strings.Cut(strings.TrimLeft(text, "\n"), "\n\n")
	return text
}
