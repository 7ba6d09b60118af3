package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set with its vector registers and the tile of its largest kernel.
type isa struct {
	name        string
	lanes, rows int
	registers   []VecPhysical
}

var isas = []isa{
	{name: "avx512", lanes: 16, rows: 14, registers: zmm},
	{name: "avx2", lanes: 8, rows: 6, registers: ymm},
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

	formats = []format{float32s, bfloat16s, float16s}
)

// Kernels of few rows take as long as reading the second factor from memory. Up to prefetchRows rows, and with any
// number of rows if elements have two bytes, because those are read from memory, they ask for it prefetchBytes before
// they need it, also across the end of a page, where the processor would not.
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

// mostPanels is the largest number of panels of the second factor that a kernel reads at the same time. A processor
// reads memory faster from several places than from one, because it finds out by itself what it will need next within
// a page.
const mostPanels = 4

// panels returns the number of panels that kernels of the given number of rows read at the same time: as many as the
// registers have room for.
func (s isa) panels(rows int) int {
	sums := 2 * rows
	return max(1, min(mostPanels, (len(s.registers)-rows-1)/sums))
}

// kernel writes one micro-kernel: a tile of rows x (panels vectors lanes) of the destination stays in registers while k
// runs.
func (s isa) kernel(rows, panels, vectors int, f format) {
	width := vectors * s.lanes
	name := fmt.Sprintf("%s_%dx%d%s", s.name, rows, width, f.suffix)
	doc := fmt.Sprintf("%s is the kernel for a tile of %d rows and %d columns%s.", name, rows, width, f.words)
	signature := "func(k int, a, b, c *float32, ldc int, alpha float32, accumulate int)"
	if f != float32s {
		signature = "func(k int, a *float32, b *uint16, c *float32, ldc int, alpha float32, accumulate int)"
	}
	if panels > 1 {
		name = fmt.Sprintf("%s_%dx%dx%d%s", s.name, rows, panels, width, f.suffix)
		doc = fmt.Sprintf("%s is the kernel for a tile of %d rows and %d panels of %d columns, apart bytes from one "+
			"another%s.", name, rows, panels, width, f.words)
		signature = "func(k int, a *float32, b *byte, apart int, c *float32, ldc int, alpha float32, accumulate int)"
	}
	TEXT(name, NOSPLIT, signature)
	Doc(doc)
	Pragma("noescape")
	k, a, b := Load(Param("k"), RCX), Load(Param("a"), RSI), Load(Param("b"), RDI)
	c, ldc := Load(Param("c"), RDX), Load(Param("ldc"), RAX)
	SHLQ(Imm(2), ldc)
	if panels > 1 {
		Load(Param("apart"), R8)
	}
	if panels > 3 {
		LEAQ(Mem{Base: R8, Index: R8, Scale: 2}, R9)
	}

	all := panels * vectors
	acc, rest := s.registers[:rows*all], s.registers[rows*all:]
	for _, r := range acc {
		s.zero(r)
	}
	loop, done := "loop", "done"
	TESTQ(k, k)
	JE(LabelRef(done))
	Label(loop)
	far := f != float32s && s.panels(rows) == 1
	if rows <= prefetchRows || far {
		for p := range panels {
			for line := 0; line < width*f.bytes; line += 64 {
				PREFETCHT0(inPanel(p, prefetchBytes+line))
			}
		}
	}
	if far {
		prefetchPages(b)
	}
	free := rest[vectors]
	if panels == 1 {
		s.addRows(acc, rest[:vectors], free, rows, f)
	} else {
		s.addPanels(acc, rest[:rows], rest[rows], all, vectors, f)
	}
	ADDQ(Imm(uint64(rows*4)), a)
	ADDQ(U32(uint32(width*f.bytes)), b)
	DECQ(k)
	JNE(LabelRef(loop))
	Label(done)
	s.store(acc, free, rows, all, c, ldc)
}

// inPanel returns the address of panel p of the second factor, disp bytes behind the elements of the current inner
// index.
func inPanel(p, disp int) Mem {
	switch p {
	case 1, 2:
		return Mem{Base: RDI, Index: R8, Scale: uint8(p), Disp: disp}
	case 3:
		return Mem{Base: RDI, Index: R9, Scale: 1, Disp: disp}
	}
	return Mem{Base: RDI, Disp: disp}
}

// addRows writes the products of one inner index for one panel: its vectors stay in right, and the elements of the
// first factor pass through left.
func (s isa) addRows(acc, right []VecPhysical, left VecPhysical, rows int, f format) {
	for v, r := range right {
		f.load(inPanel(0, v*s.lanes*f.bytes), r)
	}
	for i := range rows {
		VBROADCASTSS(Mem{Base: RSI, Disp: i * 4}, left)
		for v, r := range right {
			VFMADD231PS(r, left, acc[i*len(right)+v])
		}
	}
}

// addPanels writes the products of one inner index for several panels, of the given number of vectors each: the
// elements of the first factor stay in left, and all vectors of the panels pass through right.
func (s isa) addPanels(acc, left []VecPhysical, right VecPhysical, all, vectors int, f format) {
	for i, r := range left {
		VBROADCASTSS(Mem{Base: RSI, Disp: i * 4}, r)
	}
	for v := range all {
		f.load(inPanel(v/vectors, v%vectors*s.lanes*f.bytes), right)
		for i, r := range left {
			VFMADD231PS(right, r, acc[i*all+v])
		}
	}
}

// prefetchPages writes the instructions that ask for one line of the four pages behind those of b, one page after the
// other. Kernels of many rows have no registers for several panels. They read memory from several places in this way.
func prefetchPages(b Register) {
	const pages = 4 << 12
	MOVQ(b, R8)
	ANDQ(I32(-pages), R8)
	MOVQ(b, R9) // the lowest bits of the number of the line select the page
	ANDQ(Imm(3<<6), R9)
	SHLQ(Imm(12-6), R9)
	ADDQ(R9, R8)
	MOVQ(b, R9)
	ANDQ(U32(pages-1&^(1<<8-1)), R9)
	SHRQ(Imm(2), R9)
	PREFETCHT1(Mem{Base: R8, Index: R9, Scale: 1, Disp: pages})
}

// store writes the end of a kernel: alpha times the sums acc is added to the destination at c if accumulate is set, and
// stored there.
func (s isa) store(acc []VecPhysical, factor VecPhysical, rows, vectors int, c, ldc Register) {
	alpha, err := Param("alpha").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(alpha.Addr, factor)
	for _, r := range acc {
		VMULPS(factor, r, r)
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
