package train

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDanglingDirectory: a run directory that is a link to nothing is a mistake of the
// user, and the error names the target.
func TestDanglingDirectory(t *testing.T) {
	link := filepath.Join(t.TempDir(), "run")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Skip(err)
	}
	_, err := openDirectory(link, func() bool { return false })
	want := "train: open " + link + ": it is a link to nowhere, which does not exist; " +
		"create that directory, or choose another with --out"
	if !errors.Is(err, ErrOtherRun) || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

// TestAdviceAtFirstStep: no learning rate has been applied before step 1, so the error
// does not blame it.
func TestAdviceAtFirstStep(t *testing.T) {
	for step, blamed := range map[int]bool{1: false, 2: true} {
		err := &NonFiniteError{Step: step, Tensor: "the loss", Examples: []string{"f:2"}}
		if got := strings.Contains(err.Error(), "optim.lr"); got != blamed {
			t.Errorf("step %d: %v", step, err)
		}
	}
}
