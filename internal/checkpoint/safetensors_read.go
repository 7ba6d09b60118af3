package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
)

// ErrNotFinite is wrapped by the errors of tensors that contain NaN or an
// infinity.
var ErrNotFinite = errors.New("every weight must be finite")

// File is one safetensors file, mapped into memory. Its methods are safe for
// concurrent use, except that Close must not run before all reads are done.
type File struct {
	path     string
	mapping  []byte // whole file; nil once closed
	data     []byte // tail of mapping that the offsets of tensors count from
	tensors  map[string]entry
	metadata map[string]string
}

// Open maps the safetensors file at path and validates its whole header; no
// tensor is read. The error names the file, the wrong value, and what the
// format requires.
func Open(path string) (*File, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: open %s: %w", path, err)
	}
	return mapped(path, f)
}

// mapped maps f, which it closes, and validates its header.
func mapped(path string, f *os.File) (*File, error) {
	mapping, err := mapFile(f)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: open %s: %w", path, err)
	}
	file, err := newFile(path, mapping)
	if err != nil {
		if mapping != nil {
			_ = unmapView(mapping)
		}
		return nil, err
	}
	return file, nil
}

// newFile validates the bytes of a file that is already in memory.
func newFile(path string, mapping []byte) (*File, error) {
	data, tensors, metadata, err := parseHeader(mapping)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: open %s: %w", path, err)
	}
	return &File{path: path, mapping: mapping, data: data, tensors: tensors, metadata: metadata}, nil
}

// mapFile maps a regular file read-only and closes it. The mapping of an empty
// file is nil.
func mapFile(f *os.File) ([]byte, error) {
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, place.WithoutPath(err)
	}
	if info.Size() == 0 {
		return nil, nil
	}
	return mapView(f, int(info.Size()))
}

// kindOf returns a name for the kind of file with mode m, for error messages.
func kindOf(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&os.ModeSymlink != 0:
		return "symbolic link"
	case m.IsRegular():
		return "regular file"
	}
	return "special file"
}

// Path returns the path that the file was opened with.
func (f *File) Path() string { return f.path }

// Names lists the tensors in byte order of their names.
func (f *File) Names() []string { return sortedNames(f.tensors) }

// Metadata returns the free-form part of the header, or nil if there is none.
// The caller must not change it.
func (f *File) Metadata() map[string]string { return f.metadata }

// Info returns the element type and the shape of a tensor; a scalar has an
// empty shape. ok is false if the file has no such tensor.
func (f *File) Info(name string) (dtype DType, shape []int, ok bool) {
	e, ok := f.tensors[name]
	return e.dtype, slices.Clone(e.shape), ok
}

// ReadInto decodes a tensor of type F32, F16, BF16 or F64 into dst, whose
// length must be the number of elements. F16 and BF16 convert exactly, F64
// rounds to nearest. There is no intermediate copy.
func (f *File) ReadInto(dst []float32, name string) error {
	e, raw, err := f.find(name)
	switch {
	case err != nil:
		return err
	case !isFloat(e.dtype):
		return f.fault(name, "is %s; F32, F16, BF16 or F64 is expected", e.dtype)
	case len(dst) != e.elements():
		return f.fault(name, "is %v with %d elements; %d are expected", e.shape, e.elements(), len(dst))
	}
	return f.guard(name, func() error {
		floats(dst, e.dtype, raw)
		return nil
	})
}

// ReadFinite reads a tensor as [File.ReadInto] does and returns an error if a
// value is NaN or infinite, or is an F64 value outside the range of float32.
// The error names the file, the tensor and the first such element, and wraps
// [ErrNotFinite].
func (f *File) ReadFinite(dst []float32, name string) error {
	if err := f.ReadInto(dst, name); err != nil {
		return err
	}
	i := firstNotFinite(dst)
	if i < 0 {
		return nil
	}
	return f.fault(name, "is %v at %v, and %w; use another copy of the file", dst[i],
		indexOf(i, f.tensors[name].shape), ErrNotFinite)
}

// indexOf converts an offset in a row-major array of the given shape into one
// index per dimension.
func indexOf(i int, shape []int) []int {
	at := make([]int, len(shape))
	for d := len(shape) - 1; d >= 0; d-- {
		at[d], i = i%shape[d], i/shape[d]
	}
	return at
}

// ReadInts decodes a tensor of type BOOL, U8, I8, U16, I16, U32, I32, U64 or
// I64 in row-major order. A U64 above the largest int64 is an error.
func (f *File) ReadInts(name string) ([]int64, error) {
	e, raw, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if !isInt(e.dtype) {
		return nil, f.fault(name, "is %s; an integer type is expected", e.dtype)
	}
	dst := make([]int64, e.elements())
	err = f.guard(name, func() error {
		if err := ints(dst, e.dtype, raw); err != nil {
			return f.fault(name, "cannot be read: %w", err)
		}
		return nil
	})
	return dst, err
}

// ReadBytes returns a copy of the elements of a tensor of type U8.
func (f *File) ReadBytes(name string) ([]byte, error) {
	e, raw, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if e.dtype != U8 {
		return nil, f.fault(name, "is %s; U8 is expected", e.dtype)
	}
	dst := make([]byte, len(raw))
	return dst, f.guard(name, func() error {
		copy(dst, raw)
		return nil
	})
}

// Drop allows the system to reclaim the memory of a tensor's bytes, so that
// loading a model needs little more memory than one copy of it. The tensor can
// still be read. Unknown names are ignored.
func (f *File) Drop(name string) {
	e, raw, err := f.find(name)
	if err != nil || len(raw) == 0 {
		return
	}
	// Only whole pages can be dropped. Tensors that share such a page are not
	// lost: the mapping is read-only, and the system reads it again from the
	// file.
	page := os.Getpagesize()
	start := len(f.mapping) - len(f.data) + e.begin
	dropView(f.mapping[start&^(page-1) : start+len(raw)])
}

// Close unmaps the file; any later read panics with [Misuse]. Closing twice is
// allowed.
func (f *File) Close() error {
	m := f.mapping
	f.mapping, f.data = nil, nil
	if m == nil {
		return nil
	}
	if err := unmapView(m); err != nil {
		return fmt.Errorf("checkpoint: close %s: %w", f.path, err)
	}
	return nil
}

// fault returns an error about a tensor of the file.
func (f *File) fault(name, format string, args ...any) error {
	return fmt.Errorf("checkpoint: read %s: tensor %s %w", f.path, place.Quote(name), fmt.Errorf(format, args...))
}

// find returns a tensor's description and its bytes in the mapping.
func (f *File) find(name string) (entry, []byte, error) {
	if f.mapping == nil {
		panic(Misuse{"read " + f.path, "the file is closed"})
	}
	e, ok := f.tensors[name]
	if !ok {
		return e, nil, f.fault(name, "is missing; the file has %s", place.Count(len(f.tensors), "other", "others"))
	}
	return e, f.data[e.begin:e.end], nil
}

// guard returns an error if read touches a page that the file no longer has,
// for example because another process truncated it. Without guard the process
// would die of SIGBUS.
func (f *File) guard(name string, read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = f.fault(name, "is no longer in the file; leave the file alone while it is read")
		default:
			panic(r)
		}
	}()
	return read()
}
