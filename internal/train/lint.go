package train

import "github.com/lor2c/lor2c/internal/dataset"

// lint returns the lines that a run logs about its data before the first step: a
// profile of each split, then likely mistakes in them.
func (s *Session) lint(train, dev data) (lines []string) {
	lines = append(s.source.profile("train", train), s.source.profile("dev", dev)...)
	found := append(s.source.findings(train), s.source.findings(dev)...)
	for _, f := range append(found, dataset.Overlap(train.split, dev.split)...) {
		lines = append(lines, "note: "+f.String())
	}
	return lines
}
