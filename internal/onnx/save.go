package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lor2c/lor2c/internal/checkpoint"
)

// These are the files of a model. A runtime finds the second beside the first.
const (
	ModelFile = "model.onnx"
	DataFile  = "model.onnx.data"
)

// Inline is the largest number of bytes of all tensors that Save keeps in the model's own file. A protobuf message has
// less than 2 GiB, and the rest of it is below 1 MiB for every layer.
const Inline = 1 << 30

const (
	// page is what the specification aligns the tensors of a data file to.
	page = 4096
	// small tensors stay in the model's own file, where runtimes look for shapes.
	small = 1024
)

// size returns the number of bytes of the values of t.
func (t tensor) size() int64 {
	n := int64(8)
	if t.kind == float {
		n = 4
	}
	for _, d := range t.dims {
		n *= int64(d)
	}
	return n
}

// header returns the fields of a TensorProto without its values.
func (t tensor) header() (b []byte) {
	for _, d := range t.dims {
		b = varint(b, 1, uint64(d))
	}
	return text(varint(b, 2, uint64(t.kind)), 8, t.name)
}

// write writes the values of t.
func (t tensor) write(w io.Writer) error {
	if t.kind == int64s {
		return binary.Write(w, binary.LittleEndian, t.ints)
	}
	for part := range slices.Chunk(t.floats(), page) { // binary.Write allocates as much as it writes
		if err := binary.Write(w, binary.LittleEndian, part); err != nil {
			return err
		}
	}
	return nil
}

// Save writes the model into a directory. If its tensors have more than inline bytes, the large ones are in a file of
// their own.
func (g *Graph) Save(dir string, inline int64) error {
	var total int64
	for _, t := range g.tensors {
		total += t.size()
	}
	var offsets map[string]int64
	if total > inline {
		offsets = map[string]int64{}
		err := create(filepath.Join(dir, DataFile), func(w io.Writer) error { return g.writeData(w, offsets) })
		if err != nil {
			return err
		}
	}
	return create(filepath.Join(dir, ModelFile), func(w io.Writer) error { return g.writeModel(w, offsets) })
}

// create writes a file.
func create(path string, fill func(io.Writer) error) error {
	if err := checkpoint.Create(path, fill); err != nil {
		return fmt.Errorf("onnx: write %s: %w", path, err)
	}
	return nil
}

// writeData writes the large tensors and notes where each begins.
func (g *Graph) writeData(w io.Writer, offsets map[string]int64) error {
	at := int64(0)
	for _, t := range g.tensors {
		if t.kind != float || t.size() < small {
			continue
		}
		gap := (page - at%page) % page
		if _, err := w.Write(make([]byte, gap)); err != nil {
			return err
		}
		at += gap
		offsets[t.name] = at
		if err := t.write(w); err != nil {
			return err
		}
		at += t.size()
	}
	return nil
}

// writeModel writes a ModelProto. Tensors with an offset are in the data file.
func (g *Graph) writeModel(w io.Writer, offsets map[string]int64) error {
	// The length of the graph stands before it, so that the tensors are counted before they are written.
	heads := make([][]byte, len(g.tensors))
	length := len(g.nodes) + len(g.ends)
	name := text(nil, 2, "encoder")
	length += len(name)
	for i, t := range g.tensors {
		h := t.header()
		offset, apart := offsets[t.name]
		inline := 0
		if apart {
			for _, entry := range [][2]string{
				{"location", DataFile}, {"offset", strconv.FormatInt(offset, 10)}, {"length", strconv.FormatInt(t.size(), 10)},
			} {
				h = message(h, 13, text(text(nil, 1, entry[0]), 2, entry[1]))
			}
			h = varint(h, 14, 1)
		} else {
			h = protowire.AppendVarint(protowire.AppendTag(h, 9, protowire.BytesType), uint64(t.size()))
			inline = int(t.size())
		}
		head := protowire.AppendVarint(protowire.AppendTag(nil, 5, protowire.BytesType), uint64(len(h)+inline))
		heads[i] = append(head, h...)
		length += len(heads[i]) + inline
	}
	start := text(varint(nil, 1, irVersion), 2, "lor2c")
	start = message(start, 8, varint(text(nil, 1, ""), 2, operatorSet))
	start = protowire.AppendVarint(protowire.AppendTag(start, 7, protowire.BytesType), uint64(length))
	for _, part := range [][]byte{start, g.nodes, name} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	for i, t := range g.tensors {
		if _, err := w.Write(heads[i]); err != nil {
			return err
		}
		if _, apart := offsets[t.name]; apart {
			continue
		}
		if err := t.write(w); err != nil {
			return err
		}
	}
	_, err := w.Write(g.ends)
	return err
}
