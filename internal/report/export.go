package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// JSON writes the whole report, indented.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("report: write JSON: %w", err)
	}
	return nil
}

// csvColumns is the header of CSV.
var csvColumns = []string{"run", "event", "step", "epoch", "action", "first", "last", "members", "member_scores",
	"score", "rank", "winner",
	"loss_before", "loss", "harm", "harm_se", "parameters_before", "parameters_after"}

// CSV writes one row for each candidate of each event, after RFC 4180. A merge's
// members and their scores are separated by spaces; a cell is empty if there is
// no such number.
func (r *Report) CSV(w io.Writer) error {
	var b bytes.Buffer
	c := csv.NewWriter(&b)
	c.Write(csvColumns) // writing to a bytes.Buffer never fails
	for _, run := range r.Runs {
		for _, e := range run.Events {
			for _, k := range e.Candidates {
				c.Write(candidateRow(run.Name, e, k))
			}
		}
	}
	c.Flush()
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("report: write CSV: %w", err)
	}
	return nil
}

func candidateRow(run string, e Event, k Candidate) []string {
	var members, scores []string
	for _, m := range k.Members {
		members = append(members, fmt.Sprintf("%d-%d", m.First, m.Last))
	}
	for _, s := range k.Scores {
		scores = append(scores, s.Cell())
	}
	whole := strconv.Itoa
	return []string{run, whole(e.Number), whole(e.Step), number(e.Epoch).Cell(), e.Action, whole(k.First), whole(k.Last),
		strings.Join(members, " "), strings.Join(scores, " "), k.Score.Cell(), whole(k.Rank), strconv.FormatBool(k.Winner),
		e.Loss.Cell(), k.Loss.Cell(), k.Increase.Cell(), k.IncreaseSE.Cell(), whole(e.ParametersBefore),
		whole(e.ParametersAfter)}
}
