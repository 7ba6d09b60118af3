package benchmark

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// dropRows is the number of questions of the released dev split that have an answer.
const dropRows = 9535

// dropAnswer is an answer in drop_dataset_dev.json: a number, a date, or spans of the passage.
type dropAnswer struct {
	Number string                            `json:"number"`
	Date   struct{ Day, Month, Year string } `json:"date"`
	Spans  []string                          `json:"spans"`
}

func (a dropAnswer) date() string {
	return strings.TrimSpace(strings.Join([]string{a.Date.Day, a.Date.Month, a.Date.Year}, " "))
}

// texts returns the answer as a list of texts: a number, spans or, if it is neither, a date.
func (a dropAnswer) texts() []string {
	switch {
	case a.Number != "":
		return []string{a.Number}
	case len(a.Spans) > 0:
		return a.Spans
	}
	return []string{a.date()}
}

// dropOriginal returns the rows of drop_dataset_dev.json in its order. Questions without an answer are left out, as in
// the data set of the Hugging Face Hub, from which both harnesses read.
func dropOriginal(path string, own bool) (rows []dropRow, err error) {
	raw, err := infile.Read(path, infile.Stream)
	if err != nil {
		return nil, fmt.Errorf("benchmark: read %s: %w", path, err)
	}
	type passage struct {
		Passage string `json:"passage"`
		Pairs   []struct {
			Question  string       `json:"question"`
			Answer    dropAnswer   `json:"answer"`
			Validated []dropAnswer `json:"validated_answers"`
		} `json:"qa_pairs"`
	}
	// The order of the passages in the file counts.
	if err := strictjson.Syntax(raw); err != nil {
		return nil, fmt.Errorf("benchmark: read %s:%w; want the file drop_dataset_dev.json", path, err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	err = strictjson.Object(d, "the file", func(id string) error {
		var p passage
		if err := d.Decode(&p); err != nil {
			_, what, _ := place.JSON(raw, err)
			return fmt.Errorf("passage %s: %s", place.Quote(id), what)
		}
		if p.Passage == "" || len(p.Pairs) == 0 {
			return fmt.Errorf("passage %s has no passage or no qa_pairs; want the file drop_dataset_dev.json",
				place.Quote(id))
		}
		for _, q := range p.Pairs {
			r := dropRow{Passage: p.Passage, Question: q.Question, row: len(rows)}
			for _, a := range q.Validated {
				r.Answers = append(r.Answers, a.texts()...)
			}
			r.Answers = slices.DeleteFunc(r.Answers, func(a string) bool { return a == "" })
			for _, a := range append([]dropAnswer{q.Answer}, q.Validated...) {
				if spans := a.texts(); spans[0] != "" && !slices.ContainsFunc(r.Golds, func(g []string) bool {
					return slices.Equal(g, spans)
				}) {
					r.Golds = append(r.Golds, spans)
				}
			}
			if len(r.Answers) > 0 {
				rows = append(rows, r)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("benchmark: read %s: after row %d: %w", path, len(rows), err)
	}
	if !own && len(rows) != dropRows {
		return nil, fmt.Errorf("benchmark: read %s: it has %s with answers; want the %d of the released file, or add "+
			"--own-data to ask it as data of your own", path, place.Count(len(rows), "row", "rows"), dropRows)
	}
	return rows, nil
}
