//go:build linux

// Command hostkernels compiles the kernels for the CPU and reports how far it is. `make test` runs it first, because
// `go test` prints nothing of a package before its tests have ended, and a first compilation takes a minute or more.
// It succeeds where there is no compiler, because the tests then run without the kernels.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

func main() {
	lib, err := hostlib.Build(os.Stdout)
	switch {
	case errors.Is(err, hostlib.ErrNoCompiler):
		fmt.Printf("kernels on the CPU: left out; install g++ (%v)\n", err)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	default:
		fmt.Println("kernels on the CPU:", lib.Path)
	}
}
