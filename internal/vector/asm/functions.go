package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

var negativeInfinity = math.Inf(-1)

// exp returns e^x. See exp32 in the parent directory for the method and the constants.
func (e *block) exp(x VecVirtual) VecVirtual {
	x = e.atMost(constant(88.5), e.atLeast(constant(-88), x))
	t := e.add(e.mul(x, constant(1.44269504088896340736)), constant(3<<22))
	n := e.sub(t, constant(3<<22))
	r := e.sub(x, e.mul(n, constant(0.693359375)))
	r = e.sub(r, e.mul(n, constant(-2.12194440e-4)))
	q := e.polynomial(r, 0.5, 0.16666512, 0.041666187, 0.0083695985, 0.0013951717)
	p := e.add(e.add(r, e.mul(e.mul(r, r), q)), constant(1))
	scale := e.vector()
	VPSLLD(Imm(23), t, scale)
	VPADDD(constant(1), scale, scale)
	return e.mul(p, scale)
}

// polynomial returns c[0] + c[1] x + c[2] x^2 + ...
func (e *block) polynomial(x VecVirtual, c ...float64) VecVirtual {
	last := len(c) - 1
	p := e.add(e.mul(x, constant(c[last])), constant(c[last-1]))
	for i := last - 2; i >= 0; i-- {
		p = e.add(e.mul(p, x), constant(c[i]))
	}
	return p
}

// one returns 1 in every lane.
func (e *block) one() VecVirtual { return e.bound(constant(1)) }

// minus returns c - x.
func (e *block) minus(c Mem, x VecVirtual) VecVirtual { return e.sub(e.bound(c), x) }

// normal returns exp(-x^2/2) and the distribution function of the normal distribution.
func (e *block) normal(x VecVirtual) (density, below VecVirtual) {
	a := e.atMost(constant(20), e.abs(x))
	density = e.exp(e.mul(e.mul(a, constant(-0.5)), a))
	u := e.div(e.sub(a, constant(3)), e.add(a, constant(3)))
	r := e.polynomial(u, 0.12151398, -0.20640071, 0.12324928, -0.04607883, 0.006523034, 0.0035238108, -0.0004988912,
		-0.00025686482)
	tail := e.mul(density, r)
	return density, e.ifNegative(x, tail, e.minus(constant(1), tail))
}

// sigmoid returns 1/(1 + exp(-x)) and 1/(1 + exp(x)).
func (e *block) sigmoid(x VecVirtual) (s, rest VecVirtual) {
	y := e.exp(e.xor(e.abs(x), bits(0x80000000)))
	large := e.div(e.one(), e.add(y, constant(1)))
	small := e.mul(y, large)
	return e.ifNegative(x, small, large), e.ifNegative(x, large, small)
}

// tanhArgument returns x without its ends, and 2 sqrt(2/pi) x (1 + 0.044715 x^2).
func (e *block) tanhArgument(x VecVirtual) (inside, u VecVirtual) {
	x = e.atMost(constant(100), e.atLeast(constant(-100), x))
	square := e.mul(e.mul(x, x), constant(0.044715))
	return x, e.mul(e.mul(x, constant(1.5957691216057308)), e.add(square, constant(1)))
}

const gate = "func(n int, dst, y, x *float32)"

