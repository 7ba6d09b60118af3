package checkpoint

import (
	"errors"
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/place"
)

// ErrNotFinite is wrapped by the errors of tensors that contain NaN or an
// infinity.
var ErrNotFinite = errors.New("every weight must be finite")

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
	return fmt.Errorf("checkpoint: read %s: tensor %s is %v at %v, and %w; use another copy of the file",
		f.path, place.Quote(name), dst[i], indexOf(i, f.tensors[name].shape), ErrNotFinite)
}

// ReadFinite does what [File.ReadFinite] does, for a tensor in any shard.
func (m *Model) ReadFinite(dst []float32, name string) error {
	f, err := m.find(name)
	if err != nil {
		return err
	}
	return f.ReadFinite(dst, name)
}

// firstNotFinite returns the index of the first value that is not finite, or -1
// if all values are finite.
func firstNotFinite(values []float32) int {
	const exponent = 0x7f800000 // all bits are set in infinities and NaN
	for i, v := range values {
		if math.Float32bits(v)&exponent == exponent {
			return i
		}
	}
	return -1
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
