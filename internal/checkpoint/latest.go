package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNone is wrapped by the error of [Latest] when no valid directory exists.
var ErrNone = errors.New("there is no valid one")

// Skipped is a directory that [Latest] passed over, and why.
type Skipped struct {
	Dir string
	Err error // of VerifyDir
}

// Latest finds the valid directory named prefix plus a step, as in
// "checkpoint-500" for the prefix "checkpoint-", with the highest step in
// runDir. Directories that fail [VerifyDir] are skipped, newest first, and
// returned. Where none is left the error wraps [ErrNone].
func Latest(runDir, prefix string) (dir string, skipped []Skipped, err error) {
	entries, err := os.ReadDir(runDir)
	if err != nil {
		return "", nil, fmt.Errorf("checkpoint: find the latest %s* in %s: %w; a run folder is expected", prefix, runDir, bare(err))
	}
	var steps []int
	for _, e := range entries {
		digits, found := strings.CutPrefix(e.Name(), prefix)
		step, err := strconv.Atoi(digits)
		// Only the spelling that this program writes: "7", neither "07" nor "+7".
		if found && err == nil && step >= 0 && strconv.Itoa(step) == digits && e.IsDir() {
			steps = append(steps, step)
		}
	}
	// By step, not by time: a copy to another disk keeps names, not times.
	slices.SortFunc(steps, func(a, b int) int { return cmp.Compare(b, a) })
	for _, step := range steps {
		dir := filepath.Join(runDir, prefix+strconv.Itoa(step))
		err := VerifyDir(dir)
		if err == nil {
			return dir, skipped, nil
		}
		skipped = append(skipped, Skipped{dir, err})
	}
	return "", skipped, fmt.Errorf("checkpoint: find the latest %s* in %s: %w among %d; start a new run", prefix, runDir, ErrNone, len(steps))
}
