// Package onnx writes encoders with their adapters as ONNX models.
//
// The fields of the messages and their numbers are those of onnx.proto in version 1.12 of the ONNX specification
// (https://github.com/onnx/onnx/blob/v1.12.0/onnx/onnx.proto), which has operator set 17. The operators are those of
// docs/Operators.md there.
package onnx

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// These are the versions of the format (IR_VERSION_2021_7_30) and of the operators. Operator set 17 is the first with
// LayerNormalization; with 20 there is Gelu, which older runtimes do not read.
const (
	irVersion   = 8
	operatorSet = 17
)

// element is a TensorProto.DataType.
type element uint64

// These are the types of the tensors of a graph.
const (
	float  element = 1
	int64s element = 7
)

// Graph is an ONNX model in parts. Its large tensors are read when it is saved.
type Graph struct {
	nodes   []byte // the NodeProtos as fields of a GraphProto
	ends    []byte // the inputs and outputs as fields of a GraphProto
	tensors []tensor
}

// tensor is an initializer.
type tensor struct {
	name   string
	dims   []int
	kind   element
	ints   []int64
	floats func() []float32 // nil for integers
}

// attribute is one attribute of a node: value is an int, a float32 or a list of ints.
type attribute struct {
	name  string
	value any
}

// varint appends a field with an integer.
func varint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

// text appends a field with a string.
func text(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

// message appends a field with a message.
func message(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}

// node adds an operator with one output, whose name it returns.
func (g *Graph) node(op, name string, inputs []string, attributes ...attribute) string {
	var n []byte
	for _, input := range inputs {
		n = text(n, 1, input)
	}
	n = text(n, 2, name)
	n = text(n, 3, name)
	n = text(n, 4, op)
	for _, a := range attributes {
		m := text(nil, 1, a.name)
		switch v := a.value.(type) {
		case float32:
			m = protowire.AppendFixed32(protowire.AppendTag(m, 2, protowire.Fixed32Type), math.Float32bits(v))
			m = varint(m, 20, 1)
		case int:
			m = varint(varint(m, 3, uint64(v)), 20, 2)
		case []int:
			for _, x := range v {
				m = varint(m, 8, uint64(x))
			}
			m = varint(m, 20, 7)
		}
		n = message(n, 5, m)
	}
	g.nodes = message(g.nodes, 1, n)
	return name
}

// end adds an input (field 11) or an output (field 12) of the graph. Dimensions are numbers or names.
func (g *Graph) end(field protowire.Number, name string, kind element, dims ...any) string {
	var shape []byte
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			shape = message(shape, 1, varint(nil, 1, uint64(d)))
		case string:
			shape = message(shape, 1, text(nil, 2, d))
		}
	}
	array := message(varint(nil, 1, uint64(kind)), 2, shape)
	g.ends = message(g.ends, field, message(text(nil, 1, name), 2, message(nil, 1, array)))
	return name
}

// integers adds a constant list, or a constant number if dims is empty.
func (g *Graph) integers(name string, dims []int, values ...int64) string {
	g.tensors = append(g.tensors, tensor{name: name, dims: dims, kind: int64s, ints: values})
	return name
}

// number adds a constant.
func (g *Graph) number(name string, value float32) string {
	return g.array(name, nil, func() []float32 { return []float32{value} })
}

// array adds a constant whose values are read when the graph is saved.
func (g *Graph) array(name string, dims []int, values func() []float32) string {
	g.tensors = append(g.tensors, tensor{name: name, dims: dims, kind: float, floats: values})
	return name
}
