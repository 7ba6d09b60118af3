package main

import (
	"fmt"
	"math"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// lanes is the number of elements that a loop takes at a time: one register of AVX-512 or two of AVX2.
const lanes = 16

// block writes the instructions for elements of one register in the body of a loop.
type block struct {
	wide    bool // AVX-512
	half    int  // with AVX2, which half of the lanes
	masked  bool // the last lanes are beyond the end of the vectors
	rest    OpmaskPhysical
	mask    VecVirtual // the same for AVX2
	offset  Register   // of the first lane in bytes
	streams map[string]Register
	scalars map[string]VecVirtual
	sums    map[string][]VecVirtual
}

// vector returns a new register.
func (e *block) vector() VecVirtual {
	if e.wide {
		return ZMM()
	}
	return YMM()
}

// at returns the place of the lanes in a stream.
func (e *block) at(stream string) Mem {
	return Mem{Base: e.streams[stream], Index: e.offset, Scale: 1, Disp: e.half * 32}
}

// load returns the elements of a stream. Lanes beyond the end are 0.
func (e *block) load(stream string) VecVirtual {
	r := e.vector()
	switch {
	case !e.masked:
		VMOVUPS(e.at(stream), r)
	case e.wide:
		VMOVUPS_Z(e.at(stream), e.rest, r)
	default:
		VMASKMOVPS(e.at(stream), e.mask, r)
	}
	return r
}

// store writes the elements of a stream.
func (e *block) store(stream string, r VecVirtual) {
	switch {
	case !e.masked:
		VMOVUPS(r, e.at(stream))
	case e.wide:
		VMOVUPS(r, e.rest, e.at(stream))
	default:
		VMASKMOVPS(r, e.mask, e.at(stream))
	}
}

// scalar returns a parameter of the function in every lane. AVX2 has too few registers to keep all of them.
func (e *block) scalar(name string) VecVirtual {
	if r, ok := e.scalars[name]; ok {
		return r
	}
	return e.broadcast(name)
}

func (e *block) broadcast(name string) VecVirtual {
	parameter, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := e.vector()
	VBROADCASTSS(parameter.Addr, r)
	return r
}

// constants has the names of the constants that were written.
var constants = map[uint32]Mem{}

// bits returns memory with a word in every lane.
func bits(word uint32) Mem {
	if m, ok := constants[word]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("word%08x", word), rodata)
	for i := range lanes {
		DATA(4*i, U32(word))
	}
	constants[word] = m
	return m
}

// constant returns memory with a number in every lane.
func constant(x float64) Mem { return bits(math.Float32bits(float32(x))) }

// binary writes an instruction whose first source may be memory. In the order of Go's assembler it computes a op b
// from (b, a).
func (e *block) binary(f func(...Op), a VecVirtual, b Op) VecVirtual {
	r := e.vector()
	f(b, a, r)
	return r
}

func three(f func(a, b, c Op)) func(...Op) { return func(o ...Op) { f(o[0], o[1], o[2]) } }

func (e *block) add(a VecVirtual, b Op) VecVirtual { return e.binary(VADDPS, a, b) }
func (e *block) sub(a VecVirtual, b Op) VecVirtual { return e.binary(VSUBPS, a, b) }
func (e *block) mul(a VecVirtual, b Op) VecVirtual { return e.binary(VMULPS, a, b) }
func (e *block) div(a VecVirtual, b Op) VecVirtual { return e.binary(VDIVPS, a, b) }

// bound is a memory operand in a register.
func (e *block) bound(m Mem) VecVirtual {
	r := e.vector()
	VMOVUPS(m, r)
	return r
}

// atLeast returns x, or low if x is below low. It keeps NaN.
func (e *block) atLeast(low Mem, x VecVirtual) VecVirtual { return e.binary(VMAXPS, e.bound(low), x) }

// atMost returns x, or high if x is above high. It keeps NaN.
func (e *block) atMost(high Mem, x VecVirtual) VecVirtual { return e.binary(VMINPS, e.bound(high), x) }

// and returns the common bits of a and b.
func (e *block) and(a VecVirtual, b Op) VecVirtual {
	if e.wide {
		return e.binary(VPANDD, a, b)
	}
	return e.binary(three(VANDPS2), a, b)
}

