//go:build !linux

package sandbox

import (
	"context"
	"errors"
)

// Sandbox runs programs, on Linux only.
type Sandbox struct{}

var errLinux = errors.New("sandbox: open: it needs seccomp and landlock, which only Linux has")

// Open returns an error.
func Open(context.Context, Mode) (*Sandbox, error) { return nil, errLinux }

// Layers names the restrictions that are in force.
func (s *Sandbox) Layers() string { return "" }

// Run returns an error.
func (s *Sandbox) Run(context.Context, string) (string, error) { return "", errLinux }

// Child does nothing.
func Child() {}
