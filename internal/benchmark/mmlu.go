package benchmark

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
)

// mmluSubjects is the number of subjects of MMLU (Hendrycks et al. 2021).
const mmluSubjects = 57

// MMLU returns the questions in dir/test, with the first shots rows of dir/dev
// as examples, by subject in alphabetical order. It returns an error if a
// subject or a row is incomplete.
func MMLU(dir string, p Protocol, shots int) ([]Item, error) {
	if err := checkProtocol(p); err != nil {
		return nil, place.Mistake(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "test", "*_test.csv"))
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("benchmark: mmlu: no file test/*_test.csv in %s; want the folder of the released data with dev "+
			"and test", dir)
	}
	if err != nil {
		return nil, place.Mistake(err)
	}
	slices.Sort(paths)
	if len(paths) != mmluSubjects {
		return nil, place.Mistake(fmt.Errorf("benchmark: mmlu: %s has %d subjects; want %d", dir, len(paths), mmluSubjects))
	}
	var items []Item
	for _, path := range paths {
		subject := strings.TrimSuffix(filepath.Base(path), "_test.csv")
		one, err := mmluSubject(dir, subject, p, shots)
		if err != nil {
			return nil, place.Mistake(err)
		}
		items = append(items, one...)
	}
	return items, nil
}

func mmluSubject(dir, subject string, p Protocol, shots int) ([]Item, error) {
	dev, err := mmluRows(filepath.Join(dir, "dev", subject+"_dev.csv"))
	if err != nil {
		return nil, err
	}
	if len(dev) < shots {
		return nil, fmt.Errorf("benchmark: mmlu: %s has %d dev rows; want at least %d", subject, len(dev), shots)
	}
	test, err := mmluRows(filepath.Join(dir, "test", subject+"_test.csv"))
	if err != nil {
		return nil, err
	}
	// instruct-eval writes a blank before every word of the subject.
	name := strings.ReplaceAll(subject, "_", " ")
	if p == InstructEval {
		name = " " + name
	}
	head := "The following are multiple choice questions (with answers) about " + name + ".\n\n"
	var solved []string
	for _, row := range dev[:shots] {
		solved = append(solved, mmluQuestion(row, p)+" "+row[5]+"\n\n")
	}
	items := make([]Item, len(test))
	for i, row := range test {
		items[i] = Item{Task: subject, Row: i, Head: head, Shots: solved, Question: mmluQuestion(row, p), Label: row[5]}
		if p == LMEval {
			items[i].Choices = []string{" A", " B", " C", " D"}
		} else {
			items[i].MaxTokens = 2
		}
	}
	return items, nil
}

// mmluQuestion returns a question with its four choices. lm-eval strips the
// question only.
func mmluQuestion(row []string, p Protocol) string {
	question := row[0]
	if p == LMEval {
		question = strings.TrimSpace(question)
	}
	return fmt.Sprintf("%s\nA. %s\nB. %s\nC. %s\nD. %s\nAnswer:", question, row[1], row[2], row[3], row[4])
}

func mmluRows(path string) ([][]string, error) {
	data, err := infile.Read(path, infile.Index)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("benchmark: mmlu: no file %s", path)
		}
		return nil, fmt.Errorf("benchmark: read %s: %w", path, err)
	}
	rows, err := csvRows(string(data))
	if err != nil {
		return nil, fmt.Errorf("benchmark: read %s: %w", path, err)
	}
	for i, row := range rows {
		if len(row) != 6 {
			return nil, fmt.Errorf("benchmark: read %s: row %d has %d columns; want a question, four choices and a letter",
				path, i+1, len(row))
		}
		if len(row[5]) != 1 || !strings.Contains("ABCD", row[5]) {
			return nil, fmt.Errorf("benchmark: read %s: row %d has the answer %s; want A, B, C or D", path, i+1,
				place.Quote(row[5]))
		}
	}
	return rows, nil
}

// csvRows parses CSV as Python's module csv does, which keeps CR LF inside
// quotes; encoding/csv does not.
func csvRows(text string) (rows [][]string, err error) {
	var row []string
	var field strings.Builder
	quoted := false
	end := func() { row = append(row, field.String()); field.Reset() }
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted && c == '"' && i+1 < len(text) && text[i+1] == '"':
			field.WriteByte('"')
			i++
		case quoted && c == '"':
			quoted = false
		case quoted:
			field.WriteByte(c)
		case c == '"' && field.Len() == 0:
			quoted = true
		case c == ',':
			end()
		case c == '\n' || c == '\r' && strings.HasPrefix(text[i+1:], "\n"):
			if c == '\r' {
				i++
			}
			if end(); len(row) > 1 || row[0] != "" {
				rows = append(rows, row)
			}
			row = nil
		default:
			field.WriteByte(c)
		}
	}
	if quoted {
		return nil, fmt.Errorf("row %d has a quote that is never closed", len(rows)+1)
	}
	if field.Len() > 0 || row != nil {
		end()
		rows = append(rows, row)
	}
	return rows, nil
}
