package train

import "github.com/lor2c/lor2c/internal/dataset"

// lint returns the lines that a run logs about its data before the first step: a
// profile of each split, then likely mistakes in them.
func (s *Session) lint(train, dev data) (lines []string) {
	if train.rows != nil {
		return append(train.rowLines("train"), dev.rowLines("dev")...)
	}
	task := s.Set.Task
	lines = append(lines, task.Profile("train", train.split, train.Encoded).String())
	lines = append(lines, task.Profile("dev", dev.split, dev.Encoded).String())
	found := append(task.Lint(train.split), task.Lint(dev.split)...)
	for _, f := range append(found, dataset.Overlap(train.split, dev.split)...) {
		lines = append(lines, "note: "+f.String())
	}
	return lines
}

// findings returns likely mistakes in a split. Those of the task instruct are found when it is encoded.
func (s *Session) findings(d data) []dataset.Finding {
	if d.rows != nil {
		return nil
	}
	return s.Set.Task.Lint(d.split)
}