// functions has the loops over activations.
var functions = []loop{
	{
		name: "gelu32", doc: "gelu32 computes dst = y gate(x) for the gate of GELU.", signature: gate,
		streams: []string{"dst", "y", "x"},
		body: func(e *block) {
			_, below := e.normal(e.load("x"))
			e.store("dst", e.mul(e.load("y"), below))
		},
	},
	{
		name: "geluSlope32", doc: "geluSlope32 computes dst = y gelu'(x).", signature: gate,
		streams: []string{"dst", "y", "x"},
		body: func(e *block) {
			x := e.load("x")
			density, below := e.normal(x)
			inside := e.atMost(constant(20), e.atLeast(constant(-20), x))
			slope := e.add(below, e.mul(e.mul(inside, constant(0.3989422804014327)), density))
			e.store("dst", e.mul(e.load("y"), slope))
		},
	},
	{
		name: "tanhGate32", doc: "tanhGate32 computes dst = y gate(x) for the gate of GELUTanh.", signature: gate,
		streams: []string{"dst", "y", "x"},
		body: func(e *block) {
			_, u := e.tanhArgument(e.load("x"))
			s, _ := e.sigmoid(u)
			e.store("dst", e.mul(e.load("y"), s))
		},
	},
	{
		name: "tanhSlope32", doc: "tanhSlope32 computes dst = y f'(x) for f = GELUTanh.", signature: gate,
		streams: []string{"dst", "y", "x"},
		body: func(e *block) {
			x, u := e.tanhArgument(e.load("x"))
			s, rest := e.sigmoid(u)
			square := e.mul(e.mul(x, x), constant(3*0.044715))
			inner := e.mul(e.mul(x, constant(1.5957691216057308)), e.add(square, constant(1)))
			e.store("dst", e.mul(e.load("y"), e.add(s, e.mul(inner, e.mul(s, rest)))))
		},
	},
	{
		name: "swiGLU32", doc: "swiGLU32 computes dst = silu(gate) up.", signature: "func(n int, dst, gate, up *float32)",
		streams: []string{"dst", "gate", "up"},
		body: func(e *block) {
			x := e.load("gate")
			s, _ := e.sigmoid(x)
			e.store("dst", e.mul(e.mul(x, s), e.load("up")))
		},
	},
	{
		name: "swiGLUGrad32", doc: "swiGLUGrad32 computes dgate = dy up silu'(gate), then dup = dy silu(gate).",
		signature: "func(n int, dgate, dup, gate, up, dy *float32)",
		streams:   []string{"dgate", "dup", "gate", "up", "dy"},
		body: func(e *block) {
			x, dy, up := e.load("gate"), e.load("dy"), e.load("up")
			s, rest := e.sigmoid(x)
			silu := e.mul(x, s)
			slope := e.add(s, e.mul(silu, rest))
			e.store("dgate", e.mul(e.mul(dy, up), slope))
			e.store("dup", e.mul(dy, silu))
		},
	},
}

// dropMask writes dropMask32 and returns its signature. A register holds words of the counters of the generator in the
// low halves of its 64-bit lanes. Multiplications ignore the high halves.
func dropMask() (signature string) {
	signature = "func(groups int, dst *float32, keys *uint32, row, site, step, threshold uint32, scale float32)"
	TEXT("dropMask32", nosplit, signature)
	Doc("dropMask32 writes the multipliers of rows of a mask, 8 for each group: scale, or 0 for lots below threshold.",
		"keys has the two words of the key for each of the 10 rounds.")
	Pragma("noescape")
	CMPB(Mem{Symbol: Symbol{Name: "·wide"}, Base: StaticBase}, Imm(0))
	JNE(LabelRef("avx512"))
	maskVariant(&block{})
	Label("avx512")
	maskVariant(&block{wide: true})
	return signature
}

// order returns a constant with a counter in each 64-bit lane. Interleaving the words of two vectors swaps lanes, and the
// order of the counters makes up for that, so that the results are in sequence.
func order(name string, counters ...uint64) Mem {
	m := GLOBL(name, rodata)
	for i, c := range counters {
		DATA(8*i, U64(c))
	}
	return m
}

func words(name string, x uint64) Mem {
	m := GLOBL(name, rodata)
	for i := range 8 {
		DATA(8*i, U64(x))
	}
	return m
}

var lowHalves Mem

func maskVariant(e *block) {
	suffix, counters := "2", uint64(4)
	if e.wide {
		suffix, counters = "512", 8
	} else {
		lowHalves = words("lowHalves", math.MaxUint32)
	}
	groups, dst, keys := Load(Param("groups"), RCX), Load(Param("dst"), GP64()), Load(Param("keys"), GP64())
	row, site, step := e.broadcast("row"), e.broadcast("site"), e.broadcast("step")
	threshold, scale := e.broadcast("threshold"), e.broadcast("scale")
	if !e.wide {
		VPSUBD(bits(1), threshold, threshold)
	}
	counter := e.vector()
	if e.wide {
		VMOVUPS(order("order512", 0, 4, 1, 5, 2, 6, 3, 7), counter)
	} else {
		VMOVUPS(order("order2", 0, 2, 1, 3), counter)
	}
	TESTQ(groups, groups)
	JE(LabelRef("done" + suffix))
	Label("loop" + suffix)
	a, b := philox(e, [4]VecVirtual{counter, row, site, step}, keys, suffix)
	var lots [2]VecVirtual
	lots[0], lots[1] = e.vector(), e.vector()
	VPUNPCKLQDQ(b, a, lots[0])
	VPUNPCKHQDQ(b, a, lots[1])
	if e.wide {
		maskStore512(groups, dst, lots, threshold, scale)
	} else {
		maskStore2(groups, dst, lots, threshold, scale)
	}
	next := e.vector()
	VMOVUPS(words("next"+suffix, counters), next)
	VPADDQ(next, counter, counter)
	ADDQ(U32(counters*32), dst)
	SUBQ(Imm(counters), groups)
	JG(LabelRef("loop" + suffix))
	Label("done" + suffix)
	VZEROUPPER()
	RET()
}

