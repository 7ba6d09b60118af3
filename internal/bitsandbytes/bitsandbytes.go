// Package bitsandbytes reads and writes the weights of model directories that transformers saves with bitsandbytes in
// four bits (nf4; see package nf4).
//
// A matrix in four bits is several tensors of a safetensors file: its codes as <name>, their scales as <name>.absmax,
// the levels as <name>.quant_map, and sizes and types as JSON in <name>.quant_state.bitsandbytes__nf4. With double
// quantisation <name>.absmax has 8 bits per scale, and <name>.nested_absmax and <name>.nested_quant_map expand them.
// The layout is that of QuantState.as_dict in bitsandbytes 0.50.
package bitsandbytes

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/nf4"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// NF4 is the type of a matrix in four bits. It is not a type of safetensors files.
const NF4 checkpoint.DType = "NF4"

// These are the ends of the names of the tensors that belong to a matrix.
const (
	absmax         = ".absmax"
	quantMap       = ".quant_map"
	nestedAbsmax   = ".nested_absmax"
	nestedQuantMap = ".nested_quant_map"
	quantState     = ".quant_state.bitsandbytes__"
	nf4State       = quantState + "nf4"
	eightBits      = ".SCB" // of a matrix of LLM.int8, instead of "weight"
)

// state is the content of a tensor with sizes and types.
type state struct {
	Type         string  `json:"quant_type"`
	Block        int     `json:"blocksize"`
	DType        string  `json:"dtype"`
	Shape        []int   `json:"shape"`
	NestedBlock  int     `json:"nested_blocksize"`
	NestedDType  string  `json:"nested_dtype"`
	NestedOffset float64 `json:"nested_offset"`
	double       bool
}

// Model is the weights of a model folder of which some may be in four bits. Its methods treat such a matrix as one
// tensor.
type Model struct {
	*checkpoint.Model
	packed map[string]state
	names  []string
}

// Open opens the weights in dir as [checkpoint.OpenModel] does. It returns an error for a matrix in four or eight bits
// that is not nf4 in blocks of 64, or whose tensors do not fit together.
func Open(dir string) (*Model, error) {
	files, err := checkpoint.OpenModel(dir)
	if err != nil {
		return nil, err
	}
	m := &Model{Model: files, packed: map[string]state{}}
	if err := m.scan(); err != nil {
		_ = files.Close()
		return nil, err
	}
	return m, nil
}

// scan finds the matrices in four bits.
func (m *Model) scan() error {
	parts := map[string]bool{}
	for _, name := range m.Model.Names() {
		if base, ok := strings.CutSuffix(name, eightBits); ok {
			return fmt.Errorf("bitsandbytes: open %s: %s is stored in 8 bits (LLM.int8); want nf4, or weights that are not "+
				"quantised", m.Home(name), place.Quote(base+".weight"))
		}
		matrix, kind, ok := strings.Cut(name, quantState)
		if !ok {
			continue
		}
		s, err := m.state(matrix, kind)
		if err != nil {
			return fmt.Errorf("bitsandbytes: open %s: %s %w", m.Home(name), place.Quote(matrix), err)
		}
		m.packed[matrix] = s
		for _, part := range []string{absmax, quantMap, nestedAbsmax, nestedQuantMap, nf4State} {
			parts[matrix+part] = true
		}
	}
	m.names = slices.DeleteFunc(m.Model.Names(), func(name string) bool { return parts[name] })
	return nil
}

// state reads and checks the description of a matrix of the given kind. Its errors follow the name of the matrix.
func (m *Model) state(matrix, kind string) (s state, err error) {
	if kind != "nf4" {
		return s, fmt.Errorf("is stored as %s; want nf4", place.Quote(kind))
	}
	if got, _, _ := m.Model.Info(matrix + nf4State); got != checkpoint.U8 {
		return s, fmt.Errorf("has a quant_state of %s; want U8", got)
	}
	text, err := m.Model.ReadBytes(matrix + nf4State)
	if err != nil {
		return s, err
	}
	if err := strictjson.UnmarshalKnown(text, &s); err != nil {
		return s, fmt.Errorf("has a quant_state that is not the JSON that bitsandbytes writes:%w", err)
	}
	_, _, s.double = m.Model.Info(matrix + nestedAbsmax)
	switch {
	case s.Type != "nf4":
		return s, fmt.Errorf("has the quant_type %s; want nf4", place.Quote(s.Type))
	case s.Block != nf4.Block:
		return s, fmt.Errorf("has blocks of %d elements; want %d", s.Block, nf4.Block)
	case s.double && s.NestedBlock != nf4.ScaleBlock:
		return s, fmt.Errorf("has scales in blocks of %d; want %d", s.NestedBlock, nf4.ScaleBlock)
	case s.double && s.NestedDType != "float32":
		return s, fmt.Errorf("has scales of scales in %s; want float32", place.Quote(s.NestedDType))
	case math.Abs(s.NestedOffset) > math.MaxFloat32:
		return s, fmt.Errorf("has scales with the mean %g; want a float32", s.NestedOffset)
	}
	n := 1
	for _, d := range s.Shape {
		if d < 1 || n > math.MaxInt32*nf4.Block/d {
			return s, fmt.Errorf("has the shape %v; want that of a matrix", s.Shape)
		}
		n *= d
	}
	blocks := (n + nf4.Block - 1) / nf4.Block
	scales := checkpoint.F32
	if s.double {
		scales = checkpoint.U8
	}
	err = errors.Join(m.part(matrix, "", "codes", checkpoint.U8, (n+1)/2),
		m.part(matrix, absmax, "scales", scales, blocks),
		m.part(matrix, quantMap, "levels", checkpoint.F32, len(nf4.Levels)))
	if s.double && err == nil {
		err = errors.Join(m.part(matrix, nestedAbsmax, "scales of scales", checkpoint.F32,
			(blocks+nf4.ScaleBlock-1)/nf4.ScaleBlock),
			m.part(matrix, nestedQuantMap, "values of scales", checkpoint.F32, len(nf4.DynamicMap)))
	}
	if err != nil {
		return s, err
	}
	levels := make([]float32, len(nf4.Levels))
	if err := m.Model.ReadInto(levels, matrix+quantMap); err != nil {
		return s, err
	}
	if !slices.Equal(levels, nf4.Levels[:]) {
		return s, fmt.Errorf("has other levels than nf4: %v; want %v", levels, nf4.Levels)
	}
	return s, nil
}

