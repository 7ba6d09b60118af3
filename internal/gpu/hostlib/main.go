//go:build linux

package hostlib

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// child marks a test process that Main has started.
const child = "LOR2C_HOST_CHILD"

// Main is the TestMain of a package whose tests need a CUDA device. It builds
// the library and starts the test binary again with it. Where there is no
// compiler it says so and runs the tests without a device, and with
// LOR2C_REQUIRE_GPU=1, or LOR2C_LIBCUDA set, it leaves the choice of a driver
// alone.
func Main(m *testing.M) {
	if given() {
		// What a test starts is not to be preloaded.
		_ = os.Unsetenv("LD_PRELOAD")
		code := m.Run()
		if os.Getenv(child) != "" {
			logInputs()
		}
		os.Exit(code)
	}
	lib, err := Build()
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

// given reports whether this process is to take the driver it finds.
func given() bool {
	return os.Getenv(child) != "" || os.Getenv("LOR2C_REQUIRE_GPU") == "1" || os.Getenv("LOR2C_LIBCUDA") != ""
}

// start runs this program from its beginning with the library.
func start(lib Library) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The first of two values of a variable counts.
	return syscall.Exec(self, os.Args, slices.Concat(lib.Env, []string{child + "=1"}, os.Environ()))
}

// logInputs adds to the record that `go test` keeps of what a test reads, and
// repeats it for: the library was made before that record began. Where it
// cannot be written, go test repeats the test always.
func logInputs() {
	log := flag.Lookup("test.testlogfile")
	dir, err := kernelDir()
	if log == nil || log.Value.String() == "" || err != nil {
		return
	}
	var lines strings.Builder
	for _, name := range []string{"CXX", "LOR2C_HOST_SEED", "LOR2C_HOST_FAST"} {
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
