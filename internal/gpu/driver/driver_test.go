//go:build cuda && cgo && linux && amd64

package driver

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

const library = "LOR2C_LIBCUDA"

// under reports whether this process has opened the library that is built from a C file of testdata. If not, it runs
// the test again in a process that opens it. An empty file name stands for a library that does not exist.
func under(t *testing.T, file string) bool {
	t.Helper()
	if strings.HasSuffix(os.Getenv(library), "/of-"+t.Name()) {
		return true
	}
	so := filepath.Join(t.TempDir(), "of-"+t.Name())
	if file != "" {
		cc, err := exec.LookPath("cc")
		if err != nil {
			t.Skip("no C compiler to make a driver with")
		}
		if out, err := exec.Command(
			cc, "-shared", "-fPIC", "-Wall", "-Werror", "-Wno-unused-parameter", "-o", so, filepath.Join("testdata", file),
		).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", file, err, out)
		}
	}
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), library+"="+so)
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("with %s: %v\n%s", file, err, out)
	}
	return false
}

// TestLinked checks that the binary does not need libcuda to start.
func TestLinked(t *testing.T) {
	f, err := elf.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	libs, err := f.ImportedLibraries()
	if err != nil || len(libs) == 0 {
		t.Fatalf("libraries %v, %v; want libc at least", libs, err)
	}
	for _, l := range libs {
		if strings.HasPrefix(l, "libcu") || strings.HasPrefix(l, "libnv") {
			t.Errorf("the binary needs %s", l)
		}
	}
}

func TestNoLibrary(t *testing.T) {
	if !under(t, "") {
		return
	}
	if code, why := Status(); code != NoLibrary || !strings.Contains(why, os.Getenv(library)) {
		t.Errorf("status %d, %q; want %d and the file that is not there", code, why, NoLibrary)
	}
	noDevice(t, 0)
	if m := Missing(); m != nil {
		t.Errorf("Missing is %v without a library", m)
	}
	// A call without a driver must fail, not crash.
	var f *Error
	if _, err := Alloc(1); !errors.As(err, &f) || f.Code != NotInitialized {
		t.Errorf("Alloc: %v; want code %d", err, NotInitialized)
	}
}

func TestNoDevice(t *testing.T) {
	if !under(t, "nodevice.c") {
		return
	}
	if code, why := Status(); code != NoDevice || why != "" {
		t.Errorf("status %d, %q; want %d", code, why, NoDevice)
	}
	noDevice(t, 12040)
	m := Missing()
	if !slices.Contains(m, "cuMemAlloc_v2") || !slices.Contains(m, "cuGraphLaunch") || slices.Contains(m, "cuInit") {
		t.Errorf("missing %v; want what nodevice.c lacks", m)
	}
	for _, name := range []string{"cuFuncGetParamInfo", "cuTensorMapEncodeTiled", "cuTexRefGetArray"} {
		if slices.Contains(m, name) {
			t.Errorf("Missing has %s, which lor2c never calls", name)
		}
	}
	var f *Error
	if _, err := Alloc(1); !errors.As(err, &f) || f.Code != NotSupported {
		t.Errorf("Alloc: %v; want code %d", err, NotSupported)
	}
}

func noDevice(t *testing.T, version int) {
	t.Helper()
	if n, err := Devices(); n != 0 || err != nil {
		t.Errorf("%d devices, %v; want 0", n, err)
	}
	if v := Version(); v != version {
		t.Errorf("version %d; want %d", v, version)
	}
}

// axpy adds scale src to dst.
type axpy struct {
	dst, src Ptr
	n        int32
	scale    float32
}

const axpyPTX = `.version 7.0
.target sm_80
.address_size 64
.visible .entry axpy(.param .align 8 .b8 a[24])
{
	.reg .pred %p;
	.reg .f32 %x, %y, %s;
	.reg .b32 %i, %n, %c, %w;
	.reg .b64 %dst, %src, %o;
	ld.param.u64 %dst, [a];
	ld.param.u64 %src, [a+8];
	ld.param.u32 %n, [a+16];
	ld.param.f32 %s, [a+20];
	mov.u32 %c, %ctaid.x;
	mov.u32 %w, %ntid.x;
	mov.u32 %i, %tid.x;
	mad.lo.s32 %i, %c, %w, %i;
	setp.ge.s32 %p, %i, %n;
	@%p bra DONE;
	mul.wide.s32 %o, %i, 4;
	add.s64 %dst, %dst, %o;
	add.s64 %src, %src, %o;
	ld.global.f32 %x, [%dst];
	ld.global.f32 %y, [%src];
	fma.rn.f32 %x, %s, %y, %x;
	st.global.f32 [%dst], %x;
DONE:
	ret;
}
`

