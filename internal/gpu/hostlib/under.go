//go:build linux

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
	out, err := lib.Test("-test.run=^" + t.Name() + "$")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

// Test runs tests of this binary, chosen by its flags, in a process that uses
// the library.
func (l Library) Test(flags ...string) (output []byte, err error) {
	c := exec.Command(os.Args[0], append(flags, "-test.v")...)
	c.Env = slices.Concat(os.Environ(), l.Env, []string{child + "=1"})
	return c.CombinedOutput()
}
