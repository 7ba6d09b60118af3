package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
)

// Set is an opened data set. Splits are read when Load asks for them; a Set may
// be used from several goroutines.
type Set struct {
	Task      Task
	Format    string // "glue-tsv", "glue-parquet" or "custom"
	MaxLength int    // Config.MaxLength, or the task's own

	files map[string][]string // split -> files that exist
	sides []string            // every split the task may have, in order
	where string              // what was looked through, for messages
	read  func(split string, paths []string) (*Split, error)
}

// Open checks the configuration and finds the files. It returns all faults of
// Validate joined, or the first fault met in the files. Only a custom
// classification task without a list of labels makes it read one: train.
func Open(c Config) (*Set, error) {
	if f := c.Validate(); len(f) > 0 {
		return nil, place.Mistake(errors.Join(f...))
	}
	var s *Set
	var err error
	if g, ok := glueByName(taskName(c.Task)); ok {
		s, err = openGLUE(g, c)
	} else {
		s, err = openCustom(c)
	}
	if err != nil {
		return nil, err
	}
	if c.Metric != "" {
		s.Task.Select = c.Metric
		if !slices.Contains(s.Task.Metrics, c.Metric) {
			s.Task.Metrics = append(slices.Clone(s.Task.Metrics), c.Metric)
		}
	}
	if _, err := metric.NewAccumulator(s.Task.Metrics, s.Task.Outputs()); err != nil {
		return nil, place.Mistake(fmt.Errorf("dataset: data.metric: %w", err))
	}
	return s, nil
}

// Splits lists the splits that have a file, out of train, dev, dev_mismatched,
// test and test_mismatched, in this order.
func (s *Set) Splits() []string {
	var have []string
	for _, side := range s.sides {
		if len(s.files[side]) > 0 {
			have = append(have, side)
		}
	}
	return have
}

// Load reads one split. For mnli, dev and test are the matched halves and
// dev_mismatched and test_mismatched the others. Errors name file and line.
func (s *Set) Load(split string) (*Split, error) {
	name := strings.TrimSuffix(split, "_matched")
	if !slices.Contains(s.sides, name) {
		return nil, place.Mistake(fmt.Errorf("dataset: load %s: no split %q; want one of %s", s.Task.Name, split, oneOf(split, s.sides)))
	}
	paths := s.files[name]
	if len(paths) == 0 {
		return nil, place.Mistake(fmt.Errorf("dataset: load %s: no file for split %q in %s; found %q", s.Task.Name, split, s.where, s.Splits()))
	}
	return s.read(name, paths)
}

// openGLUE looks for the task's files in the folder given and in a subfolder
// named as in either distribution. TSV wins where both layouts lie together.
func openGLUE(g glueTask, c Config) (*Set, error) {
	s := &Set{MaxLength: c.MaxLength}
	if s.MaxLength == 0 {
		s.MaxLength = g.maxLength
	}
	for _, f := range g.files() {
		s.sides = append(s.sides, f.split)
	}
	dirs := []string{c.Dir, filepath.Join(c.Dir, g.folder), filepath.Join(c.Dir, g.name)}
	for _, dir := range dirs {
		tsv, parquet := map[string][]string{}, map[string][]string{}
		for _, f := range g.files() {
			if path := filepath.Join(dir, f.tsv); isFile(path) {
				tsv[f.split] = []string{path}
			}
			shards, err := findShards(dir, f.stem)
			if err != nil {
				return nil, err
			}
			if shards != nil {
				parquet[f.split] = shards
			}
		}
		s.where = dir
		switch {
		case len(tsv) > 0:
			s.Task, s.Format, s.files, s.read = g.task(false), "glue-tsv", tsv, g.readTSV
			return s, nil
		case len(parquet) > 0:
			s.Task, s.Format, s.files, s.read = g.task(true), "glue-parquet", parquet, g.readParquet
			return s, nil
		}
	}
	first := g.files()[0]
	return nil, place.Mistake(fmt.Errorf("dataset: open %s: no data files; looked for %s and %s-*.parquet and the other splits in %s",
		g.name, first.tsv, first.stem, strings.Join(dirs, ", ")))
}

func (g glueTask) readTSV(split string, paths []string) (*Split, error) {
	f, err := os.Open(paths[0])
	if err != nil {
		return nil, fmt.Errorf("dataset: load %s: %w", g.name, err)
	}
	defer f.Close()
	l := g.tsvLayout(split)
	rows, skipped, err := readTSV(paths[0], f, l)
	if err != nil {
		return nil, err
	}
	examples, err := g.task(false).examples(paths[0], rows, l.needLabel, g.score())
	return &Split{Path: paths[0], Examples: examples, Skipped: skipped}, err
}

func openCustom(c Config) (*Set, error) {
	s := &Set{
		Task:      Task{Name: customTask, Labels: c.Labels},
		Format:    "custom",
		MaxLength: c.MaxLength,
		files:     map[string][]string{},
		sides:     []string{"train", "dev", "test"},
		where:     "data.train, data.dev and data.test",
	}
	if s.MaxLength == 0 {
		s.MaxLength = 256
	}
	for _, split := range s.sides {
		path, ok := c.paths()[split]
		if !ok {
			continue
		}
		// All files are looked for now: a test file missed after hours of
		// training is found too late.
		if !isFile(path) {
			return nil, place.Mistake(fmt.Errorf("dataset: data.%s: no file %q; want a .csv, .tsv or .jsonl file", split, path))
		}
		s.files[split] = []string{path}
	}
	rows := func(split, path string) ([]row, error) {
		return readFile(path, layout{text: c.Text, label: c.Label, needLabel: !isTest(split)})
	}
	switch {
	case c.Kind == Regression:
		s.Task.Labels = nil
		s.Task.Metrics = []string{"pearson", "spearman"}
	case len(c.Labels) == 0:
		train, err := rows("train", c.Train)
		if err != nil {
			return nil, err
		}
		if s.Task.Labels, err = labelSet(c.Train, train); err != nil {
			return nil, err
		}
		fallthrough
	default:
		s.Task.Metrics = []string{"accuracy", "matthews"}
		if len(s.Task.Labels) == 2 {
			s.Task.Metrics = []string{"accuracy", "f1", "matthews"}
		}
	}
	s.Task.Select = s.Task.Metrics[0]
	task := s.Task
	s.read = func(split string, paths []string) (*Split, error) {
		r, err := rows(split, paths[0])
		if err != nil {
			return nil, err
		}
		examples, err := task.examples(paths[0], r, !isTest(split), anyScore)
		return &Split{Path: paths[0], Examples: examples}, err
	}
	return s, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
