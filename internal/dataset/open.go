package dataset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// Request is what a caller wants of a data set.
type Request struct {
	// Splits are the splits that will be loaded. Their files must exist; no
	// other file is opened, except train if the classes can only come from it.
	// nil means a training run: it loads train and dev, and every file that the
	// configuration names must exist, because a missing test file must not be
	// noticed only after hours of training.
	Splits []string
	// Labels are the class names in order, if they are known from a trained
	// adapter. A custom task takes its classes from Config.Labels, or else from
	// Labels, or else from train.
	Labels []string
	// Seed is the seed of the draw of dev if Config.Dev is a fraction of train.
	Seed uint64
}

// Set is an opened data set. Load reads its splits. Its methods are safe for
// concurrent use.
type Set struct {
	Task      Task
	Format    string // "glue-tsv", "glue-parquet" or "custom"
	MaxLength int    // Config.MaxLength, or the task's own

	files  map[string][]string // split -> files that exist
	sides  []string            // every split the task may have, in order
	where  string              // the folders that were searched, for messages
	wanted string              // extensions of files, for messages
	read   func(ctx context.Context, split string, paths []string) (*Split, error)
}

// Open checks the configuration and finds the files. It returns all faults of
// Validate joined, or the first fault of the files. It reads train of a custom
// classification task if neither c nor r lists the classes, and no other file.
// It returns the error of ctx if that ends.
func Open(ctx context.Context, c Config, r Request) (*Set, error) {
	if f := c.Validate(); len(f) > 0 {
		return nil, place.Mistake(errors.Join(f...))
	}
	var s *Set
	var err error
	if g, ok := glueByName(taskName(c.Task)); ok {
		if s, err = openGLUE(g, c); err == nil {
			err = s.find(r.Splits)
		}
	} else {
		s, err = openCustom(ctx, c, r)
	}
	if err != nil {
		return nil, place.Given(err)
	}
	if c.Metric != "" {
		s.Task.Select = c.Metric
		if !slices.Contains(s.Task.Metrics, c.Metric) {
			s.Task.Metrics = append(slices.Clone(s.Task.Metrics), c.Metric)
		}
	}
	if err := s.Task.checkMetrics(); err != nil {
		return nil, place.Mistake(fmt.Errorf("dataset: data.metric: %w", err))
	}
	return s, nil
}

// find returns an error if one of splits has no file.
func (s *Set) find(splits []string) error {
	if splits == nil {
		splits = append([]string{"train", "dev"}, s.Splits()...)
	}
	for _, split := range splits {
		paths, err := s.paths(split)
		if err != nil {
			return err
		}
		for _, path := range paths {
			if !isFile(path) {
				return place.Mistake(fmt.Errorf("dataset: data.%s: no file %q; want a %s file", split, path, s.wanted))
			}
		}
	}
	return nil
}

// Splits returns those of train, dev, dev_mismatched, test and test_mismatched
// that have a file, in this order.
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
// dev_mismatched and test_mismatched the others. Errors name file and line; if
// ctx ends, Load returns its error. The caller must not change the result,
// because calls can share it.
func (s *Set) Load(ctx context.Context, split string) (*Split, error) {
	paths, err := s.paths(split)
	if err != nil {
		return nil, err
	}
	sp, err := s.read(ctx, splitName(split), paths)
	return sp, place.Given(err)
}

// splitName returns the short name of a split, which for the matched halves of
// MNLI is that without "_matched".
func splitName(split string) string { return strings.TrimSuffix(split, "_matched") }

// paths returns the files of a split, or an error if it has none.
func (s *Set) paths(split string) ([]string, error) {
	name := splitName(split)
	if !slices.Contains(s.sides, name) {
		return nil, place.Mistake(fmt.Errorf("dataset: load %s: no split %q; want one of %s", cmp.Or(s.Task.Name, s.Format),
			split, oneOf(split, s.sides)))
	}
	if len(s.files[name]) == 0 && s.Format == customTask {
		hint := "a " + s.wanted + " file"
		if name == "dev" {
			hint += ", or a fraction of data.train such as 0.2"
		}
		return nil, place.Mistake(fmt.Errorf("dataset: data.%s: not set; want %s", name, hint))
	}
	if len(s.files[name]) == 0 {
		return nil, place.Mistake(fmt.Errorf("dataset: load %s: no file for split %q in %s; found %q", s.Task.Name, split,
			s.where, s.Splits()))
	}
	return s.files[name], nil
}

// openGLUE looks for the files of a task in the given folder and in subfolders
// that are named as in the two distributions. If a folder has both layouts, it
// uses TSV.
func openGLUE(g glueTask, c Config) (*Set, error) {
	s := &Set{MaxLength: c.MaxLength}
	if s.MaxLength == 0 {
		s.MaxLength = g.maxLength
	}
	for _, f := range g.files() {
		s.sides = append(s.sides, f.split)
	}
	dirs := g.dirs(c)
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
	return nil, place.Mistake(fmt.Errorf("dataset: open %s: no data files; looked for %s and %s-*.parquet and the "+
		"other splits in %s",
		g.name, first.tsv, first.stem, strings.Join(dirs, ", ")))
}

// dirs returns the folders in which the task's files are looked for.
func (g glueTask) dirs(c Config) []string {
	return []string{c.Dir, filepath.Join(c.Dir, g.folder), filepath.Join(c.Dir, g.name)}
}

// Files returns the paths of the data files that the configuration names, whether or
// not they exist. Of a GLUE task it returns every file of either layout in the folders
// where Open looks.
func (c Config) Files() (paths []string) {
	g, ok := glueByName(taskName(c.Task))
	if !ok {
		return []string{c.Train, string(c.Dev), c.Test}
	}
	for _, dir := range g.dirs(c) {
		for _, f := range g.files() {
			// An incomplete set of shards is an error that Open returns.
			shards, _ := findShards(dir, f.stem)
			paths = append(append(paths, filepath.Join(dir, f.tsv)), shards...)
		}
	}
	return paths
}

func (g glueTask) readTSV(ctx context.Context, split string, paths []string) (*Split, error) {
	in, err := openInput(ctx, paths[0])
	if err != nil {
		return nil, fmt.Errorf("dataset: open %s: %w", paths[0], err)
	}
	defer in.Close()
	head, err := openText(paths[0], in)
	if err != nil {
		return nil, err
	}
	l := g.tsvLayout(split)
	t, err := readTSV(paths[0], head, l)
	if err != nil {
		return nil, err
	}
	return g.task(false).split(t, in.file(), l.needLabel, g.score())
}
