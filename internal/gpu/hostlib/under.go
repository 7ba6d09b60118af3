//go:build linux

package hostlib

import (
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Under is for a test that needs a CUDA device in a package whose other tests do not. In a process that has a driver
// it returns true. Otherwise it runs the test again in a process that has the library, reports the result, and
// returns false.
func Under(t *testing.T) bool {
	t.Helper()
	if given() {
		return true
	}
	lib, err := Build(io.Discard)
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	selected := "^" + t.Name() + "$"
	if _, subtests, ok := strings.Cut(flag.Lookup("test.run").Value.String(), "/"); ok {
		selected += "/" + subtests
	}
	out, err := lib.Test("-test.run=" + selected)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

// With returns the library for a process with more environment variables, as name=value.
func (l Library) With(env ...string) Library {
	l.Env = slices.Concat(l.Env, env)
	return l
}

// Test runs tests of this binary in a process that uses the library. The flags select the tests.
func (l Library) Test(flags ...string) (output []byte, err error) {
	c := exec.Command(os.Args[0], append(flags, "-test.v")...)
	c.Env = slices.Concat(os.Environ(), l.Env, []string{child + "=1"})
	return c.CombinedOutput()
}
