//go:build linux

package hostlib

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// build builds the library, or skips the test if it cannot be built.
func build(t *testing.T) Library {
	t.Helper()
	lib, err := Build()
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

func TestBuild(t *testing.T) {
	lib := build(t)
	first, err := os.Stat(lib.Path)
	if err != nil {
		t.Fatal(err)
	}
	again := build(t)
	second, err := os.Stat(again.Path)
	if err != nil {
		t.Fatal(err)
	}
	if again.Path != lib.Path || !second.ModTime().Equal(first.ModTime()) {
		t.Errorf("built twice: %s at %v, %s at %v", lib.Path, first.ModTime(), again.Path, second.ModTime())
	}
	if got := strings.Join(lib.Env, " "); !strings.Contains(got, "LOR2C_LIBCUDA="+lib.Path) {
		t.Errorf("environment %q does not name the library", got)
	}
}

func TestBuildWithoutCompiler(t *testing.T) {
	t.Setenv("CXX", "no-such-compiler")
	if _, err := Build(); !errors.Is(err, ErrNoCompiler) {
		t.Errorf("error %v; want ErrNoCompiler", err)
	}
}