// philox writes the ten rounds of Philox4x32 over counters c, whose keys for all rounds are at keys. It returns two
// vectors, in whose 64-bit lanes stand the first and second, and the third and fourth, of the four numbers of a counter.
func philox(e *block, c [4]VecVirtual, keys Register, suffix string) (first, second VecVirtual) {
	m0, m1 := words("multiplier0x"+suffix, 0xD2511F53), words("multiplier1x"+suffix, 0xCD9E8D57)
	for round := range 10 {
		p0, p1 := e.vector(), e.vector()
		VPMULUDQ(m0, c[0], p0)
		VPMULUDQ(m1, c[2], p1)
		high := func(p, x VecVirtual, key Mem) VecVirtual {
			r := e.vector()
			VPSRLQ(Imm(32), p, r)
			if e.wide {
				VPTERNLOGD_BCST(Imm(0x96), key, x, r)
				return r
			}
			k := e.vector()
			VPBROADCASTD(key, k)
			VPXOR(x, r, r)
			VPXOR(k, r, r)
			return r
		}
		c = [4]VecVirtual{
			high(p1, c[1], Mem{Base: keys, Disp: 8 * round}), p1, high(p0, c[3], Mem{Base: keys, Disp: 8*round + 4}), p0,
		}
	}
	pair := func(low, high VecVirtual) VecVirtual {
		shifted, r := e.vector(), e.vector()
		VPSLLQ(Imm(32), high, shifted)
		if e.wide {
			VPANDQ(lowHalves, low, r)
			VPORQ(shifted, r, r)
		} else {
			VPAND(lowHalves, low, r)
			VPOR(shifted, r, r)
		}
		return r
	}
	return pair(c[0], c[1]), pair(c[2], c[3])
}

// maskStore512 stores the multipliers of up to 8 groups.
func maskStore512(groups, dst Register, lots [2]VecVirtual, threshold, scale VecVirtual) {
	for i := range 4 {
		part := YMM()
		if i%2 == 0 {
			part = lots[i/2].AsY().(VecVirtual)
		} else {
			VEXTRACTI64X4(Imm(1), lots[i/2], part)
		}
		wide, multipliers, kept, here := ZMM(), ZMM(), K(), K()
		VPMOVZXWD(part, wide)
		VPCMPUD(Imm(5), threshold, wide, kept)
		VMOVUPS_Z(scale, kept, multipliers)
		// A register has the multipliers of two groups.
		if i > 0 {
			CMPQ(groups, Imm(uint64(2*i)))
			JLE(LabelRef("stored512"))
		}
		MOVL(U32(0xff), EAX)
		MOVL(U32(0xffff), EBX)
		CMPQ(groups, Imm(uint64(2*i+2)))
		CMOVLGE(EBX, EAX)
		KMOVW(EAX, here)
		VMOVUPS(multipliers, here, Mem{Base: dst, Disp: 64 * i})
	}
	Label("stored512")
}

// maskStore2 stores the multipliers of up to 4 groups.
func maskStore2(groups, dst Register, lots [2]VecVirtual, threshold, scale VecVirtual) {
	for i := range 4 {
		if i > 0 {
			CMPQ(groups, Imm(uint64(i)))
			JLE(LabelRef("stored2"))
		}
		part := XMM()
		if i%2 == 0 {
			part = lots[i/2].AsX().(VecVirtual)
		} else {
			VEXTRACTI128(Imm(1), lots[i/2], part)
		}
		wide, kept := YMM(), YMM()
		VPMOVZXWD(part, wide)
		VPCMPGTD(threshold, wide, kept)
		VANDPS(scale, kept, kept)
		VMOVUPS(kept, Mem{Base: dst, Disp: 32 * i})
	}
	Label("stored2")
}
