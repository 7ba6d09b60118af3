//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

func TestMain(m *testing.M) { hostlib.Main(m) }

// fake returns the driver whose calls a test can make fail.
func fake(t *testing.T) hostlib.Driver {
	t.Helper()
	d, ok := hostlib.Loaded()
	if !ok {
		t.Skip("the tests do not use the simulated driver")
	}
	return d
}

// wants fails the test unless the text of err contains all words.
func wants(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error %q; want %q in it", err, w)
		}
	}
}

func TestOutOfMemory(t *testing.T) {
	const card = 768 << 20
	fake(t).SetMemory(t, card)
	d := openCard(t, Options{})
	defer d.Close()
	free := d.Stats().Free
	if s := d.Stats(); free <= 1 || free > card-s.ScratchBytes-maxGraphBytes {
		t.Errorf("%d bytes are free of %d with %d taken and %d for graphs", free, card, s.ScratchBytes, maxGraphBytes)
	}
	d.Alloc(compute.Shape{1 << 20}, compute.Working)
	if got := d.Stats().Free; got > free-4<<20 {
		t.Errorf("%d bytes are free after 4 MiB of %d were taken", got, free)
	}
	x := d.Alloc(compute.Shape{1 << 28}, compute.Working)
	err := d.Err()
	wants(t, err, "gpu: allocate a tensor of [268435456]: 1073741824 bytes needed", "of 805306368 free")
	if !errors.Is(err, compute.ErrOutOfMemory) {
		t.Errorf("%v does not wrap ErrOutOfMemory", err)
	}
	d.Fill(x, 1) // has no effect after a failure
	d.Download(make([]float32, 1<<28), x)
	if again := d.Sync(); again != err {
		t.Errorf("Sync() = %v; want the first failure", again)
	}
}

// TestFaults checks that a fault on the card is reported at the next wait, and that the error names the kernel if
// LOR2C_SYNC is set.
func TestFaults(t *testing.T) {
	for name, code := range map[string]int{"ILLEGAL_ADDRESS": 700, "LAUNCH_FAILED": 719, "ECC_UNCORRECTABLE": 214} {
		for _, eager := range []bool{false, true} {
			mode := "queued"
			if eager {
				mode = "eager"
			}
			t.Run("code="+name+"/mode="+mode, func(t *testing.T) {
				driver := fake(t)
				if eager {
					t.Setenv("LOR2C_SYNC", "1")
				}
				d := openCard(t, Options{})
				driver.Fail(t, "kernel:fill_f32", 2, code)
				x := d.Temp(compute.Shape{100}, compute.Working)
				d.Fill(x, 1)
				d.Fill(x, 2)
				d.Copy(x, x)
				err := d.Sync()
				wants(t, err, name)
				if eager {
					wants(t, err, "fill_f32: ")
				} else {
					wants(t, err, "; LOR2C_SYNC=1 finds the kernel")
				}
				if closing := d.Close(); closing != err {
					t.Errorf("Close() = %v; want the first failure", closing)
				}
			})
		}
	}
}

// TestCallsThatFail makes each kind of driver call fail once.
func TestCallsThatFail(t *testing.T) {
	const refused = 1 // CUDA_ERROR_INVALID_VALUE
	for entry, what := range map[string]string{
		"cuMemAlloc_v2":               "gpu: allocate ",
		"cuMemHostAlloc":              "gpu: allocate pinned memory",
		"cuModuleLoadData":            "gpu: open cuda:0: load the kernels on ",
		"cuModuleGetFunction":         "gpu: find a kernel",
		"cuLaunchKernel":              "gpu: launch fill_f32",
		"cuMemcpyHtoDAsync_v2":        "gpu: upload",
		"cuMemcpyDtoHAsync_v2":        "gpu: download",
		"cuStreamBeginCapture_v2":     "gpu: capture a step",
		"cuStreamEndCapture":          "gpu: capture a step",
		"cuGraphInstantiateWithFlags": "gpu: capture a step",
		"cuGraphLaunch":               "gpu: launch a step",
	} {
		t.Run("entry="+entry, func(t *testing.T) {
			fake(t).Fail(t, entry, 1, refused)
			dev, err := Open(Options{})
			if err == nil {
				x := dev.Alloc(compute.Shape{64}, compute.Working)
				for range 3 {
					dev.Reset()
					dev.Fill(x, 1)
				}
				dev.Upload(x, make([]float32, 64))
				dev.Download(make([]float32, 64), x)
				err = dev.Err()
				dev.Close()
			}
			wants(t, err, what, "CUDA_ERROR_INVALID_VALUE")
		})
	}
}

