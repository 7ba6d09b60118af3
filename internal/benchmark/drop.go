package benchmark

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// dropShots are the examples of instruct-eval: random.seed(0) and
// random.sample(rows, 3) of Python give these rows for any number of rows from
// 4,096 to 8,191.
var dropShots = [3]int{3155, 3445, 331}

// dropRow is a row of the form of simple-evals.
type dropRow struct {
	Context string `json:"context"`
	Answers string `json:"ref_text"` // alternatives with a bar between them
	passage string
	ask     string
	row     int
}

// answer returns the only answer of a row, or false if there are several.
func (r dropRow) answer() (string, bool) {
	all := strings.Split(r.Answers, "|")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[0], len(all) == 1
}

// DROP returns the questions of a file in the form of simple-evals, of which
// each line has a context and ref_text (Dua et al. 2019). In that file the order
// of the rows is lost, so the three examples of instruct-eval are not those of
// the LoR2C paper; results are comparable with one another only. As there, rows
// with several answers and rows of the examples' passages are not asked. lm-eval
// asks every row without examples.
func DROP(path string, p Protocol) ([]Item, error) {
	if err := checkProtocol(p); err != nil {
		return nil, place.Mistake(err)
	}
	var rows []dropRow
	err := readLines(path, func(_ int, r dropRow) error {
		context, ok := strings.CutPrefix(r.Context, "Passage: ")
		context, ends := strings.CutSuffix(context, "\nAnswer:")
		at := strings.LastIndex(context, "\nQuestion: ")
		if !ok || !ends || at < 0 || r.Answers == "" {
			return errors.New("the row is not of the form of simple-evals; want context with Passage, Question and Answer, " +
				"and ref_text")
		}
		r.passage, r.ask, r.row = context[:at], context[at+len("\nQuestion: "):], len(rows)
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var items []Item
	if p == LMEval {
		for _, r := range rows {
			items = append(items, Item{Task: "drop", Row: r.row, Question: r.passage + " " + r.ask, Until: []string{"."},
				MaxTokens: 256, Label: r.Answers})
		}
		return items, nil
	}
	single := slices.DeleteFunc(slices.Clone(rows), func(r dropRow) bool { _, one := r.answer(); return !one })
	if len(single) < 4096 || len(single) > 8191 {
		return nil, place.Mistake(fmt.Errorf("benchmark: drop: %s has %d rows with one answer; want the 5961 of the dev "+
			"split", path, len(single)))
	}
	prompt := func(r dropRow) string {
		return strings.TrimSpace(r.passage) + " " + strings.TrimSpace(r.ask) + "\nAnswer:"
	}
	var shots []string
	taken := map[string]bool{}
	for _, i := range dropShots {
		answer, _ := single[i].answer()
		shots = append(shots, prompt(single[i])+" "+answer+"\n\n")
		taken[single[i].passage] = true
	}
	for _, r := range single {
		if !taken[r.passage] {
			answer, _ := r.answer()
			items = append(items, Item{Task: "drop", Row: r.row, Shots: shots, Question: prompt(r), MaxTokens: 8, Label: answer})
		}
	}
	return items, nil
}
