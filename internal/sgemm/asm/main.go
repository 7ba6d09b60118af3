// Command asm writes the assembly of package sgemm. Run it with "go generate" in the parent directory.
//
// It is a separate module, so that lor2c does not depend on the library that generates the assembly.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	for _, isa := range []isa{
		{name: "avx512", lanes: 16, rows: 14, registers: zmm},
		{name: "avx2", lanes: 8, rows: 6, registers: ymm},
	} {
		for rows := 1; rows <= isa.rows; rows++ {
			isa.kernel(rows, 2, float32s)
			isa.kernel(rows, 1, float32s)
			isa.kernel(rows, 2, bfloat16s)
			isa.kernel(rows, 2, float16s)
		}
		isa.dequantize()
	}
	transpose()
	widen(bfloat16s)
	widen(float16s)
	Generate()
}

// isa is an instruction set with its vector registers and the tile of its largest kernel.
type isa struct {
	name        string
	lanes, rows int
	registers   []VecPhysical
}

var (
	zmm = []VecPhysical{
		Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
		Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
	}
	ymm = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}
)

// format is how the elements of the second factor are stored.
type format struct {
	suffix, words string
	bytes         int
}

var (
	float32s  = format{bytes: 4}
	bfloat16s = format{suffix: "_bfloat16", words: ", with b in bfloat16", bytes: 2}
	float16s  = format{suffix: "_float16", words: ", with b in float16", bytes: 2}
)

// Kernels of few rows take as long as reading the second factor from memory. Up to prefetchRows rows they ask for it
// prefetchBytes before they need it, also across the end of a page, where the processor would not.
const (
	prefetchRows  = 8
	prefetchBytes = 2048
)

// load writes the instructions that load a vector of float32.
func (f format) load(m Mem, r VecPhysical) {
	switch f {
	case bfloat16s:
		VPMOVZXWD(m, r)
		VPSLLD(Imm(16), r, r)
	case float16s:
		VCVTPH2PS(m, r)
	default:
		VMOVUPS(m, r)
	}
}

// kernel writes one micro-kernel: a tile of rows x (vectors lanes) of the destination stays in registers while k runs.
func (s isa) kernel(rows, vectors int, f format) {
	width := vectors * s.lanes
	name := fmt.Sprintf("%s_%dx%d%s", s.name, rows, width, f.suffix)
	signature := "func(k int, a, b, c *float32, ldc int, alpha float32, accumulate int)"
	if f != float32s {
		signature = "func(k int, a *float32, b *uint16, c *float32, ldc int, alpha float32, accumulate int)"
	}
	TEXT(name, NOSPLIT, signature)
	Doc(fmt.Sprintf("%s is the kernel for a tile of %d rows and %d columns%s.", name, rows, width, f.words))
	Pragma("noescape")
	k, a, b := Load(Param("k"), RCX), Load(Param("a"), RSI), Load(Param("b"), RDI)
	c, ldc := Load(Param("c"), RDX), Load(Param("ldc"), RAX)
	SHLQ(Imm(2), ldc)

	acc := s.registers[:rows*vectors]
	right := s.registers[rows*vectors : (rows+1)*vectors]
	left := s.registers[(rows+1)*vectors]
	for _, r := range acc {
		s.zero(r)
	}
	loop, done := "loop", "done"
	TESTQ(k, k)
	JE(LabelRef(done))
	Label(loop)
	if rows <= prefetchRows {
		for line := 0; line < width*f.bytes; line += 64 {
			PREFETCHT0(Mem{Base: b, Disp: prefetchBytes + line})
		}
	}
	for v, r := range right {
		f.load(Mem{Base: b, Disp: v * s.lanes * f.bytes}, r)
	}
	for i := range rows {
		VBROADCASTSS(Mem{Base: a, Disp: i * 4}, left)
		for v, r := range right {
			VFMADD231PS(r, left, acc[i*vectors+v])
		}
	}
	ADDQ(Imm(uint64(rows*4)), a)
	ADDQ(U32(uint32(width*f.bytes)), b)
	DECQ(k)
	JNE(LabelRef(loop))
	Label(done)

	alpha, err := Param("alpha").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(alpha.Addr, left)
	for _, r := range acc {
		VMULPS(left, r, r)
	}
	accumulate := Load(Param("accumulate"), RCX)
	TESTQ(accumulate, accumulate)
	JE(LabelRef("store"))
	MOVQ(c, RBX)
	for i := range rows {
		for v := range vectors {
			VADDPS(Mem{Base: RBX, Disp: v * s.lanes * 4}, acc[i*vectors+v], acc[i*vectors+v])
		}
		if i < rows-1 {
			ADDQ(ldc, RBX)
		}
	}
	Label("store")
	for i := range rows {
		for v := range vectors {
			VMOVUPS(acc[i*vectors+v], Mem{Base: c, Disp: v * s.lanes * 4})
		}
		if i < rows-1 {
			ADDQ(ldc, c)
		}
	}
	VZEROUPPER()
	RET()
}

// zero clears a register.
func (s isa) zero(r VecPhysical) {
	if s.lanes == 16 {
		VPXORD(r, r, r)
	} else {
		VXORPS(r, r, r)
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
