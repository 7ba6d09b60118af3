package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// ErrNone is wrapped by the error of [Latest] when no valid directory exists.
var ErrNone = errors.New("there is no valid one")

// Skipped is a directory that [Latest] skipped, with the reason.
type Skipped struct {
	Dir string
	Err error // of VerifyDir
}

// List returns the steps of the directories in runDir that are named prefix plus
// a step, as in "checkpoint-500" for the prefix "checkpoint-", in rising order.
// It does not check whether they are valid; see [VerifyDir].
func List(runDir, prefix string) (steps []int, err error) {
	entries, err := os.ReadDir(runDir)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: list %s* in %s: %w; a run folder is expected", prefix, runDir,
			place.WithoutPath(err))
	}
	for _, e := range entries {
		if step, ok := Step(e.Name(), prefix); ok && e.IsDir() {
			steps = append(steps, step)
		}
	}
	// The order is by step and not by time, because a copy to another disk may
	// keep only the names.
	slices.Sort(steps)
	return steps, nil
}

// Step returns the step in a name that is prefix plus a step. Only the form
// that this program writes is accepted: "7", but not "07" or "+7".
func Step(name, prefix string) (step int, ok bool) {
	digits, found := strings.CutPrefix(name, prefix)
	step, err := strconv.Atoi(digits)
	return step, found && err == nil && step >= 0 && strconv.Itoa(step) == digits
}

// Latest returns the valid directory with the highest step among those that
// [List] lists. Directories that fail [VerifyDir] are skipped, newest first,
// and returned. If none is valid the error wraps [ErrNone].
func Latest(runDir, prefix string) (dir string, skipped []Skipped, err error) {
	steps, err := List(runDir, prefix)
	if err != nil {
		return "", nil, err
	}
	for _, step := range slices.Backward(steps) {
		dir := filepath.Join(runDir, prefix+strconv.Itoa(step))
		err := VerifyDir(dir)
		if err == nil {
			return dir, skipped, nil
		}
		skipped = append(skipped, Skipped{dir, err})
	}
	return "", skipped, fmt.Errorf("checkpoint: find the latest %s* in %s: %w among %d; start a new run", prefix, runDir,
		ErrNone, len(steps))
}
