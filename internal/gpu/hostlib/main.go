//go:build linux

package hostlib

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// child is the environment variable that marks a test process started by Main.
const child = "LOR2C_HOST_CHILD"

// Main is the TestMain of a package whose tests need a CUDA device. It builds the library and starts the test binary
// again with it. If there is no compiler it prints that and runs the tests without a device. If LOR2C_REQUIRE_GPU is
// 1 or LOR2C_LIBCUDA is set it does not change the driver.
func Main(m *testing.M) {
	if given() {
		// Processes that a test starts must not preload the library.
		_ = os.Unsetenv("LD_PRELOAD")
		code := m.Run()
		if os.Getenv(child) != "" {
			logInputs()
		}
		os.Exit(code)
	}
	lib, err := Build(io.Discard)
	if errors.Is(err, ErrNoCompiler) {
		fmt.Fprintln(os.Stderr, "no kernels on the CPU:", err)
		os.Exit(m.Run())
	}
	if err == nil {
		err = start(lib)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Card reports whether the library of this process has the arithmetic of a card.
func Card() bool { return os.Getenv("LOR2C_HOST_MODE") == "card" }

// given reports whether this process must use the driver that it finds.
func given() bool {
	return os.Getenv(child) != "" || os.Getenv("LOR2C_REQUIRE_GPU") == "1" || os.Getenv("LOR2C_LIBCUDA") != ""
}

// start replaces this process by the same program with the library.
func start(lib Library) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// If a variable is set twice, the first value counts.
	return syscall.Exec(self, os.Args, slices.Concat(lib.Env, []string{child + "=1"}, os.Environ()))
}

// logInputs adds the sources of the library to the list of files that `go test` checks before it reuses a cached
// result, because the library was built before go test began that list. If the list cannot be written, go test never
// reuses the result.
func logInputs() {
	log := flag.Lookup("test.testlogfile")
	dir, err := kernelDir()
	if log == nil || log.Value.String() == "" || err != nil {
		return
	}
	var lines strings.Builder
	for _, name := range []string{"CXX", "LOR2C_HOST_SEED", "LOR2C_HOST_FAST", "LOR2C_HOST_MODE"} {
		fmt.Fprintf(&lines, "getenv %s\n", name)
	}
	for _, pattern := range append([]string{".", "host"}, inputs...) {
		paths, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, p := range paths {
			fmt.Fprintf(&lines, "open %s\n", p)
		}
	}
	f, err := os.OpenFile(log.Value.String(), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(lines.String())
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		_ = os.Remove(log.Value.String())
	}
}
