// Command asm writes the assembly of package sgemm, or with -panels that of its kernels for several panels. Run it with
// "go generate" in the parent directory.
//
// It is a separate module, so that lor2c does not depend on the library that generates the assembly.
package main

import (
	"flag"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	several := flag.Bool("panels", false, "write the kernels for several panels, and nothing else")
	flag.Parse()
	ConstraintExpr("amd64")
	if *several {
		panelKernels()
	} else {
		kernels()
		transpose()
		widen(bfloat16s)
		widen(float16s)
	}
	Generate()
}

// kernels writes the kernels for one panel of the second factor, or half of one, and those that dequantise.
func kernels() {
	for _, isa := range isas {
		for rows := 1; rows <= isa.rows; rows++ {
			for _, f := range formats {
				isa.kernel(rows, 1, 2, f)
				if f == float32s {
					isa.kernel(rows, 1, 1, f)
				}
			}
		}
		isa.dequantize()
	}
}

// panelKernels writes the kernels for several panels.
func panelKernels() {
	for _, isa := range isas {
		for rows := 1; rows <= isa.rows; rows++ {
			for _, f := range formats {
				for panels := 2; panels <= isa.panels(rows); panels++ {
					isa.kernel(rows, panels, 2, f)
				}
			}
		}
	}
}

// widen writes a function that converts elements of two bytes.
func widen(f format) {
	name := map[format]string{bfloat16s: "widenBFloat16", float16s: "widenFloat16"}[f]
	TEXT(name, NOSPLIT, "func(dst *float32, src *uint16, blocks int)")
	Doc(name + " writes blocks of 8 elements of src to dst as float32.")
	Pragma("noescape")
	dst, src, n := Load(Param("dst"), RDI), Load(Param("src"), RSI), Load(Param("blocks"), RCX)
	TESTQ(n, n)
	JE(LabelRef("done"))
	Label("loop")
	f.load(Mem{Base: src}, Y0)
	VMOVUPS(Y0, Mem{Base: dst})
	ADDQ(Imm(16), src)
	ADDQ(Imm(32), dst)
	DECQ(n)
	JNE(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

// dequantize writes a function that dequantises blocks of 64 elements in four bits. A permutation looks up the levels
// of a vector of codes. AVX2 needs two of them, because its registers have only half of the levels.
func (s isa) dequantize() {
	name := s.name + "_dequantize"
	TEXT(name, NOSPLIT, "func(dst *float32, codes *byte, scales, levels *float32, blocks int)")
	Doc(name+" writes blocks of 64 elements in four bits to dst: the level of each code times the scale of its",
		"block. A byte has the code of the first of two elements in its high bits.")
	Pragma("noescape")
	dst, codes := Load(Param("dst"), RDI), Load(Param("codes"), RSI)
	scales, table, n := Load(Param("scales"), RDX), Load(Param("levels"), RBX), Load(Param("blocks"), RCX)
	levels, upper, shifts, scale := s.registers[0], s.registers[1], s.registers[2], s.registers[3]
	x, y, z := s.registers[4], s.registers[5], s.registers[6]
	VMOVUPS(Mem{Base: table}, levels)
	if s.lanes == 8 {
		VMOVUPS(Mem{Base: table, Disp: 32}, upper)
	}
	// Each byte fills a pair of lanes. The first is shifted by 4 and the second by 0.
	MOVQ(U32(4), RAX)
	VMOVQ(RAX, X2)
	VPBROADCASTQ(X2, shifts)
	TESTQ(n, n)
	JE(LabelRef("done"))
	Label("loop")
	VBROADCASTSS(Mem{Base: scales}, scale)
	for i := range 64 / s.lanes {
		VPMOVZXBQ(Mem{Base: codes, Disp: i * s.lanes / 2}, x)
		VPSLLQ(Imm(32), x, y)
		if s.lanes == 16 {
			VPORQ(x, y, y)
		} else {
			VPOR(x, y, y)
		}
		VPSRLVD(shifts, y, y)
		// The permutation ignores the bits of a code beyond the number of its lanes.
		VPERMPS(levels, y, x)
		if s.lanes == 8 {
			VPERMPS(upper, y, z)
			VPSLLD(Imm(28), y, y)
			VBLENDVPS(y, z, x, x)
		}
		VMULPS(scale, x, x)
		VMOVUPS(x, Mem{Base: dst, Disp: i * s.lanes * 4})
	}
	ADDQ(Imm(32), codes)
	ADDQ(Imm(4), scales)
	ADDQ(U32(256), dst)
	DECQ(n)
	JNE(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

// transpose writes transpose8.
func transpose() {
	TEXT("transpose8", NOSPLIT, "func(dst *float32, dstStride int, src *float32, srcStride, blocks int)")
	Doc("transpose8 writes the transposes of blocks neighbouring blocks of 8 rows and 8 columns of src below one another",
		"to dst. The strides are in elements.")
	Pragma("noescape")
	dst, ds := Load(Param("dst"), RDI), Load(Param("dstStride"), RAX)
	src, ss, n := Load(Param("src"), RSI), Load(Param("srcStride"), RBX), Load(Param("blocks"), RCX)
	SHLQ(Imm(2), ds)
	SHLQ(Imm(2), ss)
	LEAQ(Mem{Base: ss, Index: ss, Scale: 2}, R8) // three rows of src
	LEAQ(Mem{Base: ds, Index: ds, Scale: 2}, R9)
	TESTQ(n, n)
	JE(LabelRef("done"))
	Label("loop")
	// at returns the address of row i of the four that begin at base.
	at := func(base, stride, three Register, i int) Mem {
		switch i {
		case 1:
			return Mem{Base: base, Index: stride, Scale: 1}
		case 2:
			return Mem{Base: base, Index: stride, Scale: 2}
		case 3:
			return Mem{Base: base, Index: three, Scale: 1}
		}
		return Mem{Base: base}
	}
	LEAQ(Mem{Base: src, Index: ss, Scale: 4}, R10)
	for i := range 4 {
		VMOVUPS(at(src, ss, R8, i), ymm[i])
		VMOVUPS(at(R10, ss, R8, i), ymm[4+i])
	}
	// Pairs, quadruples, then halves.
	for i := 0; i < 8; i += 2 {
		VUNPCKLPS(ymm[i+1], ymm[i], ymm[8+i])
		VUNPCKHPS(ymm[i+1], ymm[i], ymm[8+i+1])
	}
	for i := 0; i < 8; i += 4 {
		VSHUFPS(Imm(0x44), ymm[8+i+2], ymm[8+i], ymm[i])
		VSHUFPS(Imm(0xEE), ymm[8+i+2], ymm[8+i], ymm[i+1])
		VSHUFPS(Imm(0x44), ymm[8+i+3], ymm[8+i+1], ymm[i+2])
		VSHUFPS(Imm(0xEE), ymm[8+i+3], ymm[8+i+1], ymm[i+3])
	}
	LEAQ(Mem{Base: dst, Index: ds, Scale: 4}, R10)
	for i := range 4 {
		VPERM2F128(Imm(0x20), ymm[4+i], ymm[i], ymm[8])
		VPERM2F128(Imm(0x31), ymm[4+i], ymm[i], ymm[9])
		VMOVUPS(ymm[8], at(dst, ds, R9, i))
		VMOVUPS(ymm[9], at(R10, ds, R9, i))
	}
	ADDQ(Imm(32), src)
	LEAQ(Mem{Base: dst, Index: ds, Scale: 8}, dst)
	DECQ(n)
	JNE(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}
