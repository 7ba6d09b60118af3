package benchmark

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// dropShots are the examples of instruct-eval: random.seed(0) and
// random.sample(rows, 3) of Python give these rows for any number of rows from
// 4,096 to 8,191.
var dropShots = []int{3155, 3445, 331}

// dropRow is a question with its answers, in the order of the file.
type dropRow struct {
	Passage, Question string
	Answers           []string   // as instruct-eval compares them
	Golds             [][]string // as lm-eval compares them, each of one or several spans
	row               int
}

// answer returns the only answer of a row, or false if there are several.
func (r dropRow) answer() (string, bool) {
	all := make([]string, len(r.Answers))
	for i := range all {
		all[i] = strings.TrimSpace(r.Answers[i])
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[0], len(all) == 1
}

// loadDROP adds the questions of DROP's dev split (Dua et al. 2019): of drop_dataset_dev.json, as it was released, or
// of a file of JSON lines in the form of simple-evals, which has the same questions in another order. The examples of
// instruct-eval depend on the order, so the name of a result on the second file says that. instruct-eval does not ask
// rows with several answers, nor rows of the examples' passages. lm-eval asks every row without examples.
func loadDROP(s *Set, o Options) (err error) {
	var rows []dropRow
	if filepath.Ext(s.Path) == ".json" {
		if rows, err = dropOriginal(s.Path, o.Own); err != nil {
			return err
		}
	} else {
		if rows, err = dropSimpleEvals(s.Path); err != nil {
			return err
		}
		if !o.Own {
			s.Data = "simple-evals-rows"
			err = checkRelease("drop/simple-evals", s.Path, rows)
		}
	}
	if err != nil {
		return err
	}
	if o.Protocol == LMEval {
		for _, r := range rows {
			s.Items = append(s.Items, Item{
				Task: NameDROP, Row: r.row, Question: r.Passage + " " + r.Question, Until: []string{"."}, MaxTokens: 256,
				Label: strings.Join(r.Answers, "|"), Golds: r.Golds,
			})
		}
		return nil
	}
	single := slices.DeleteFunc(slices.Clone(rows), func(r dropRow) bool { _, one := r.answer(); return !one })
	examples := dropShots
	if o.Own {
		examples = []int{0, 1, 2}
	}
	if most := slices.Max(examples); len(single) <= most {
		return fmt.Errorf("benchmark: read %s: it has %s with one answer; want more than %d", s.Path,
			place.Count(len(single), "row", "rows"), most)
	}
	prompt := func(r dropRow) string {
		return strings.TrimSpace(r.Passage) + " " + strings.TrimSpace(r.Question) + "\nAnswer:"
	}
	var shots []string
	taken := map[string]bool{}
	for _, i := range examples[:o.Shots] {
		answer, _ := single[i].answer()
		shots = append(shots, prompt(single[i])+" "+answer+"\n\n")
		taken[single[i].Passage] = true
	}
	for _, r := range single {
		if answer, _ := r.answer(); !taken[r.Passage] {
			s.Items = append(s.Items, Item{
				Task: NameDROP, Row: r.row, Shots: shots, Question: prompt(r), MaxTokens: 8, Label: answer,
			})
		}
	}
	return nil
}

// dropSimpleEvals returns the rows of a file in the form of simple-evals, of which each line has a context and
// ref_text.
func dropSimpleEvals(path string) (rows []dropRow, err error) {
	type line struct {
		Context string `json:"context"`
		Answers string `json:"ref_text"` // alternatives with a bar between them
	}
	err = readLines(path, func(_ int, l line) error {
		context, ok := strings.CutPrefix(l.Context, "Passage: ")
		context, ends := strings.CutSuffix(context, "\nAnswer:")
		at := strings.LastIndex(context, "\nQuestion: ")
		if !ok || !ends || at < 0 || l.Answers == "" {
			return errors.New("the row is not of the form of simple-evals; want context with Passage, Question and Answer, " +
				"and ref_text")
		}
		r := dropRow{
			Passage: context[:at], Question: context[at+len("\nQuestion: "):], Answers: strings.Split(l.Answers, "|"),
			row: len(rows),
		}
		for _, a := range r.Answers {
			r.Golds = append(r.Golds, []string{a})
		}
		rows = append(rows, r)
		return nil
	})
	return rows, err
}