// TestTooManyElements: an op on more elements than the kernels can count is an error that gives the number.
func TestTooManyElements(t *testing.T) {
	fake(t)
	const n = 1<<31 + 8 // as an int32 this is -2147483640
	flat := compute.Tensor{Shape: compute.Shape{n}, DType: compute.Exact}
	for name, op := range map[string]func(d *Device){
		"AdamW": func(d *Device) { d.AdamW(flat, flat, flat, flat, flat, flat, compute.AdamWOpts{Step: 1}) },
		"Fill":  func(d *Device) { d.Fill(flat, 1) },
		"NF4": func(d *Device) {
			d.Copy(compute.Tensor{Shape: flat.Shape}, compute.Tensor{Shape: flat.Shape, DType: compute.NF4})
		},
	} {
		t.Run("op="+name, func(t *testing.T) {
			d := openCard(t, Options{})
			defer d.Close()
			op(d)
			wants(t, d.err, "gpu: 2147483656 elements in one op; the kernels can count up to 2000000000")
		})
	}
}

func TestOpenWithoutThatCard(t *testing.T) {
	fake(t)
	_, err := Open(Options{Index: 7})
	wants(t, err, "gpu: open cuda:7: ", "the number of visible cards is ")
	if !errors.Is(err, ErrNoDevice) {
		t.Errorf("%v does not wrap ErrNoDevice", err)
	}
}

// TestKernelsAgree checks that a wrong argument size or block size is an error.
func TestKernelsAgree(t *testing.T) {
	type wrong [2]ptr
	for name, c := range map[string]struct {
		queue func(d *Device)
		want  string
	}{
		"argument": {func(d *Device) {
			launch(
				d, "fill_f32", grid{x: 1}, 256, 0, wrong{},
			)
		}, "kernel fill_f32 takes an argument of"},
		"block": {func(d *Device) { launch(d, "fill_f32", grid{x: 1}, 512, 0, fillArgs{}) },
			"is built for blocks of 256 threads, the caller uses 512"},
		"name": {func(d *Device) { launch(d, "fill_f31", grid{x: 1}, 256, 0, fillArgs{}) },
			"find a kernel: driver: cuModuleGetFunction(fill_f31)"},
		"shared": {func(d *Device) {
			launch(
				d, "fill_f32", grid{x: 1}, 256, 1<<30, fillArgs{},
			)
		}, "give fill_f32 shared memory"},
	} {
		t.Run("fault="+name, func(t *testing.T) {
			d := openCard(t, Options{})
			defer d.Close()
			c.queue(d)
			wants(t, d.Err(), c.want)
		})
	}
}

func TestProbe(t *testing.T) {
	fake(t)
	r := Probe()
	if len(r.Cards) == 0 || len(r.Missing) != 0 {
		t.Fatalf("Probe() = %+v; want a card and no missing entry point", r)
	}
	if r.Usable != (len(r.Targets) > 0) {
		t.Errorf("usable is %v with the code objects %v", r.Usable, r.Targets)
	}
	if c := r.Cards[0]; c.Name == "" || c.Bytes <= 0 || c.Multiprocessors == 0 {
		t.Errorf("card %+v", c)
	}
}

// TestInspect: reading the memory of a card and checking its kernels in both precisions creates one context.
func TestInspect(t *testing.T) {
	driver := fake(t)
	checking(t)
	before := driver.Calls("context")
	i := Inspect(0, true)
	if i.MemoryErr != nil || i.Free <= 0 || i.Free > Probe().Cards[0].Bytes {
		t.Errorf("%d bytes are free, %v", i.Free, i.MemoryErr)
	}
	if i.CheckErr != nil || i.Refused != nil {
		t.Errorf("the self-check refused %v, %v; want none", i.Refused, i.CheckErr)
	}
	if n := driver.Calls("context") - before; n != 1 {
		t.Errorf("the card created %d contexts; want 1", n)
	}
	i = Inspect(99, true)
	wants(t, i.MemoryErr, "gpu: read the free memory of cuda:99: ")
	wants(t, i.CheckErr, "gpu: open cuda:99: ")
}
