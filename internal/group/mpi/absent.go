//go:build !((mpi || cuda) && linux && (amd64 || arm64))

package mpi

import (
	"errors"

	"github.com/lor2c/lor2c/internal/group"
)

// Built reports whether this binary contains the engine.
const Built = false

// Open returns an error, because this binary was built without the engine.
func Open(Options) (group.Group, error) {
	return nil, errors.New("mpi: open the library: this binary was built without MPI; build it on Linux with make build")
}
