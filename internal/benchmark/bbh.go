package benchmark

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// bbhTasks is the number of tasks of BIG-Bench Hard (Suzgun et al. 2022).
const bbhTasks = 27

// bbhFewShot has the descriptions and the examples that lm-eval writes in its
// tasks bbh_fewshot (lm_eval/tasks/bbh/fewshot, MIT, copyright EleutherAI).
//
//go:embed bbh_fewshot.json
var bbhFewShot []byte

// bbhExample is a question with its answer.
type bbhExample struct {
	Input  string `json:"input"`
	Target string `json:"target"`
}

// BBH returns the questions of all tasks in dir, by task in alphabetical order.
// The examples of instruct-eval are the first three rows of a task, which are
// then not asked; those of lm-eval are written in its task files.
func BBH(dir string, p Protocol) ([]Item, error) {
	if err := checkProtocol(p); err != nil {
		return nil, place.Mistake(err)
	}
	var fewShot struct {
		Tasks map[string]struct {
			Description string
			Samples     []bbhExample
		}
	}
	if err := json.Unmarshal(bbhFewShot, &fewShot); err != nil {
		panic(err) // it is a part of the program
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err == nil && len(paths) != bbhTasks {
		err = fmt.Errorf("benchmark: bbh: %s has %d files *.json; want the %d tasks of BIG-Bench-Hard", dir, len(paths),
			bbhTasks)
	}
	if err != nil {
		return nil, place.Mistake(err)
	}
	slices.Sort(paths)
	var items []Item
	for _, path := range paths {
		task := strings.TrimSuffix(filepath.Base(path), ".json")
		sample, known := fewShot.Tasks[task]
		if !known {
			return nil, place.Mistake(fmt.Errorf("benchmark: bbh: %s is no task of BIG-Bench-Hard; want its %d tasks "+
				"alone", path, bbhTasks))
		}
		rows, err := bbhRows(path)
		if err != nil {
			return nil, place.Mistake(err)
		}
		one := Item{Task: task, MaxTokens: 32}
		first := 3
		if p == LMEval {
			first = 0
			one.Head, one.MaxTokens, one.Until = sample.Description, 256, []string{"</s>", "Q", "\n\n"}
			for _, x := range sample.Samples {
				one.Shots = append(one.Shots, "Q: "+x.Input+"\nA: "+x.Target+"\n\n")
			}
		} else {
			for _, x := range rows[:first] {
				one.Shots = append(one.Shots, x.Input+"\nAnswer: "+x.Target+"\n\n")
			}
		}
		for i := first; i < len(rows); i++ {
			it := one
			it.Row, it.Label = i, rows[i].Target
			it.Question = rows[i].Input + "\nAnswer:"
			if p == LMEval {
				it.Question = "Q: " + rows[i].Input + "\nA:"
			}
			items = append(items, it)
		}
	}
	return items, nil
}

func bbhRows(path string) ([]bbhExample, error) {
	data, err := infile.Read(path, infile.Index)
	if err != nil {
		return nil, fmt.Errorf("benchmark: read %s: %w", path, err)
	}
	var file struct {
		Examples []bbhExample `json:"examples"`
	}
	if err := strictjson.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("benchmark: read %s:%w", path, err)
	}
	if len(file.Examples) < 4 {
		return nil, fmt.Errorf("benchmark: read %s: it has %d examples; want at least 4", path, len(file.Examples))
	}
	for i, x := range file.Examples {
		if x.Input == "" || x.Target == "" {
			return nil, fmt.Errorf("benchmark: read %s: example %d has no input or no target", path, i)
		}
	}
	return file.Examples, nil
}
