package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// floats decodes raw, which contains little-endian elements of type d, into
// dst. It returns false if d is not one of the floating-point types that it
// converts to float32. Conversions from F16 and BF16 are exact, including the
// payloads of NaN; F64 is rounded to nearest even.
func floats(dst []float32, d DType, raw []byte) bool {
	le := binary.LittleEndian
	switch d {
	case F32:
		// lor2c runs on little-endian machines only, so the bytes can be copied as
		// they are. Decoding the values one by one took three times as long as this
		// copy, whose speed is that of the memory.
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), 4*len(dst)), raw)
	case F16:
		for i := range dst {
			dst[i] = fromHalf(le.Uint16(raw[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(le.Uint16(raw[2*i:])) << 16)
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(le.Uint64(raw[8*i:])))
		}
	default:
		return false
	}
	return true
}

// fromHalf widens an IEEE 754 binary16 (1 sign, 5 exponent, 10 fraction bits,
// bias 15) to binary32 (8 exponent, 23 fraction bits, bias 127).
func fromHalf(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent := uint32(h>>10) & 0x1f
	fraction := uint32(h) & 0x3ff
	switch exponent {
	case 0:
		// Zero and subnormals are fraction*2^-24, which is a normal number in
		// binary32, so the product is exact.
		f := float32(fraction) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// toBrain narrows f to bfloat16, rounding to nearest even as PyTorch does.
func toBrain(f float32) uint16 {
	b := math.Float32bits(f)
	if f != f {
		// Rounding could turn a NaN into an infinity.
		return 0x7fc0
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// toHalf narrows f to IEEE 754 binary16, rounding to nearest even. A value from
// 65520 on becomes an infinity.
func toHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	magnitude := b & 0x7fffffff
	switch {
	case magnitude > 0x7f800000:
		return 0x7e00 // NaN
	case magnitude >= 0x477ff000: // 65520
		return sign | 0x7c00
	case magnitude < 0x38800000: // 2^-14: zero and subnormals, multiples of 2^-24
		// The sum with 0.5 has multiples of 2^-24 as its last bits, so the
		// processor rounds to nearest even.
		return sign | uint16(math.Float32bits(math.Float32frombits(magnitude)+0.5)-math.Float32bits(0.5))
	}
	return sign | uint16((magnitude-(127-15)<<23+0xfff+magnitude>>13&1)>>13)
}

// Round rounds values in place to the nearest that a tensor of type d, which is F32, BF16 or F16, can have. It returns
// the index of the first value that is then not finite, as one outside the range of d, or -1 if all are finite.
func Round(values []float32, d DType) int {
	for i, v := range values {
		switch d {
		case BF16:
			values[i] = math.Float32frombits(uint32(toBrain(v)) << 16)
		case F16:
			values[i] = fromHalf(toHalf(v))
		}
	}
	return firstNotFinite(values)
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

// ints decodes raw, which contains little-endian elements of type d, into dst.
func ints(dst []int64, d DType, raw []byte) error {
	le := binary.LittleEndian
	for i := range dst {
		switch d {
		case Bool, U8:
			dst[i] = int64(raw[i])
		case I8:
			dst[i] = int64(int8(raw[i]))
		case U16:
			dst[i] = int64(le.Uint16(raw[2*i:]))
		case I16:
			dst[i] = int64(int16(le.Uint16(raw[2*i:])))
		case U32:
			dst[i] = int64(le.Uint32(raw[4*i:]))
		case I32:
			dst[i] = int64(int32(le.Uint32(raw[4*i:])))
		case I64:
			dst[i] = int64(le.Uint64(raw[8*i:]))
		case U64:
			u := le.Uint64(raw[8*i:])
			if u > math.MaxInt64 {
				return fmt.Errorf("element %d is %d; at most %d is readable", i, u, int64(math.MaxInt64))
			}
			dst[i] = int64(u)
		}
	}
	return nil
}

// isInt reports whether ints can decode d.
func isInt(d DType) bool {
	switch d {
	case Bool, U8, I8, U16, I16, U32, I32, U64, I64:
		return true
	}
	return false
}

// isFloat reports whether floats can decode d.
func isFloat(d DType) bool { return floats(nil, d, nil) }
