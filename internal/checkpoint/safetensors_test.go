package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestGolden reads a file that Python wrote and compares every bit with what
// torch reads. testdata/golden.py writes the values.
func TestGolden(t *testing.T) {
	var golden map[string]struct {
		Shape  []int
		Values []json.RawMessage
	}
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	f, err := Open("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Metadata()["format"] != "pt" {
		t.Errorf("metadata is %v", f.Metadata())
	}
	if names := f.Names(); !slices.Equal(names, sortedNames(golden)) {
		t.Errorf("names are %v", names)
	}
	for name, want := range golden {
		t.Run("tensor="+name, func(t *testing.T) {
			dtype, shape, ok := f.Info(name)
			if !ok || !slices.Equal(shape, want.Shape) {
				t.Fatalf("shape is %v, %v; want %v", shape, ok, want.Shape)
			}
			if !isFloat(dtype) {
				got, err := f.ReadInts(name)
				if s, _ := json.Marshal(got); err != nil || string(s) != "["+join(want.Values)+"]" {
					t.Errorf("values are %v, %v; want %s", got, err, want.Values)
				}
				return
			}
			got := make([]float32, len(want.Values))
			if err := f.ReadInto(got, name); err != nil {
				t.Fatal(err)
			}
			for i, w := range want.Values {
				if g := fmt.Sprintf(`"%08x"`, math.Float32bits(got[i])); g != string(w) {
					t.Errorf("element %d is %s; want %s", i, g, w)
				}
			}
		})
	}
	if _, _, ok := f.Info("none"); ok {
		t.Error("Info finds a tensor that does not exist")
	}
}

func join(values []json.RawMessage) string {
	var s []string
	for _, v := range values {
		s = append(s, string(v))
	}
	return strings.Join(s, ",")
}

// exampleTensors returns the values of written.safetensors in
// testdata/golden.py.
func exampleTensors() []Tensor {
	third := float32(1.0) / 3
	return []Tensor{
		{Name: "z.f32", Shape: []int{1, 3}, Data: []float32{0.5, -1, 3e-39}},
		{Name: "a.f32", Data: []float32{2}},
		{Name: "b.i64", Shape: []int{2}, Data: []int64{-1, 1 << 40}},
		{Name: "c.i32", Shape: []int{2, 1}, Data: []int32{-1, 3}},
		{Name: "d.bf16", Shape: []int{6}, DType: BF16,
			Data: []float32{1 + 1.0/256, 1 + 3.0/256, -third, 3.4e38, float32(math.Inf(1)), 1e-40}},
		{Name: "e.u8", Shape: []int{3}, Data: []uint8{1, 2, 3}},
		{Name: "f\"<é\u007f\\", Shape: []int{0, 2}, Data: []float32{}},
	}
}

// TestWriteMatchesReference: tensors in two orders give the bytes that Python
// wrote.
func TestWriteMatchesReference(t *testing.T) {
	want, err := os.ReadFile("testdata/written.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	tensors := exampleTensors()
	for _, order := range []string{"given", "reversed"} {
		var got bytes.Buffer
		if err := Write(&got, map[string]string{"format": "pt"}, tensors); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("order=%s: wrote\n%q\nwant\n%q", order, got.Bytes(), want)
		}
		slices.Reverse(tensors)
	}
}

// TestWriteLong writes tensors that are longer than the writer's buffer.
func TestWriteLong(t *testing.T) {
	want := make([]float32, 1<<16+5)
	for i := range want {
		want[i] = float32(i % 256) // exact in bfloat16 too
	}
	for _, dtype := range []DType{F32, BF16} {
		var b bytes.Buffer
		if err := Write(&b, nil, []Tensor{{Name: "a", Shape: []int{len(want)}, Data: want, DType: dtype}}); err != nil {
			t.Fatal(err)
		}
		f, err := newFile("mem", b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(want))
		if err := f.ReadInto(got, "a"); err != nil || !slices.Equal(got, want) {
			t.Errorf("dtype=%s: read back %v, differing", dtype, err)
		}
		if f.Metadata() != nil {
			t.Errorf("dtype=%s: metadata is %v; none was given", dtype, f.Metadata())
		}
	}
}

// shortWriter accepts room bytes and then returns the error of a full disk.
type shortWriter struct{ room int }

func (w *shortWriter) Write(p []byte) (int, error) {
	if len(p) > w.room {
		return w.room, syscall.ENOSPC
	}
	w.room -= len(p)
	return len(p), nil
}

// TestWritePassesErrors: errors of the writer, in the header and in each
// tensor, are returned.
func TestWritePassesErrors(t *testing.T) {
	var whole bytes.Buffer
	if err := Write(&whole, nil, exampleTensors()); err != nil {
		t.Fatal(err)
	}
	for room := range whole.Len() {
		if err := Write(&shortWriter{room}, nil, exampleTensors()); err != syscall.ENOSPC {
			t.Fatalf("room=%d: error is %v; want ENOSPC", room, err)
		}
	}
	if err := Write(&shortWriter{whole.Len()}, nil, exampleTensors()); err != nil {
		t.Errorf("room for all: error is %v", err)
	}
}

