//go:build unix

package main

import (
	"os"
	"syscall"
)

// warnings are the signals beside SIGHUP, SIGINT and SIGTERM that ask a process
// to save and stop: Slurm's --signal=USR1@120 is an example.
var warnings = []os.Signal{syscall.SIGUSR1}
