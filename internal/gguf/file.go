// Package gguf writes decoders and LoRA adapters as GGUF files, which llama.cpp and the programs around it load.
//
// The format is version 3 of the specification (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). The names
// of tensors and of metadata are those of llama.cpp's Python package gguf, release 0.19, constants.py.
package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/lor2c/lor2c/internal/checkpoint"
)

const (
	magic   = "GGUF"
	version = 3
	// alignment is what the offsets of tensors are multiples of if the metadata do not name another.
	alignment = 32
)

// File is a GGUF file in parts. The values of its tensors are read when it is written.
type File struct {
	metadata bytes.Buffer
	keys     uint64
	tensors  []tensor
}

// tensor is one tensor. Its shape is row-major.
type tensor struct {
	name   string
	shape  []int
	kind   checkpoint.DType
	values func() []float32
}

// These are the types of metadata, gguf_metadata_value_type, and of tensors, ggml_type.
const (
	typeUint32  = 4
	typeInt32   = 5
	typeFloat32 = 6
	typeBool    = 7
	typeString  = 8
	typeArray   = 9
)

var tensorTypes = map[checkpoint.DType]uint32{checkpoint.F32: 0, checkpoint.F16: 1, checkpoint.BF16: 30}

// put appends numbers and booleans as little-endian bytes.
func put(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		if err := binary.Write(b, binary.LittleEndian, v); err != nil {
			panic(err) // a type without a fixed size
		}
	}
}

// putText appends a string.
func putText(b *bytes.Buffer, s string) {
	put(b, uint64(len(s)))
	b.WriteString(s)
}

// set adds metadata. Value is a uint32, a float32, a bool, a string or a list of strings, of float32 or of int32.
func (f *File) set(key string, value any) {
	b := &f.metadata
	f.keys++
	putText(b, key)
	switch v := value.(type) {
	case uint32:
		put(b, uint32(typeUint32), v)
	case float32:
		put(b, uint32(typeFloat32), v)
	case bool:
		put(b, uint32(typeBool), v)
	case string:
		put(b, uint32(typeString))
		putText(b, v)
	case []float32:
		put(b, uint32(typeArray), uint32(typeFloat32), uint64(len(v)), v)
	case []int32:
		put(b, uint32(typeArray), uint32(typeInt32), uint64(len(v)), v)
	case []string:
		put(b, uint32(typeArray), uint32(typeString), uint64(len(v)))
		for _, s := range v {
			putText(b, s)
		}
	default:
		panic(fmt.Sprintf("gguf: metadata %s has type %T", key, value))
	}
}

// size returns the number of bytes of a tensor's values.
func (t tensor) size() int {
	n := t.kind.Size()
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// padding returns the number of bytes from n to the next multiple of alignment.
func padding(n int) int { return (alignment - n%alignment) % alignment }

// header returns everything before the values of the tensors.
func (f *File) header() []byte {
	b := bytes.NewBufferString(magic)
	put(b, uint32(version), uint64(len(f.tensors)), f.keys)
	b.Write(f.metadata.Bytes())
	offset := 0
	for _, t := range f.tensors {
		putText(b, t.name)
		put(b, uint32(len(t.shape)))
		for i := range t.shape {
			put(b, uint64(t.shape[len(t.shape)-1-i])) // the dimension that is contiguous comes first
		}
		put(b, tensorTypes[t.kind], uint64(offset))
		offset += t.size() + padding(t.size())
	}
	b.Write(make([]byte, padding(b.Len())))
	return b.Bytes()
}

// Save writes the file.
func (f *File) Save(path string) error {
	if err := checkpoint.Create(path, f.write); err != nil {
		return fmt.Errorf("gguf: write %s: %w", path, err)
	}
	return nil
}

func (f *File) write(w io.Writer) error {
	if _, err := w.Write(f.header()); err != nil {
		return err
	}
	for _, t := range f.tensors {
		if err := checkpoint.WriteValues(w, t.values(), t.kind); err != nil {
			return err
		}
		if _, err := w.Write(make([]byte, padding(t.size()))); err != nil {
			return err
		}
	}
	return nil
}
