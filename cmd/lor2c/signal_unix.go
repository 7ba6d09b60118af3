//go:build unix

package main

import (
	"os"
	"syscall"
)

// warnings are further signals that ask a process to save and stop, for example
// Slurm's --signal=USR1@120.
var warnings = []os.Signal{syscall.SIGUSR1}
