package hostlib

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// Under is for a single test that needs a CUDA device in a package whose other
// tests do not. It returns true in a process that has a driver; elsewhere it
// runs the test again in one that has the library, reports how that went, and
// returns false.
func Under(t *testing.T) bool {
	t.Helper()
	if given() {
		return true
	}
	lib, err := Build()
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = slices.Concat(os.Environ(), lib.Env, []string{child + "=1"})
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}
