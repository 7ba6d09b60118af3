package train

import "github.com/lor2c/lor2c/internal/dataset"

// lint returns what there is to say about the data of a run before its first
// step, a line each: both splits in numbers, then what is seldom meant.
func (s *Session) lint(train, dev data) (lines []string) {
	task := s.Set.Task
	lines = append(lines, task.Profile("train", train.split, train.Encoded).String(), task.Profile("dev", dev.split, dev.Encoded).String())
	found := append(task.Lint(train.split), task.Lint(dev.split)...)
	for _, f := range append(found, dataset.Overlap(train.split, dev.split)...) {
		lines = append(lines, "note: "+f.String())
	}
	return lines
}