// TestMisuse breaks each condition that a caller must satisfy.
func TestMisuse(t *testing.T) {
	write := func(tensors ...Tensor) func() {
		return func() { _ = Write(&bytes.Buffer{}, nil, tensors) }
	}
	closed, err := Open("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := closed.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for want, call := range map[string]func(){
		`checkpoint: write: tensor "a" is [2] but has 3 elements`: write(Tensor{Name: "a", Shape: []int{2},
			Data: make([]float32, 3)}),
		`checkpoint: write: tensor "a" is [0 -1] but has 0 elements`: write(Tensor{Name: "a", Shape: []int{0, -1},
			Data: []float32{}}),
		`checkpoint: write: tensor "a" has data of type []float64`: write(Tensor{Name: "a", Data: []float64{1}}),
		`checkpoint: write: tensor "a" asks to write []int64 as BF16`: write(Tensor{Name: "a", Data: []int64{1},
			DType: BF16}),
		`checkpoint: write: two tensors are named "a"`: write(Tensor{Name: "a", Data: []int64{1}},
			Tensor{Name: "a", Data: []float32{1}}),
		`checkpoint: write: a tensor has the reserved name "__metadata__"`: write(Tensor{Name: "__metadata__",
			Data: []int64{1}}),
		`checkpoint: read testdata/golden.safetensors: the file is closed`: func() { _ = closed.ReadInto(nil, "half") },
	} {
		func() {
			defer func() {
				if m, ok := recover().(Misuse); !ok || m.Error() != want {
					t.Errorf("panic is %v; want %s", m, want)
				}
			}()
			call()
			t.Errorf("no panic; want %s", want)
		}()
	}
}

// largeFile writes one F32 tensor "a" of n elements, followed by another
// tensor.
func largeFile(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "large.safetensors")
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(i)
	}
	err = Write(w, nil,
		[]Tensor{{Name: "a", Shape: []int{n}, Data: data}, {Name: "b", Shape: []int{1}, Data: []float32{7}}})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// residentKB returns the resident memory of the mapping of path, in kB.
func residentKB(t *testing.T, path string) (kb int) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skipf("resident memory is not readable here: %v", err)
	}
	_, after, found := strings.Cut(string(smaps), path+"\n")
	if !found {
		t.Fatalf("no mapping of %s", path)
	}
	_, after, _ = strings.Cut(after, "\nRss:")
	if _, err := fmt.Sscanf(after, "%d", &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}

// TestDropFreesPages: Drop frees the memory of a tensor of 8 MB.
func TestDropFreesPages(t *testing.T) {
	const n = 2 << 20
	path := largeFile(t, n)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dst := make([]float32, n)
	for range 2 { // the second time, the pages were dropped before
		clear(dst)
		if err := f.ReadInto(dst, "a"); err != nil {
			t.Fatal(err)
		}
		if dst[1] != 1 || dst[n-1] != n-1 {
			t.Errorf("read %v and %v", dst[1], dst[n-1])
		}
		if kb := residentKB(t, path); kb < n*4/1024 {
			t.Errorf("%d kB resident after reading; want all %d", kb, n*4/1024)
		}
		f.Drop("a")
		if kb := residentKB(t, path); kb > 8 {
			t.Errorf("%d kB resident after Drop; want at most a page or two", kb)
		}
	}
	f.Drop("none")
}

// TestTruncatedWhileOpen truncates the file while it is mapped.
func TestTruncatedWhileOpen(t *testing.T) {
	path := largeFile(t, 1<<16)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.ReadInto(make([]float32, 1<<16), "a"),
		"checkpoint: read "+path+`: tensor "a" is no longer in the file; leave the file alone while it is read`)
}

// BenchmarkReadInto reads 100 MB of F32 from a file in the system's cache.
// kind=copy is a plain copy for comparison.
func BenchmarkReadInto(b *testing.B) {
	const n = 25 << 20
	f, err := Open(largeFile(b, n))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	dst := make([]float32, n)
	b.Run("kind=read", func(b *testing.B) {
		b.SetBytes(4 * n)
		for b.Loop() {
			if err := f.ReadInto(dst, "a"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("kind=read-drop", func(b *testing.B) {
		b.SetBytes(4 * n)
		for b.Loop() {
			if err := f.ReadInto(dst, "a"); err != nil {
				b.Fatal(err)
			}
			f.Drop("a")
		}
	})
	src := slices.Clone(dst)
	b.Run("kind=copy", func(b *testing.B) {
		b.SetBytes(4 * n)
		for b.Loop() {
			copy(dst, src)
		}
	})
}
