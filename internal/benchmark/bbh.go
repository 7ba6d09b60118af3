package benchmark

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

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

// loadBBH adds the questions of all tasks, by task in alphabetical order. The examples of instruct-eval are the first
// three rows of a task, which are then not asked; those of lm-eval are written in its task files. Own tasks that
// lm-eval does not know have the examples of instruct-eval.
func loadBBH(s *Set, o Options) error {
	var fewShot struct {
		Tasks map[string]struct {
			Description string
			Samples     []bbhExample
		}
	}
	if err := json.Unmarshal(bbhFewShot, &fewShot); err != nil {
		panic(err) // it is a part of the program
	}
	names, err := fs.Glob(os.DirFS(s.Path), "*.json")
	if err != nil {
		return err
	}
	slices.Sort(names)
	if !o.Own && len(names) != bbhTasks {
		return fmt.Errorf("benchmark: bbh: %s has %s; want the %d tasks of BIG-Bench-Hard, or add --own-data to ask the "+
			"tasks that are there", s.Path, place.Count(len(names), "file *.json", "files *.json"), bbhTasks)
	}
	for _, name := range names {
		path, task := filepath.Join(s.Path, name), stem(name, ".json")
		rows, err := bbhRows(path)
		if err == nil && !o.Own {
			err = checkRelease("bbh/"+task, path, rows)
		}
		if err != nil {
			return err
		}
		one := Item{Task: task, MaxTokens: 32}
		first := 3
		before, between := "", "\nAnswer:"
		shots := rows[:first]
		if o.Protocol == LMEval {
			before, between = "Q: ", "\nA:"
			one.MaxTokens, one.Until = 256, []string{"</s>", "Q", "\n\n"}
			if sample, known := fewShot.Tasks[task]; known {
				one.Head, shots, first = sample.Description, sample.Samples, 0
			}
		}
		for _, x := range shots[:o.Shots] {
			one.Shots = append(one.Shots, before+x.Input+between+" "+x.Target+"\n\n")
		}
		for i := first; i < len(rows); i++ {
			it := one
			it.Row, it.Label, it.Question = i, rows[i].Target, before+rows[i].Input+between
			s.Items = append(s.Items, it)
		}
	}
	return nil
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
		return nil, fmt.Errorf("benchmark: read %s: it has %s; want at least 4", path,
			place.Count(len(file.Examples), "example", "examples"))
	}
	for i, x := range file.Examples {
		if x.Input == "" || x.Target == "" {
			return nil, fmt.Errorf("benchmark: read %s: example %d has no input or no target", path, i)
		}
	}
	return file.Examples, nil
}