// xor returns the different bits of a and b.
func (e *block) xor(a VecVirtual, b Op) VecVirtual {
	if e.wide {
		return e.binary(VPXORD, a, b)
	}
	return e.binary(three(VXORPS2), a, b)
}

// VANDPS2 and VXORPS2 are the instructions of AVX, which have three operands.
func VANDPS2(a, b, c Op) { VANDPS(a, b, c) }
func VXORPS2(a, b, c Op) { VXORPS(a, b, c) }

// abs returns |x|.
func (e *block) abs(x VecVirtual) VecVirtual { return e.and(x, bits(0x7fffffff)) }

// ifNegative returns negative in the lanes where x is below 0, and otherwise elsewhere. At 0 either may result.
func (e *block) ifNegative(x, negative, otherwise VecVirtual) VecVirtual {
	r := e.vector()
	if e.wide {
		below := K()
		VCMPPS(Imm(1), constant(0), x, below)
		VBLENDMPS(negative, otherwise, below, r)
	} else {
		VBLENDVPS(x, negative, otherwise, r)
	}
	return r
}

// sum adds x to the sum of the given name, which is one register, or one for each half.
func (e *block) sum(name string, x VecVirtual) {
	s := e.sums[name][e.half]
	switch {
	case !e.masked:
		VADDPS(x, s, s)
	case e.wide:
		VADDPS(x, s, e.rest, s)
	default:
		VADDPS(e.and(x, e.mask), s, s)
	}
}

// largest replaces lanes of the named maximum by those of x that are greater.
func (e *block) largest(name string, x VecVirtual) {
	s := e.sums[name][e.half]
	switch {
	case !e.masked:
		VMAXPS(s, x, s)
	case e.wide:
		VMAXPS(s, x, e.rest, s)
	default:
		r := e.vector()
		VMAXPS(s, x, r)
		VBLENDVPS(e.mask, r, s, s)
	}
}

// sum64 adds x to a sum in float64, which has a register for each half of x.
func (e *block) sum64(name string, x VecVirtual) {
	s := e.sums[name][2*e.half:]
	if e.masked {
		if e.wide {
			VMOVUPS_Z(x, e.rest, x)
		} else {
			x = e.and(x, e.mask)
		}
	}
	low, high := e.vector(), e.vector()
	if e.wide {
		upper := YMM()
		VEXTRACTF64X4(Imm(1), x, upper)
		VCVTPS2PD(x.AsY(), low)
		VCVTPS2PD(upper, high)
	} else {
		upper := XMM()
		VEXTRACTF128(Imm(1), x, upper)
		VCVTPS2PD(x.AsX(), low)
		VCVTPS2PD(upper, high)
	}
	e.square64(name, low, high)
	VADDPD(low, s[0], s[0])
	VADDPD(high, s[1], s[1])
}

// square64 squares the terms of a sum of squares.
func (e *block) square64(name string, terms ...VecVirtual) {
	if name == "squares64" {
		for _, r := range terms {
			VMULPD(r, r, r)
		}
	}
}

// loop describes a function over vectors of n elements.
type loop struct {
	name, doc, signature string
	streams              []string // pointers
	scalars              []string
	sums                 []string
	start                *float64 // value that the sums begin with, if it is not 0
	body                 func(e *block)
	result               func(e *block)
}

// write writes the function.
func (l loop) write() {
	TEXT(l.name, nosplit, l.signature)
	Doc(strings.Split(l.doc, "\n")...)
	Pragma("noescape")
	CMPB(Mem{Symbol: Symbol{Name: "·wide"}, Base: StaticBase}, Imm(0))
	JNE(LabelRef("avx512"))
	l.variant(false)
	Label("avx512")
	l.variant(true)
}

// variant writes the function for one instruction set.
func (l loop) variant(wide bool) {
	suffix := map[bool]string{false: "2", true: "512"}[wide]
	e := &block{wide: wide, streams: map[string]Register{}, scalars: map[string]VecVirtual{},
		sums: map[string][]VecVirtual{}}
	// Shifts by a variable take it from CL.
	n := Load(Param("n"), RCX)
	for _, s := range l.streams {
		e.streams[s] = Load(Param(s), GP64())
	}
	if wide {
		for _, s := range l.scalars {
			e.scalars[s] = e.broadcast(s)
		}
	}
	l.startSums(e)
	e.offset = GP64()
	XORQ(e.offset, e.offset)
	SUBQ(Imm(lanes), n)
	JLT(LabelRef("rest" + suffix))
	Label("loop" + suffix)
	l.halves(e)
	ADDQ(Imm(4*lanes), e.offset)
	SUBQ(Imm(lanes), n)
	JGE(LabelRef("loop" + suffix))
	Label("rest" + suffix)
	ADDQ(Imm(lanes), n)
	JE(LabelRef("done" + suffix))
	l.remainder(e)
	Label("done" + suffix)
	if l.result != nil {
		l.result(e)
	}
	VZEROUPPER()
	RET()
}

