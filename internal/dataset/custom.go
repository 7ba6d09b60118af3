package dataset

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
)

// extensions are the extensions of the files of a custom task.
var extensions = []string{".csv", ".tsv", ".jsonl"}

// customFiles reads the files of a custom task. It keeps train in memory,
// because a run may need it twice, for its classes and to divide it, and it may
// be a pipe, which can be read only once.
type customFiles struct {
	config Config
	seed   uint64
	task   Task

	mu    sync.Mutex
	train *Split
}

func openCustom(ctx context.Context, c Config, r Request) (*Set, error) {
	s := &Set{
		Format:    customTask,
		MaxLength: c.MaxLength,
		files:     map[string][]string{},
		sides:     []string{"train", "dev", "test"},
		wanted:    c.wantedFile(),
	}
	if s.MaxLength == 0 {
		s.MaxLength = 256
	}
	for split, path := range c.paths() {
		s.files[split] = []string{path}
	}
	if _, isFraction := c.Dev.Fraction(); isFraction {
		s.files["dev"] = s.files["train"]
	}
	if err := s.find(r.Splits); err != nil {
		return nil, err
	}
	f := &customFiles{config: c, seed: r.Seed, task: Task{Name: customTask, Text: c.Text}}
	switch c.Kind {
	case MultiLabel:
		f.task = c.multiLabelTask()
	case Tokens:
		f.task = c.tokensTask()
	}
	if f.task.Labels = c.Labels; len(c.Labels) == 0 {
		f.task.Labels = r.Labels
	}
	switch {
	case c.Kind == Regression:
		f.task.Labels = nil
		f.task.Metrics = []string{"pearson", "spearman"}
	case len(f.task.Labels) == 0:
		if err := s.find([]string{"train"}); err != nil {
			return nil, fmt.Errorf("%w, or the class names in data.labels", err)
		}
		if err := f.readTrain(ctx); err != nil {
			return nil, err
		}
	}
	switch c.Kind {
	case Tokens:
		f.task.Metrics = tagMetrics(f.task.Labels)
	case "", Classification:
		f.task.Metrics = []string{"accuracy", "matthews"}
		if len(f.task.Labels) == 2 {
			f.task.Metrics = []string{"accuracy", "f1", "matthews"}
		}
	}
	f.task.Select = f.task.Metrics[0]
	s.Task, s.read = f.task, f.split
	return s, nil
}

// readTrain reads train and, if the classes are not known, takes them from it.
func (f *customFiles) readTrain(ctx context.Context) error {
	if f.train != nil {
		return nil
	}
	t, file, err := f.read(ctx, f.config.Train, true)
	if err != nil {
		return err
	}
	if f.task.Labels == nil && f.config.Kind == Tokens {
		seen := usesOfTags(f.config.Train, t.rows)
		if f.task.Labels, err = labelSet(f.config.Train, seen); err != nil {
			return err
		}
		t.findings = append(t.findings, lintLabels(f.config.Train, Classification, f.task.Labels, t.rows, seen)...)
	} else if f.task.Labels == nil && f.config.Kind != Regression {
		rows, kind := t.rows, f.config.Kind
		if kind == MultiLabel {
			if rows, err = f.task.listed(f.config.Train, rows); err != nil {
				return err
			}
			kind = Classification // numbers are names of labels
		}
		seen := uses(rows)
		labels, err := labelSet(f.config.Train, seen)
		if err == nil {
			err = checkNumbers(f.config.Train, kind, labels, seen)
		}
		if err == nil && f.config.Kind != MultiLabel {
			err = checkNoList(f.config.Train, labels, seen)
		}
		if err != nil {
			return err
		}
		f.task.Labels = labels
		t.findings = append(t.findings, lintLabels(f.config.Train, kind, labels, rows, seen)...)
		if f.config.Kind == MultiLabel {
			t.findings = append(t.findings, lintSeparator(f.config.Train, labels)...)
		}
	}
	f.train, err = f.task.split(t, file, true, anyScore)
	return err
}

// split returns one split. It keeps train and the dev split that is a fraction
// of it.
func (f *customFiles) split(ctx context.Context, split string, paths []string) (*Split, error) {
	fraction, isFraction := f.config.Dev.Fraction()
	if split == "test" || split == "dev" && !isFraction {
		t, file, err := f.read(ctx, paths[0], !isTest(split))
		if err != nil {
			return nil, err
		}
		return f.task.split(t, file, !isTest(split), anyScore)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.readTrain(ctx); err != nil || !isFraction {
		return f.train, err
	}
	train, dev, err := f.task.divide(f.train, fraction, f.seed)
	if split == "dev" {
		return dev, err
	}
	return train, err
}

// read parses a file in the format of its extension.
func (f *customFiles) read(ctx context.Context, path string, needLabel bool) (t table, file File, err error) {
	in, err := openInput(ctx, path)
	if err != nil {
		return t, file, fmt.Errorf("dataset: open %s: %w", path, err)
	}
	defer in.Close()
	head, err := openText(path, in)
	if err != nil {
		return t, file, err
	}
	if f.config.Kind == Tokens {
		l := sentenceLayout{text: strings.Join(f.config.Text, ""), label: f.config.Label, labels: f.task.Labels,
			needTags: needLabel}
		t, err = readSentences(path, head, l)
		return t, in.file(), err
	}
	l := layout{text: f.config.Text, label: f.config.Label, needLabel: needLabel, quotes: true,
		lists: f.config.Kind == MultiLabel}
	if f.config.inColumns() {
		l.flags = f.config.Labels
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		t, err = readCSV(path, head, l)
	case ".jsonl":
		t, err = readJSONL(path, head, l)
	default:
		t, err = readTSV(path, head, l)
	}
	return t, in.file(), err
}

// split returns the split of a table, whose labels it interprets.
func (t Task) split(from table, file File, needLabel bool, s score) (*Split, error) {
	if !needLabel && t.Kind == MultiLabel {
		t.takeWithheldSets(from.rows)
		from.findings = append(from.findings, partlyLabelled(file.Path, from.rows)...)
	} else if !needLabel && t.Kind == Tokens {
		from.findings = append(from.findings, partlyLabelled(file.Path, from.rows)...)
	} else if !needLabel {
		from.findings = append(from.findings, t.takeWithheld(file.Path, from.rows)...)
	}
	examples, err := t.examples(file.Path, from.rows, needLabel, s)
	if err != nil {
		return nil, err
	}
	split := &Split{Path: file.Path, Files: []File{file}, Examples: examples, Skipped: from.skipped,
		Findings: from.findings}
	return split, checkEmpty(split)
}
