package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Tensor is one tensor to write.
type Tensor struct {
	Name  string
	Shape []int // row-major; empty for a scalar
	// Data is []float32 (F32), []int32 (I32), []int64 (I64) or []uint8 (U8),
	// with as many elements as Shape says.
	Data any
	// DType may be BF16 or F16 for float32 data, which is then rounded to
	// nearest even. If it is empty, the type follows from Data.
	DType DType
}

// Write writes tensors as one safetensors file. The order of the tensors does
// not change its bytes: as in the reference implementation they are sorted by
// alignment, largest first, then by name, and the header is padded with spaces
// to a multiple of 8. Metadata keys are sorted; the Python libraries expect
// {"format": "pt"}. Errors are those of w, unchanged. Write panics with
// [Misuse] if the shape of a tensor does not fit its data, if the data has
// another type, or if a name is reserved or occurs twice.
func Write(w io.Writer, metadata map[string]string, tensors []Tensor) error {
	sorted := make([]Tensor, len(tensors))
	for i, t := range tensors {
		sorted[i] = t.checked()
	}
	slices.SortFunc(sorted, func(a, b Tensor) int {
		return cmp.Or(b.DType.alignmentRank()-a.DType.alignmentRank(), cmp.Compare(a.Name, b.Name))
	})
	if _, err := w.Write(encodeHeader(metadata, sorted)); err != nil {
		return err
	}
	for _, t := range sorted {
		if err := t.writeData(w); err != nil {
			return err
		}
	}
	return nil
}

// checked returns t with its type filled in. It panics with [Misuse] if t is
// not valid.
func (t Tensor) checked() Tensor {
	var natural DType
	var length int
	switch data := t.Data.(type) {
	case []float32:
		natural, length = F32, len(data)
	case []int32:
		natural, length = I32, len(data)
	case []int64:
		natural, length = I64, len(data)
	case []uint8:
		natural, length = U8, len(data)
	default:
		panic(Misuse{"write", fmt.Sprintf("tensor %q has data of type %T", t.Name, t.Data)})
	}
	if t.DType == "" {
		t.DType = natural
	}
	if t.DType != natural && (natural != F32 || t.DType != BF16 && t.DType != F16) {
		panic(Misuse{"write", fmt.Sprintf("tensor %q asks to write %T as %s", t.Name, t.Data, t.DType)})
	}
	if n, ok := product(t.Shape, 1); !ok || n != length {
		panic(Misuse{"write", fmt.Sprintf("tensor %q is %v but has %d elements", t.Name, t.Shape, length)})
	}
	if t.Name == metadataKey {
		panic(Misuse{"write", fmt.Sprintf("a tensor has the reserved name %q", t.Name)})
	}
	return t
}

// encodeHeader returns the length prefix and the padded header for tensors in
// the order of their data.
func encodeHeader(metadata map[string]string, sorted []Tensor) []byte {
	b := bytes.NewBuffer(make([]byte, 8))
	b.WriteByte('{')
	if metadata != nil {
		fmt.Fprintf(b, "%s:%s,", encodeJSON(metadataKey), encodeJSON(metadata))
	}
	seen := map[string]bool{}
	offset := 0
	for _, t := range sorted {
		if seen[t.Name] {
			panic(Misuse{"write", fmt.Sprintf("two tensors are named %q", t.Name)})
		}
		seen[t.Name] = true
		size, _ := product(t.Shape, t.DType.Size())
		shape := encodeJSON(append([]int{}, t.Shape...)) // never null
		fmt.Fprintf(b, `%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]},`,
			encodeJSON(t.Name), t.DType, shape, offset, offset+size)
		offset += size
	}
	if b.Bytes()[b.Len()-1] == ',' {
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(b.Len()-8))
	return b.Bytes()
}

// encodeJSON encodes a string, a list of ints or a map of strings, none of
// which can fail, without the HTML escapes that the reference does not write.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(Misuse{"write", err.Error()})
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// writeData writes the elements of t in little-endian order.
func (t Tensor) writeData(w io.Writer) error {
	switch data := t.Data.(type) {
	case []float32:
		return WriteValues(w, data, t.DType)
	case []int32:
		return writeChunks(w, data, nil)
	case []int64:
		return writeChunks(w, data, nil)
	}
	_, err := w.Write(t.Data.([]uint8))
	return err
}

// WriteValues writes values as little-endian elements of type d, which is F32, BF16 or F16; the last two are rounded to
// nearest even. Errors are those of w, unchanged.
func WriteValues(w io.Writer, values []float32, d DType) error {
	narrow := map[DType]func(float32) uint16{BF16: toBrain, F16: toHalf}[d]
	if narrow == nil {
		return writeChunks(w, values, nil)
	}
	return writeChunks(w, values, func(b []byte, f float32) []byte {
		return binary.LittleEndian.AppendUint16(b, narrow(f))
	})
}

// writeChunks encodes data through a bounded buffer, so that saving a model
// does not need a second copy of it. encode appends one element; nil means that
// the elements are written as their little-endian bytes.
func writeChunks[T any](w io.Writer, data []T, encode func([]byte, T) []byte) error {
	const chunk = 1 << 15
	buf := make([]byte, 0, 8*min(chunk, len(data)))
	for part := range slices.Chunk(data, chunk) {
		buf = buf[:0]
		if encode == nil {
			var err error
			if buf, err = binary.Append(buf, binary.LittleEndian, part); err != nil {
				panic(Misuse{"write", err.Error()})
			}
		} else {
			for _, v := range part {
				buf = encode(buf, v)
			}
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}
