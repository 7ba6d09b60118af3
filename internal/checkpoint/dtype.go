package checkpoint

import "slices"

// DType is the element type of a tensor, spelled as in a safetensors header.
type DType string

// These are the element types that have a whole number of bytes. The format
// also has packed 4- and 6-bit floats, which are refused as unknown.
const (
	Bool    DType = "BOOL"
	U8      DType = "U8"
	I8      DType = "I8"
	F8E5M2  DType = "F8_E5M2"
	F8E4M3  DType = "F8_E4M3"
	F8E8M0  DType = "F8_E8M0"
	F8E4M3Z DType = "F8_E4M3FNUZ"
	F8E5M2Z DType = "F8_E5M2FNUZ"
	I16     DType = "I16"
	U16     DType = "U16"
	F16     DType = "F16"
	BF16    DType = "BF16"
	I32     DType = "I32"
	U32     DType = "U32"
	F32     DType = "F32"
	C64     DType = "C64"
	F64     DType = "F64"
	I64     DType = "I64"
	U64     DType = "U64"
)

// byAlignment is the order in which the reference implementation declares its
// types. It writes tensors from the last of them to the first, so that every
// tensor starts on a multiple of its element size; see enum Dtype in
// https://github.com/huggingface/safetensors, safetensors/src/tensor.rs.
var byAlignment = []DType{
	Bool, U8, I8, F8E5M2, F8E4M3, F8E8M0, F8E4M3Z, F8E5M2Z,
	I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64,
}

// Size is the number of bytes of one element, 0 for a type that is not known.
func (d DType) Size() int {
	switch d {
	case Bool, U8, I8, F8E5M2, F8E4M3, F8E8M0, F8E4M3Z, F8E5M2Z:
		return 1
	case I16, U16, F16, BF16:
		return 2
	case I32, U32, F32:
		return 4
	case C64, F64, I64, U64:
		return 8
	}
	return 0
}

// alignmentRank is the position of d in byAlignment.
func (d DType) alignmentRank() int { return slices.Index(byAlignment, d) }