// TestOneDevice calls every function of the package with the small driver of testdata.
func TestOneDevice(t *testing.T) {
	if !under(t, "onedevice.c") {
		return
	}
	p, err := Describe(0)
	want := Properties{"Fake Device", "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f", 8, 9, 3, 99 << 10, 1 << 20}
	if err != nil || p != want {
		t.Errorf("%+v, %v; want %+v", p, err, want)
	}
	if v := Version(); v != 12040 {
		t.Errorf("version %d; want 12040", v)
	}
	onDevice(t)
	memoryOf(t, 1<<20)
	tensorMap(t)
	lostDevice(t)
}

// TestDevice calls the same functions on the first device of the machine, if
// there is one.
func TestDevice(t *testing.T) {
	if code, why := Status(); code != 0 {
		t.Skipf("no device: status %d %s", code, why)
	}
	if m := Missing(); m != nil {
		t.Errorf("the driver lacks %v", m)
	}
	onDevice(t)
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func onDevice(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := Devices(); n < 1 || err != nil {
		t.Fatalf("%d devices, %v", n, err)
	}
	c := must[*Context](t)(Open(0))
	free, total, err := c.Memory()
	if err != nil || free <= 0 || free > total {
		t.Fatalf("%d of %d bytes free, %v", free, total, err)
	}
	var f *Error
	if _, err := Load([]byte("no code")); !errors.As(err, &f) || f.Call != "cuModuleLoadData" {
		t.Errorf("loading text: %v; want a refusal of cuModuleLoadData", err)
	}
	m := must[Module](t)(Load([]byte(axpyPTX)))
	if _, err := m.Function("other"); !errors.As(err, &f) || f.Code != NotFound ||
		!strings.Contains(err.Error(), "other") {
		t.Errorf("unknown kernel: %v; want code %d and its name", err, NotFound)
	}
	fn := must[Function](t)(m.Function("axpy"))
	a := must[Attributes](t)(fn.Attributes())
	if a.MaxThreads < 32 || a.Registers < 1 || a.PTXVersion != 80 || a.BinaryVersion < 80 || a.Local != 0 {
		t.Errorf("attributes %+v", a)
	}
	if size, err := fn.ArgumentSize(); err == nil && size != 24 || err != nil && (!errors.As(err, &f) ||
		f.Code != NotSupported) {
		t.Errorf("argument of %d bytes, %v; want 24", size, err)
	}
	ok(fn.SetDynamicShared(64 << 10))
	if err := fn.SetDynamicShared(1 << 30); err == nil {
		t.Error("1 GiB of shared memory was allowed")
	}

	const n = 1000
	s := must[Stream](t)(NewStream())
	host := must[Pinned](t)(AllocPinned(8 * n))
	x, y := must[Ptr](t)(Alloc(4*n)), must[Ptr](t)(Alloc(4*n))
	floats := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(host.Bytes()))), 2*n)
	in, out := floats[:n], floats[n:]
	for i := range in {
		in[i] = float32(i)
	}
	ok(Upload(x, host, 0, 4*n, s))
	ok(Clear(y, 0, 4*n, s))
	from, to := must[Event](t)(NewEvent(true)), must[Event](t)(NewEvent(true))
	plain := must[Event](t)(NewEvent(false))
	ok(from.Record(s))

	args := make([]byte, 8) // the first argument does not start at offset 0
	record := func(v axpy) Record {
		at := len(args)
		args = append(args, unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v))...)
		return Record{
			Function: fn, Grid: [3]uint32{(n + 127) / 128, 1, 1}, Block: [3]uint32{128, 1, 1}, Offset: uint32(at), Size: 24,
		}
	}
	records := []Record{record(axpy{y, x, n, 2}), record(axpy{y, x, n - 1, 0.5})}
	records[1].Shared = 64 << 10
	if done, err := Launch(records, args, s); done != 2 || err != nil {
		t.Fatalf("%d launches, %v", done, err)
	}
	if done, err := Launch(nil, nil, s); done != 0 || err != nil {
		t.Errorf("no launches: %d, %v", done, err)
	}
	ok(to.Record(s))
	ok(plain.Record(s))
	ok(plain.Synchronize())
	check := func(what string, scale, last float32) {
		t.Helper()
		ok(Download(host, 4*n, y, 4*n, s))
		ok(s.Synchronize())
		for i, v := range out {
			w := scale * float32(i)
			if i == n-1 {
				w = last * float32(i)
			}
			if v != w {
				t.Fatalf("%s: element %d is %g; want %g", what, i, v, w)
			}
		}
	}
	check("launches", 2.5, 2)
	ok(to.Synchronize())
	if ms, err := Elapsed(from, to); ms <= 0 || err != nil {
		t.Errorf("%g ms, %v", ms, err)
	}

	// Captured kernels run when the graph is launched, with the arguments at the time of capture.
	g, err := s.Capture(func() error {
		_, err := Launch(records[:1], args, s)
		clear(args)
		return err
	})
	ok(err)
	check("capture", 2.5, 2)
	ok(g.Launch(s))
	ok(g.Launch(s))
	check("graph", 6.5, 6)
	ok(g.Destroy())
	failed := errors.New("of the step")
	if _, err := s.Capture(func() error { return failed }); err != failed {
		t.Errorf("capture of what fails: %v; want its error", err)
	}

	// The second of three launches is refused: the first runs and the third does not.
	args = args[:0]
	records = []Record{record(axpy{y, x, n, 1}), record(axpy{y, x, n, 1}), record(axpy{y, x, n, 1})}
	records[1].Grid[0] = 0
	if done, err := Launch(records, args, s); done != 1 || !errors.As(err, &f) || f.Code != InvalidValue || f.Sticky() {
		t.Errorf("%d launches, %v; want 1 and code %d", done, err, InvalidValue)
	}
	check("refused launch", 7.5, 7)

	raw := make([]byte, 4*n)
	ok(Read(raw, x))
	if !slices.Equal(raw, host.Bytes()[:4*n]) {
		t.Error("Read differs from Upload")
	}
	ok(Write(y, make([]byte, 4*n)))
	ok(Read(raw, y))
	if slices.Max(raw) != 0 {
		t.Error("Write of zeros did not arrive")
	}

	ok(c.Synchronize())
	for _, e := range []Event{from, to, plain} {
		ok(e.Destroy())
	}
	ok(s.Destroy())
	ok(Free(x))
	ok(Free(y))
	ok(host.Free())
	ok(m.Unload())
	ok(c.Close())
}

