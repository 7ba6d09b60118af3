//go:build cuda && cgo && linux && amd64

package hostlib

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/lor2c/lor2c/internal/gpu/driver"
)

func TestMain(m *testing.M) { Main(m) }

func library(t *testing.T) Driver {
	t.Helper()
	d, ok := Loaded()
	if !ok {
		t.Skip("no kernels on the CPU")
	}
	return d
}

// fill has the layout of FillArgs in kernels/elementwise.cu.
type fill struct {
	dst, n driver.Ptr
	value  float32
	_      uint32
}

// fillOn locks a thread, fills n floats on a device and compares them.
func fillOn(n int, value float32) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := driver.Open(0)
	if err != nil {
		return err
	}
	m, err := driver.Load([]byte("any"))
	if err != nil {
		return err
	}
	f, err := m.Function("fill_f32")
	if err != nil {
		return err
	}
	s, err := driver.NewStream()
	if err != nil {
		return err
	}
	dst, err := driver.Alloc(int64(4 * n))
	if err != nil {
		return err
	}
	count, err := driver.Alloc(4)
	if err != nil {
		return err
	}
	// This memory comes from the Go heap, which the sanitizer does not track.
	number := int32(n)
	if err := driver.Write(count, unsafe.Slice((*byte)(unsafe.Pointer(&number)), 4)); err != nil {
		return err
	}
	args := fill{dst: dst, n: count, value: value}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&args)), unsafe.Sizeof(args))
	record := driver.Record{
		Function: f, Grid: [3]uint32{uint32(n+1023) / 1024, 1, 1}, Block: [3]uint32{256, 1, 1}, Size: uint32(len(raw)),
	}
	if _, err := driver.Launch([]driver.Record{record}, raw, s); err != nil {
		return err
	}
	if err := s.Synchronize(); err != nil {
		return err
	}
	got := make([]float32, n)
	if err := driver.Read(unsafe.Slice((*byte)(unsafe.Pointer(&got[0])), 4*n), dst); err != nil {
		return err
	}
	for i, v := range got {
		if v != value {
			return fmt.Errorf("element %d is %g; want %g", i, v, value)
		}
	}
	for _, err := range []error{driver.Free(dst), driver.Free(count), s.Destroy(), m.Unload(), c.Close()} {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestGo runs kernels from several threads while the Go program moves its stacks, collects garbage and recovers from
// a fault.
func TestGo(t *testing.T) {
	d := library(t)
	if missing := driver.Missing(); len(missing) > 0 {
		t.Errorf("missing entry points %v", missing)
	}
	before := d.Calls("kernel:fill_f32")
	stop := make(chan struct{})
	var busy, wait sync.WaitGroup
	busy.Go(func() {
		var deep func(n int) int
		deep = func(n int) int {
			var page [256]byte
			if n == 0 {
				return 0
			}
			page[n%256] = 1
			return deep(n-1) + int(page[n/2%256])
		}
		for {
			select {
			case <-stop:
				return
			default:
				deep(2000)
				runtime.GC()
			}
		}
	})
	const threads, rounds = 4, 20
	faults := make([]error, threads)
	for i := range threads {
		wait.Go(func() {
			for r := range rounds {
				if err := fillOn(1+500*r, float32(i)); err != nil {
					faults[i] = err
					return
				}
			}
		})
	}
	wait.Wait()
	close(stop)
	busy.Wait()
	for _, err := range faults {
		if err != nil {
			t.Error(err)
		}
	}
	if ran := d.Calls("kernel:fill_f32") - before; ran != threads*rounds {
		t.Errorf("the kernel ran %d times; want %d", ran, threads*rounds)
	}
	func() {
		defer func() {
			if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "nil pointer") {
				t.Errorf("recovered %v; want a nil dereference", r)
			}
		}()
		var none *[1 << 20]int
		none[len(faults)]++
	}()
	// All lower addresses belong to the sanitizer's shadow.
	if p := new([64]int); os.Getenv("ASAN_OPTIONS") != "" && uintptr(unsafe.Pointer(p)) < 0x10007fff8000 {
		t.Errorf("the heap is at %p, inside the sanitizer's shadow", p)
	}
}

// TestControl calls every control function.
func TestControl(t *testing.T) {
	d := library(t)
	t.Run("fault=entry", func(t *testing.T) {
		d.Fail(t, "cuMemAlloc_v2", 2, 2)
		if err := fillOn(10, 1); err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_OUT_OF_MEMORY") {
			t.Errorf("error %v; want out of memory", err)
		}
	})
	t.Run("fault=kernel", func(t *testing.T) {
		d.Fail(t, "kernel:fill_f32", 1, 700)
		if err := fillOn(10, 1); err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_ILLEGAL_ADDRESS") {
			t.Errorf("error %v; want an illegal address", err)
		}
	})
	t.Run("memory=20", func(t *testing.T) {
		d.SetMemory(t, 20)
		if err := fillOn(10, 1); err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_OUT_OF_MEMORY") {
			t.Errorf("error %v; want out of memory", err)
		}
	})
	for seed := range uint64(5) {
		d.Seed(seed)
		if err := fillOn(3000, 2); err != nil {
			t.Errorf("seed %d, after the faults: %v", seed, err)
		}
	}
}
