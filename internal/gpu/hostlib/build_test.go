//go:build linux

package hostlib

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// build builds the library, or skips the test if it cannot be built.
func build(t *testing.T) Library {
	t.Helper()
	lib, err := Build(io.Discard)
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
	if _, err := Build(io.Discard); !errors.Is(err, ErrNoCompiler) {
		t.Errorf("error %v; want ErrNoCompiler", err)
	}
}

// TestProgress: each source that is compiled is reported, and none that is in the cache.
func TestProgress(t *testing.T) {
	c, err := newCompiler(fast)
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c.cache = filepath.Join(dir, "cache")
	var units []unit
	for _, name := range []string{"one.cpp", "two.cpp"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("int "+strings.TrimSuffix(name, ".cpp")+";\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		units = append(units, unit{path, c.runtime})
	}
	for _, want := range []int{2, 0} {
		var progress bytes.Buffer
		c.progress = &progress
		if _, err := c.link(dir, units, "library.so", "-shared"); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(progress.String(), " of 2: compiled "); got != want {
			t.Errorf("%d lines of progress; want %d:\n%s", got, want, progress.String())
		}
	}
}