// memoryOf returns device memory with the given bytes.
func memoryOf(t *testing.T, bytes int64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := must[*Context](t)(Open(0))
	var f *Error
	_, err := Alloc(bytes + 1)
	if !errors.As(err, &f) || f.Code != OutOfMemory || f.Sticky() ||
		err.Error() != "driver: cuMemAlloc of 1048577 bytes: CUDA_ERROR_OUT_OF_MEMORY (2)" {
		t.Errorf("too much memory: %v; want code %d", err, OutOfMemory)
	}
	p := must[Ptr](t)(Alloc(bytes))
	if free, _, _ := c.Memory(); free != 0 {
		t.Errorf("%d bytes free; want 0", free)
	}
	if err := Free(p); err != nil {
		t.Error(err)
	}
	if free, _, _ := c.Memory(); free != bytes {
		t.Errorf("%d bytes free; want %d: something was not freed", free, bytes)
	}
}

// tensorMap checks the arguments that the small driver received.
func tensorMap(t *testing.T) {
	tile := Tile{Address: 0x1000, Dims: []uint64{768, 99}, Strides: []uint64{1536}, Box: []uint32{64, 128}, Swizzle: 3}
	m, err := EncodeTiled(tile)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _ := strings.Cut(string(m[:]), "\x00"); got != "0x1000 768 99 stride 1536 box 64 128 swizzle 3" {
		t.Errorf("tensor map of %q", got)
	}
	tile.Strides[0] = 1535
	if _, err := EncodeTiled(tile); err == nil {
		t.Error("a stride of 1535 bytes was taken")
	}
}

// lostDevice launches a kernel that writes to an illegal address.
func lostDevice(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := must[*Context](t)(Open(0))
	m := must[Module](t)(Load([]byte(axpyPTX)))
	fn := must[Function](t)(m.Function("axpy"))
	s := must[Stream](t)(NewStream())
	v := axpy{0, 0, 1, 1}
	args := unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v))
	one := [3]uint32{1, 1, 1}
	if _, err := Launch([]Record{{Function: fn, Grid: one, Block: one, Size: 24, Cluster: one}}, args, s); err != nil {
		t.Fatalf("launch: %v; want the fault at a later call", err)
	}
	var f *Error
	if err := c.Synchronize(); !errors.As(err, &f) || f.Code != IllegalAddress || !f.Sticky() {
		t.Errorf("%v; want code %d, sticky", err, IllegalAddress)
	}
}

func TestLaunchOutside(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an argument outside the arguments was given to C")
		}
	}()
	_, _ = Launch([]Record{{Offset: 8, Size: 24}}, make([]byte, 31), Stream{})
}