// part returns an error unless a tensor of a matrix has n elements of a type.
func (m *Model) part(matrix, end, what string, want checkpoint.DType, n int) error {
	got, _, ok := m.Model.Info(matrix + end)
	elements := m.elements(matrix + end)
	switch {
	case !ok:
		return fmt.Errorf("has no %s: there is no tensor %s", what, place.Quote(matrix+end))
	case got != want:
		return fmt.Errorf("has %s in %s; want %s", what, got, want)
	case elements != n:
		return fmt.Errorf("has %d %s; want %d", elements, what, n)
	}
	return nil
}

// elements returns the number of elements of a tensor of the file.
func (m *Model) elements(name string) int {
	_, shape, _ := m.Model.Info(name)
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Names lists the tensors as [checkpoint.Model.Names] does, each matrix once.
func (m *Model) Names() []string { return m.names }

// Packed lists the matrices in four bits in byte order of their names.
func (m *Model) Packed() []string { return slices.Sorted(maps.Keys(m.packed)) }

// Info does what [checkpoint.File.Info] does. A matrix in four bits has the type NF4 and its own shape.
func (m *Model) Info(name string) (dtype checkpoint.DType, shape []int, ok bool) {
	if s, packed := m.packed[name]; packed {
		return NF4, slices.Clone(s.Shape), true
	}
	return m.Model.Info(name)
}

// Source returns the type that a matrix in four bits had before: F32, BF16 or F16.
func (m *Model) Source(name string) checkpoint.DType {
	for d, spelt := range sources {
		if m.packed[name].DType == spelt {
			return d
		}
	}
	return checkpoint.F32
}

// ReadFinite does what [checkpoint.File.ReadFinite] does. A matrix in four bits is dequantised.
func (m *Model) ReadFinite(dst []float32, name string) error {
	if _, packed := m.packed[name]; !packed {
		return m.Model.ReadFinite(dst, name)
	}
	q, err := m.Matrix(name)
	if err != nil {
		return err
	}
	nf4.Dequantize(dst, q.Codes, q.Expanded(), 0)
	return nil
}

// Matrix reads a matrix that Packed lists. Its codes, and its scales as far as they are quantised, are the bytes of the
// file. It returns an error that wraps [checkpoint.ErrNotFinite] if a scale is not finite.
func (m *Model) Matrix(name string) (q nf4.Matrix, err error) {
	s := m.packed[name]
	q = nf4.Matrix{Shape: slices.Clone(s.Shape)}
	if q.Codes, err = m.ReadBytes(name); err != nil {
		return q, err
	}
	floats := func(end string) []float32 {
		v := make([]float32, m.elements(name+end))
		err = errors.Join(err, m.Model.ReadFinite(v, name+end))
		return v
	}
	if !s.double {
		q.Scales = floats(absmax)
		return q, err
	}
	q.Double = &nf4.Double{Scales: floats(nestedAbsmax), Map: floats(nestedQuantMap), Offset: float32(s.NestedOffset)}
	if err != nil {
		return q, err
	}
	if q.Double.Codes, err = m.ReadBytes(name + absmax); err != nil {
		return q, err
	}
	for i, v := range q.Expanded() {
		if v-v != 0 {
			return q, fmt.Errorf("bitsandbytes: read %s: scale %d of %s is %v: %w", m.Home(name), i, place.Quote(name), v,
				checkpoint.ErrNotFinite)
		}
	}
	return q, nil
}

// Drop does what [checkpoint.File.Drop] does, for all tensors of a matrix.
func (m *Model) Drop(name string) {
	m.Model.Drop(name)
	if _, packed := m.packed[name]; packed {
		m.Model.Drop(name + absmax)
	}
}
