//go:build !((mpi || cuda) && linux && (amd64 || arm64))

package mpi

import (
	"errors"
	"os/exec"

	"github.com/lor2c/lor2c/internal/group"
)

// Built reports whether this binary contains the engine.
const Built = false

var errAbsent = errors.New("mpi: this binary was built without MPI; build it on Linux with make build, or take the " +
	"release for linux/amd64")

// Open returns an error, because this binary was built without the engine.
func Open(Options) (group.Group, error) { return nil, errAbsent }

// Command returns an error, because the ranks would not find the engine.
func Command(int, string, ...string) (*exec.Cmd, error) { return nil, errAbsent }

// Stop is not called, because Command has started nothing.
func Stop(*exec.Cmd) error { return errAbsent }
