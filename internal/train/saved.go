package train

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/place"
)

// AdapterDir returns the directory of an adapter in a run directory by its name:
// best, final or checkpoint-N. The error of one that is not there lists those that
// are.
func AdapterDir(run, name string) (string, error) {
	dir := filepath.Join(run, name)
	if _, err := os.Stat(dir); err == nil && name != "" && name != "." {
		return dir, nil
	}
	if !exists(filepath.Join(run, ConfigFile)) {
		return "", fmt.Errorf("train: open %s: there is no %s in it; want a directory that lor2c train wrote",
			run, ConfigFile)
	}
	entries, err := os.ReadDir(run)
	if err != nil {
		return "", fmt.Errorf("train: open %s: %w", run, err)
	}
	var there []string
	for _, e := range entries {
		_, isCheckpoint := checkpoint.Step(e.Name(), checkpointPrefix)
		if _, err := os.Stat(filepath.Join(run, e.Name())); err == nil && (isCheckpoint || e.Name() == bestLink || e.Name() == finalDir) {
			there = append(there, e.Name())
		}
	}
	switch {
	case there == nil:
		return "", fmt.Errorf("train: open %s: it has no %s: no checkpoint was saved so far", run, place.Quote(name))
	case name == bestLink:
		return "",
			fmt.Errorf("train: open %s: it has no best: no epoch is finished, or the link was removed, and the command that trained it makes it again; it has %s", run, place.List(there))
	}
	return "", fmt.Errorf("train: open %s: it has no %s; it has %s", run, place.Quote(name), place.List(there))
}
