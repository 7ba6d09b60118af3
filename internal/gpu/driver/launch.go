//go:build cuda && cgo && linux && amd64

package driver

import "fmt"

// Record is one launch. Its layout is that of struct launch in abi.go.
type Record struct {
	Function Function
	Grid     [3]uint32
	Block    [3]uint32
	Cluster  [3]uint32 // in blocks; zero for none. Needs sm_90 and a driver of CUDA 11.8
	Shared   uint32    // bytes of dynamic shared memory
	Offset   uint32    // of the kernel's argument in the arguments of Launch
	Size     uint32    // of the argument in bytes, as the kernel declares it
}

// Launch gives the kernels of records to the stream in order, in one call. A
// kernel takes one struct by value; its bytes, in C layout, are Size bytes of
// args from Offset. Both slices may be used again when Launch returns.
//
// It stops at the first launch that the driver refuses and returns how many it
// took, so that records[done] is the one that failed.
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
