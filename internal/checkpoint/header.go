package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

const (
	// maxHeader is the most bytes of a header, which is the limit of the
	// reference implementation.
	maxHeader = 100_000_000
	// maxTensors is the most tensors of a model, which is more than any
	// published model has in all of its shards.
	maxTensors = 100_000
	// maxDims is the most dimensions a tensor of PyTorch can have.
	maxDims = 64
)

// metadataKey is the only header key that does not name a tensor.
const metadataKey = "__metadata__"

// entry is the description of one tensor in a header; begin and end are byte
// offsets from the start of the data buffer.
type entry struct {
	dtype      DType
	shape      []int
	begin, end int
}

// elements returns the number of elements. parseHeader has checked that it
// equals the product of the shape.
func (e entry) elements() int { return (e.end - e.begin) / e.dtype.Size() }

// parseHeader checks all offsets and sizes of a header against the bytes of the
// file, so that no later read can leave the buffer. It returns the data buffer,
// the tensors by name and the metadata. The memory that it uses is proportional
// to the header, because it makes no allocation by a count or length in the
// file.
func parseHeader(file []byte) (data []byte, tensors map[string]entry, metadata map[string]string, err error) {
	fail := func(format string, args ...any) ([]byte, map[string]entry, map[string]string, error) {
		return nil, nil, nil, fmt.Errorf(format, args...)
	}
	if what := infile.DescribeBinary(file[:min(len(file), 64)]); what != "" && !plausible(file) {
		return fail("it is not safetensors but %s", what)
	}
	if len(file) < 8 {
		return fail("the file has %s; a safetensors file starts with 8 bytes of header length",
			place.Count(len(file), "byte", "bytes"))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > maxHeader {
		return fail("the header length is %d bytes; at most %d is allowed", n, maxHeader)
	}
	if n > uint64(len(file)-8) {
		return fail("the header length is %d bytes, but only %d follow; the file is cut off or is not safetensors", n,
			len(file)-8)
	}
	// From here on the lengths are valid; the text of the header is still to be
	// checked.
	text, data := file[8:8+n], file[8+n:]
	var syntax *strictjson.Error
	if errors.As(strictjson.Syntax(text), &syntax) {
		return fail("the header is not JSON: %s at byte %d; a JSON object is expected", syntax.What, 8+syntax.Offset)
	}
	// JSON would allow white space in front, but the format does not.
	if text[0] != '{' {
		return fail("the header starts with %q; a safetensors header starts with '{'", text[0])
	}

	d := json.NewDecoder(bytes.NewReader(text))
	tensors = map[string]entry{}
	err = strictjson.Object(d, "the header", func(key string) error {
		if len(tensors) == maxTensors {
			return fmt.Errorf("the header has more than %d tensors, which is the limit", maxTensors)
		}
		var err error
		if key == metadataKey {
			metadata, err = stringMap(d, metadataKey)
			return err
		}
		tensors[key], err = parseEntry(d, "tensor "+place.Quote(key))
		return err
	})
	if err == nil {
		err = checkLayout(tensors, len(data))
	}
	if err != nil {
		return nil, nil, nil, err
	}
	return data, tensors, metadata, nil
}

// plausible reports whether a file starts with the length of a header that fits
// into the file, followed by a brace. The first bytes of some other formats can
// be read as a small length too.
func plausible(file []byte) bool {
	return len(file) > 8 && file[8] == '{' && binary.LittleEndian.Uint64(file) <= uint64(len(file)-8)
}

// parseEntry reads the object that describes one tensor and makes the checks
// that do not involve other tensors.
func parseEntry(d *json.Decoder, what string) (e entry, err error) {
	var dtype *string
	var shape, offsets []int
	err = strictjson.Object(d, what, func(key string) (err error) {
		switch key {
		case "dtype":
			if err := d.Decode(&dtype); err != nil || dtype == nil {
				return fmt.Errorf("%s has a dtype that is not a string; a name such as %q is expected", what, F32)
			}
		case "shape":
			shape, err = wholeNumbers(d, what, key)
		case "data_offsets":
			offsets, err = wholeNumbers(d, what, key)
		default:
			// A key from a later format could change what the bytes mean.
			err = fmt.Errorf("%s has the unknown key %s; dtype, shape and data_offsets are expected", what, place.Quote(key))
		}
		return err
	})
	switch {
	case err != nil:
		return e, err
	case dtype == nil:
		return e, fmt.Errorf("%s has no dtype; dtype, shape and data_offsets are expected", what)
	case shape == nil:
		return e, fmt.Errorf("%s has no shape; dtype, shape and data_offsets are expected", what)
	case len(shape) > maxDims:
		return e, fmt.Errorf("%s has %d dimensions; at most %d are allowed", what, len(shape), maxDims)
	case len(offsets) != 2:
		return e, fmt.Errorf("%s has %d data_offsets; [begin, end] is expected", what, len(offsets))
	}
	e = entry{dtype: DType(*dtype), shape: shape, begin: offsets[0], end: offsets[1]}
	if e.dtype.Size() == 0 {
		return e, fmt.Errorf("%s has the unknown dtype %s; known are %v", what, place.Quote(*dtype), byAlignment)
	}
	if e.begin > e.end {
		return e, fmt.Errorf("%s begins at byte %d and ends at %d; the end comes last", what, e.begin, e.end)
	}
	size, ok := product(shape, e.dtype.Size())
	if !ok {
		return e, fmt.Errorf("%s of %s%v has more bytes than 64 bits can count; the header is damaged", what, e.dtype, shape)
	}
	if size != e.end-e.begin {
		return e, fmt.Errorf("%s of %s%v needs %d bytes, but its data_offsets span %d; the two must agree",
			what, e.dtype, shape, size, e.end-e.begin)
	}
	return e, nil
}

// wholeNumbers reads a JSON list of non-negative integers. Its result is not
// nil unless it returns an error.
func wholeNumbers(d *json.Decoder, what, key string) ([]int, error) {
	// Pointers, because JSON null would read as zero.
	var list []*int
	if err := d.Decode(&list); err != nil || list == nil || slices.Contains(list, nil) {
		return nil, fmt.Errorf("%s has a %s that is not a list of whole numbers; e.g. [2, 3] is expected", what, key)
	}
	out := make([]int, len(list))
	for i, p := range list {
		if *p < 0 {
			return nil, fmt.Errorf("%s has %d in its %s; numbers from 0 are expected", what, *p, key)
		}
		out[i] = *p
	}
	return out, nil
}

// product returns size times every dimension. ok is false if a dimension is
// negative or the product overflows an int. As in the reference implementation,
// an overflow counts even if a later dimension is zero.
func product(shape []int, size int) (int, bool) {
	p := uint64(1)
	for _, n := range append(slices.Clip(shape), size) {
		hi, lo := bits.Mul64(p, uint64(n))
		if n < 0 || hi != 0 || lo > 1<<63-1 {
			return 0, false
		}
		p = lo
	}
	return int(p), true
}

// checkLayout returns an error unless the tensors cover a buffer of size bytes
// exactly once.
func checkLayout(tensors map[string]entry, size int) error {
	names := sortedNames(tensors)
	// A stable sort of sorted names makes the message the same for every
	// reading of a file.
	slices.SortStableFunc(names, func(a, b string) int {
		x, y := tensors[a], tensors[b]
		return cmp.Or(cmp.Compare(x.begin, y.begin), cmp.Compare(x.end, y.end))
	})
	end, before := 0, ""
	for _, name := range names {
		e := tensors[name]
		switch {
		case e.end > size:
			return fmt.Errorf("tensor %s ends at data byte %d, but the data has %d; the file is cut off or damaged",
				place.Quote(name), e.end, size)
		case e.begin < end:
			return fmt.Errorf("tensor %s begins at data byte %d, inside %s which ends at %d; tensors may not overlap",
				place.Quote(name), e.begin, place.Quote(before), end)
		case e.begin > end:
			return fmt.Errorf("data bytes %d to %d before tensor %s belong to no tensor; the data may have no holes", end,
				e.begin, place.Quote(name))
		}
		end, before = e.end, name
	}
	if end != size {
		return fmt.Errorf("the tensors end at data byte %d, but the data has %d; the data may have no holes", end, size)
	}
	return nil
}

// sortedNames lists the keys of m in byte order.
func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
