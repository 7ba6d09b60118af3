//go:build cuda && cgo && linux && amd64

package driver

import "fmt"

// Record is one launch. It has the layout of struct launch in abi.go.
type Record struct {
	Function Function
	Grid     [3]uint32
	Block    [3]uint32
	Cluster  [3]uint32 // in blocks; zero for no cluster. Clusters need sm_90 and a driver of CUDA 11.8
	Shared   uint32    // bytes of dynamic shared memory
	Offset   uint32    // of the kernel's argument in args of Launch
	Size     uint32    // of the kernel's argument in bytes; the driver takes it from the kernel
}

// Launch queues the kernels of records on the stream, in order. Each kernel has one argument, a struct by value,
// whose bytes in C layout are args[Offset:Offset+Size]. The caller may change both slices when Launch returns.
//
// It stops at the first launch that the driver refuses and returns the number of launches before it, so that
// records[done] is the one that failed.
func Launch(records []Record, args []byte, s Stream) (done int, err error) {
	for i, r := range records {
		if uint64(r.Offset)+uint64(r.Size) > uint64(len(args)) {
			panic(fmt.Sprintf("driver: launch %d: argument at %d to %d of %d bytes", i, r.Offset, r.Offset+r.Size, len(args)))
		}
	}
	if len(records) == 0 {
		return 0, nil
	}
	done, code := launch(records, args, s)
	call := "cuLaunchKernel"
	if code != 0 && records[done].Cluster[0] > 0 {
		call = "cuLaunchKernelEx"
	}
	return done, fault(call, code)
}
