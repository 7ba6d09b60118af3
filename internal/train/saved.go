package train

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/place"
)

// AdapterDir returns the path of the adapter named best, final or checkpoint-N in a run
// directory. If it does not exist, the error lists those that do.
func AdapterDir(run, name string) (string, error) {
	dir := filepath.Join(run, name)
	if _, err := os.Stat(dir); err == nil && name != "" && name != "." {
		return dir, nil
	}
	if err := CheckDirectory(run); err != nil {
		return "", err
	}
	there, err := Adapters(run)
	if err != nil {
		return "", err
	}
	switch {
	case there == nil:
		return "", fmt.Errorf("train: open %s: it has no %s, because no checkpoint was saved yet", run, place.Quote(name))
	case name == bestLink:
		return "", fmt.Errorf("train: open %s: it has no best, because no epoch is finished yet or the link was "+
			"removed, which the command that trained it restores; want one of %s", run, place.List(there))
	}
	return "", fmt.Errorf("train: open %s: it has no %s; it has %s", run, place.Quote(name), place.List(there))
}

// CheckDirectory returns an error if path is no run directory.
func CheckDirectory(path string) error {
	if exists(filepath.Join(path, ConfigFile)) {
		return nil
	}
	what := "it has no " + ConfigFile
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		what = "there is no such directory"
	case err == nil && !info.IsDir():
		what = "it is a file"
	}
	return fmt.Errorf("train: open %s: %s; name a directory that lor2c train wrote", path, what)
}

// Adapters lists the adapters in a run directory by their names: best, the checkpoints by their steps, and final.
func Adapters(run string) (there []string, err error) {
	entries, err := os.ReadDir(run)
	if err != nil {
		return nil, fmt.Errorf("train: open %s: %w", run, err)
	}
	for _, e := range entries {
		_, isCheckpoint := checkpoint.Step(e.Name(), checkpointPrefix)
		isAdapter := isCheckpoint || e.Name() == bestLink || e.Name() == finalDir
		if _, err := os.Stat(filepath.Join(run, e.Name())); err == nil && isAdapter {
			there = append(there, e.Name())
		}
	}
	slices.SortFunc(there, func(a, b string) int {
		s, isA := checkpoint.Step(a, checkpointPrefix)
		t, isB := checkpoint.Step(b, checkpointPrefix)
		if isA && isB {
			return cmp.Compare(s, t)
		}
		return cmp.Compare(a, b)
	})
	return there, nil
}

// Continues reports whether a checkpoint directory has the state from which a run can continue.
func Continues(dir string) bool { return exists(filepath.Join(dir, stateFile)) }
