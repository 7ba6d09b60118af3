// Package mpi is the engine of package group for processes that an MPI launcher started. It opens the MPI library at
// run time, so a binary with this package starts where there is none, and one binary works with the two families of
// libraries that are common: Open MPI, and those with the binary interface of MPICH, such as Intel's and Cray's.
//
// The engine is compiled with the build tag mpi or cuda, on Linux. Elsewhere Open returns an error.
//
// Calls do not keep a processor busy while they wait for other ranks. Each rank also sends a sign of life every second.
// If none arrives for Options.Silence, a call that waits returns an error that names the silent rank.
//
// If LOR2C_LIBMPI is set, that library is opened instead of the one that is found.
package mpi

import "time"

// Options configure an engine.
type Options struct {
	// Size is the number of ranks that the launcher says it has started.
	Size int
	// Silence is how long a rank may send no sign of life; 0 means 30 seconds.
	Silence time.Duration
}
