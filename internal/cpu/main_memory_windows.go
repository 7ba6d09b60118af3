package cpu

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var globalMemoryStatus = windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")

// ReadMemory returns the free memory. ok is false if the system does not report
// it.
func ReadMemory() (m MainMemory, ok bool) {
	// status is MEMORYSTATUSEX of sysinfoapi.h.
	var status struct {
		length, load                     uint32
		total, free                      uint64
		totalPage, freePage              uint64 // memory and page file together
		totalVirtual, freeVirtual, other uint64
	}
	status.length = uint32(unsafe.Sizeof(status))
	if r, _, _ := globalMemoryStatus.Call(uintptr(unsafe.Pointer(&status))); r == 0 {
		return m, false
	}
	m = MainMemory{Total: int64(status.total), Free: int64(status.free)}
	m.Swap = max(int64(status.freePage)-m.Free, 0)
	return m, true
}
