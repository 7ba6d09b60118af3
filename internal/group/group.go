// Package group defines what the processes need that train one run together: the interface [Group], whose engines are
// in packages of their own, and [World], which says how a launcher started this process.
//
// A process is called a rank, as in MPI. Ranks are numbered from 0. Rank 0 takes decisions and writes files.
package group

import "unsafe"

// Group is the ranks of one run. All ranks call the same methods in the same order, except Mark and Abort. Each of
// these calls waits until the ranks that it needs have called it too. A call that fails ends the run: a later one fails
// too. Only one goroutine may use a group, except for Mark and Abort.
type Group interface {
	// Rank returns the number of this process, 0 to Size()-1.
	Rank() int
	// Size returns the number of ranks.
	Size() int
	// AllReduce replaces values by their sum over all ranks, which has the same bits on all. The order of the sum
	// depends on the number of ranks.
	AllReduce(values []float32) error
	// Broadcast copies data of rank 0 to data of every other rank, which has the same length.
	Broadcast(data []byte) error
	// Gather copies part of rank i to parts[i] of rank 0, which has the same length. Other ranks pass nil for parts.
	// parts[0] may be part itself.
	Gather(part []byte, parts [][]byte) error
	// Barrier waits until all ranks have called it.
	Barrier() error
	// Mark says which step this rank has reached. Errors of other ranks name it.
	Mark(step int)
	// Abort ends all ranks, this one too where the engine cannot end the others without it. code is the exit code.
	Abort(code int)
	// Close waits until all ranks have called it, and leaves the group.
	Close() error
}

// Bytes returns the memory of values as bytes, for Broadcast and Gather. All ranks of a group have the same byte order.
func Bytes(values []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
}
