// Command amx writes the assembly of package sgemm for the tile unit of x86 processors (AMX). Run it with "go generate"
// in the directory of the package.
//
// Go's assembler does not know the instructions of the tile unit, nor the conversion to bfloat16. They are written as
// bytes, each with its mnemonic, and a test of package sgemm compares both. The encodings are those of Intel's
// "Architecture Instruction Set Extensions Programming Reference", chapters 2 and 3.
package main

import (
	"encoding/binary"
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	tileBytes = 1024          // 16 rows of 64 bytes
	partBytes = 2 * tileBytes // the two tiles of one part of 32 rows or columns
)

func main() {
	ConstraintExpr("amd64")
	config, order := constants()
	for parts := 1; parts <= 3; parts++ {
		kernel(parts, config)
		split(parts, order)
	}
	Generate()
}

// constants writes the configuration of eight tiles of 16 rows of 64 bytes, and the order of 32 words that puts words i
// and 16 + i beside each other.
func constants() (config, order Mem) {
	config = GLOBL("tileConfig", RODATA|NOPTR)
	DATA(0, U64(1)) // palette 1
	DATA(8, U64(0))
	for i := range 4 {
		DATA(16+8*i, U64([]uint64{64 | 64<<16 | 64<<32 | 64<<48, 64 | 64<<16 | 64<<32 | 64<<48, 0, 0}[i]))
	}
	DATA(48, U64(0x1010101010101010))
	DATA(56, U64(0))
	order = GLOBL("wordOrder", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(i|(16+i)<<16))
	}
	return config, order
}

// bytes writes an instruction as bytes, after its mnemonic in Intel's syntax.
func bytes(mnemonic string, code ...byte) {
	Comment(mnemonic)
	emit := func(opcode string, x Op) { Instruction(&ir.Instruction{Opcode: opcode, Operands: []Op{x}}) }
	for len(code) >= 4 {
		emit("LONG", U32(binary.LittleEndian.Uint32(code)))
		code = code[4:]
	}
	for _, b := range code {
		emit("BYTE", U8(b))
	}
}

// number returns the number of a general register in encodings. It is below 8 for those that are used here.
func number(r Register) byte {
	return map[Register]byte{RAX: 0, RCX: 1, RDX: 2, RBX: 3, RSI: 6, RDI: 7}[r]
}

func name(r Register) string {
	return map[Register]string{RAX: "rax", RCX: "rcx", RDX: "rdx", RBX: "rbx", RSI: "rsi", RDI: "rdi"}[r]
}

// moveTile writes tileloadd or tilestored between a tile and memory at base + disp, whose rows are stride bytes apart.
func moveTile(store bool, tile byte, base, stride Register, disp int) {
	place := fmt.Sprintf("[%s+%s*1+%#x]", name(base), name(stride), disp)
	mnemonic, prefix := fmt.Sprintf("tileloadd tmm%d,%s", tile, place), byte(0x7b)
	if store {
		mnemonic, prefix = fmt.Sprintf("tilestored %s,tmm%d", place, tile), 0x7a
	}
	code := []byte{0xc4, 0xe2, prefix, 0x4b, 0x84 | tile<<3, number(stride)<<3 | number(base)}
	bytes(mnemonic, binary.LittleEndian.AppendUint32(code, uint32(disp))...)
}

// multiplyTiles adds the product of two tiles to a third.
func multiplyTiles(dst, a, b byte) {
	bytes(fmt.Sprintf("tdpbf16ps tmm%d,tmm%d,tmm%d", dst, a, b), 0xc4, 0xe2, 0x02|(^b&15)<<3, 0x5c, 0xc0|dst<<3|a)
}

// terms are the products of parts that are computed, in order: the part of the first factor and that of the second. The
// order lets each term but the first load only one part of a factor.
var terms = [][2]int{{0, 2}, {0, 1}, {1, 1}, {1, 0}, {0, 0}, {2, 0}}

// kernel writes the kernel for a second factor in the given number of parts. It computes strips of 32 rows and 32
// columns of the destination.
func kernel(parts int, config Mem) {
	TEXT(fmt.Sprintf("tiles%d", parts), NOSPLIT, "func("+
		"blocks int, a, b *uint16, c *float32, ldc int, alpha float32, accumulate int, rows int, mask uint32, tile *float32)")
	Doc(fmt.Sprintf("tiles%d computes rows rows and the columns in mask of c, where b has %d parts.", parts, parts),
		"tile is scratch memory for 32 rows and 32 columns.")
	Pragma("noescape")
	a, c, ldc := Load(Param("a"), RSI), Load(Param("c"), RDX), Load(Param("ldc"), R10)
	SHLQ(Imm(2), ldc)
	mask := Load(Param("mask"), R8L)
	KMOVW(mask, K1)
	SHRL(Imm(16), mask)
	KMOVW(mask, K2)
	alpha, err := Param("alpha").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(alpha.Addr, Z31)
	accumulate, rows, blocks := Load(Param("accumulate"), R13), Load(Param("rows"), R11), Load(Param("blocks"), R12)
	LEAQ(config, RAX)
	bytes("ldtilecfg [rax]", 0xc4, 0xe2, 0x78, 0x49, 0x00)

	Label("strip")
	b := Load(Param("b"), RDI)
	for t := range byte(4) {
		bytes(fmt.Sprintf("tilezero tmm%d", t), 0xc4, 0xe2, 0x7b, 0x49, 0xc0|t<<3)
	}
	MOVQ(U32(64), RAX)
	MOVQ(blocks, RCX)
	Label("block")
	multiplyBlock(parts)
	ADDQ(U32(3*partBytes), a)
	ADDQ(U32(uint32(parts*partBytes)), b)
	DECQ(RCX)
	JNE(LabelRef("block"))

	storeStrip(c, ldc, rows, accumulate)
	SUBQ(Imm(32), rows)
	JGT(LabelRef("strip"))
	bytes("tilerelease", 0xc4, 0xe2, 0x78, 0x49, 0xc0)
	VZEROUPPER()
	RET()
}