// startSums writes the instructions that give the registers of the sums their first values.
func (l loop) startSums(e *block) {
	for _, s := range l.sums {
		registers := 1
		if !e.wide {
			registers *= 2
		}
		if strings.HasSuffix(s, "64") {
			registers *= 2
		}
		for range registers {
			r := e.vector()
			switch {
			case l.start != nil:
				VMOVUPS(constant(*l.start), r)
			case e.wide:
				VPXORD(r, r, r)
			default:
				VXORPS(r, r, r)
			}
			e.sums[s] = append(e.sums[s], r)
		}
	}
}

// remainder writes the body once more, for the elements behind the last whole block, whose number is in RCX.
func (l loop) remainder(e *block) {
	e.masked = true
	if e.wide {
		e.rest = K1
		ones := GP64()
		MOVQ(U32(1), ones)
		SHLQ(CL, ones)
		DECQ(ones)
		KMOVW(ones.As32(), K1)
		l.halves(e)
		return
	}
	table := GP64()
	LEAQ(restMasks(), table)
	SHLQ(Imm(2), RCX)
	SUBQ(RCX, table)
	masks := [2]VecVirtual{YMM(), YMM()}
	for i, r := range masks {
		VMOVUPS(Mem{Base: table, Disp: 4*lanes + 32*i}, r)
	}
	for i, r := range masks {
		e.half, e.mask = i, r
		l.body(e)
	}
}

// halves writes the body of the loop for all lanes.
func (l loop) halves(e *block) {
	e.half = 0
	l.body(e)
	if !e.wide {
		e.half = 1
		l.body(e)
		e.half = 0
	}
}

var restMasksAt *Mem

// restMasks returns a table of 16 words of ones and 16 of zeros.
func restMasks() Mem {
	if restMasksAt == nil {
		m := GLOBL("restMasks", rodata)
		for i := range 2 * lanes {
			word := uint32(0)
			if i < lanes {
				word = math.MaxUint32
			}
			DATA(4*i, U32(word))
		}
		restMasksAt = &m
	}
	return *restMasksAt
}

// reduce combines the lanes of a sum: lane i with lane i + 8, then with i + 4, i + 2 and i + 1. It returns a register
// with the result in its first lane.
func (e *block) reduce(name string, f func(...Op)) VecVirtual {
	s := e.sums[name]
	y := s[0].AsY().(VecVirtual)
	if e.wide {
		upper := YMM()
		VEXTRACTF64X4(Imm(1), s[0], upper)
		f(y, upper, y)
	} else {
		f(y, s[1], y)
	}
	x, other := y.AsX().(VecVirtual), XMM()
	VEXTRACTF128(Imm(1), y, other)
	f(x, other, x)
	VPERMILPS(Imm(0b1110), x, other)
	f(x, other, x)
	VPERMILPS(Imm(0b0001), x, other)
	f(x, other, x)
	return x
}

// reduce64 does it for a sum in float64.
func (e *block) reduce64(name string) VecVirtual {
	s := e.sums[name]
	y := s[0].AsY().(VecVirtual)
	if e.wide {
		VADDPD(s[1], s[0], s[0])
		upper := YMM()
		VEXTRACTF64X4(Imm(1), s[0], upper)
		VADDPD(upper, y, y)
	} else {
		VADDPD(s[2], s[0], s[0])
		VADDPD(s[3], s[1], s[1])
		VADDPD(s[1], s[0], s[0])
	}
	x, other := y.AsX().(VecVirtual), XMM()
	VEXTRACTF128(Imm(1), y, other)
	VADDPD(other, x, x)
	VPERMILPD(Imm(1), x, other)
	VADDPD(other, x, x)
	return x
}
