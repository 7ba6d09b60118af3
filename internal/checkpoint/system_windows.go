package checkpoint

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Lock takes the lock of an open file without waiting. The system releases the
// lock when f is closed or the process ends for any reason. The error wraps
// [ErrLocked] if another open file has the lock. Any other error means that f
// cannot be locked, as is the case for directories.
func Lock(f *os.File) error {
	// The locked byte lies behind any content, so that other processes can read
	// the content.
	at := windows.Overlapped{Offset: 0xffff_fffe, OffsetHigh: 0x7fff_ffff}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0,
		1, 0, &at)
	if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return err
}

// openLeftover opens a file or directory for Lock.
func openLeftover(path string) (*os.File, error) { return os.Open(path) }

// SyncDir does nothing: NTFS keeps renames in its journal, and a directory
// cannot be flushed.
func SyncDir(string) error { return nil }

// mapView maps size bytes of a file read-only.
func mapView(f *os.File, size int) ([]byte, error) {
	mapping, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, windows.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(mapping) // the view keeps it alive
	view, err := windows.MapViewOfFile(mapping, windows.FILE_MAP_READ, 0, 0, uintptr(size))
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&view))), size), nil
}

func unmapView(view []byte) error {
	return windows.UnmapViewOfFile(uintptr(unsafe.Pointer(unsafe.SliceData(view))))
}

// dropView does nothing, because Windows has no such call for a view of a file.
func dropView([]byte) {}