// multiplyBlock writes the instructions that add the products of one block of a and of b, which has the given number of
// parts, to the four tiles of sums. A tile that the term before has loaded is not loaded again.
func multiplyBlock(parts int) {
	left, right := -1, -1
	for _, term := range terms {
		if term[1] >= parts {
			continue
		}
		for t := range 2 {
			if term[0] != left {
				moveTile(false, byte(4+t), RSI, RAX, term[0]*partBytes+t*tileBytes)
			}
			if term[1] != right {
				moveTile(false, byte(6+t), RDI, RAX, term[1]*partBytes+t*tileBytes)
			}
		}
		left, right = term[0], term[1]
		for t := range byte(4) {
			multiplyTiles(t, 4+t/2, 6+t%2)
		}
	}
}

// storeStrip writes the instructions that multiply the sums of a strip of at most 32 rows by alpha, in Z31, and store
// them at c, or add them there if accumulate is set. K1 and K2 select the columns. c is then that of the next strip.
func storeStrip(c, ldc, rows, accumulate Register) {
	tile := Load(Param("tile"), RBX)
	MOVQ(U32(128), RAX)
	for t := range 4 {
		moveTile(true, byte(t), RBX, RAX, t/2*partBytes+t%2*64)
	}
	MOVQ(U32(32), RCX)
	CMPQ(rows, RCX)
	CMOVQLT(rows, RCX)
	Label("row")
	VMULPS(Mem{Base: tile}, Z31, Z0)
	VMULPS(Mem{Base: tile, Disp: 64}, Z31, Z1)
	TESTQ(accumulate, accumulate)
	JE(LabelRef("store"))
	VMOVUPS_Z(Mem{Base: c}, K1, Z2)
	VMOVUPS_Z(Mem{Base: c, Disp: 64}, K2, Z3)
	VADDPS(Z2, Z0, Z0)
	VADDPS(Z3, Z1, Z1)
	Label("store")
	VMOVUPS(Z0, K1, Mem{Base: c})
	VMOVUPS(Z1, K2, Mem{Base: c, Disp: 64})
	ADDQ(U32(128), tile)
	ADDQ(ldc, c)
	DECQ(RCX)
	JNE(LabelRef("row"))
}

// split writes the function that divides numbers into the given number of parts.
func split(parts int, order Mem) {
	TEXT(fmt.Sprintf("split%d", parts), NOSPLIT, "func(dst *uint16, src *float32, step int, second int, n int)")
	Doc(fmt.Sprintf("split%d divides n pairs of vectors into %d parts. A vector has 16 elements.", parts, parts),
		"The pairs are step elements apart, and the second vector of a pair is second elements after the first.",
		"Row i of a tile of each part is pair i, with the elements of both vectors in turn.")
	Pragma("noescape")
	dst, src := Load(Param("dst"), RDI), Load(Param("src"), RSI)
	step, second, n := Load(Param("step"), RAX), Load(Param("second"), RBX), Load(Param("n"), RCX)
	SHLQ(Imm(2), step)
	VMOVDQU32(order, Z31)
	VPTERNLOGD(Imm(255), Z30, Z30, Z30)
	VPSLLD(Imm(16), Z30, Z30)
	Label("loop")
	VMOVUPS(Mem{Base: src}, Z0)
	VMOVUPS(Mem{Base: src, Index: second, Scale: 4}, Z1)
	for p := range parts {
		bytes("vcvtne2ps2bf16 zmm2,zmm1,zmm0", 0x62, 0xf2, 0x77, 0x48, 0x72, 0xd0)
		VPERMW(Z2, Z31, Z3)
		VMOVDQU32(Z3, Mem{Base: dst, Disp: p * partBytes})
		if p < parts-1 {
			VPSLLD(Imm(16), Z3, Z4)
			VPANDD(Z30, Z3, Z5)
			VSUBPS(Z4, Z0, Z0)
			VSUBPS(Z5, Z1, Z1)
		}
	}
	ADDQ(step, src)
	ADDQ(Imm(64), dst)
	DECQ(n)
	JNE(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
