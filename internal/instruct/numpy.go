package instruct

import "math/bits"

// numpyPermutation returns numpy.random.default_rng(seed).permutation(n), by
// which train_test_split of the package datasets, and so the paper, draws its
// validation rows. It is written out because math/rand/v2 has another output
// function of PCG (DXSM, where numpy has XSL-RR).
func numpyPermutation(seed uint64, n int) []int32 {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	g := newNumpyGenerator(seed)
	for i := n - 1; i > 0; i-- {
		j := g.upTo(uint32(i))
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// uint128 is a number of 128 bits.
type uint128 struct{ hi, lo uint64 }

func (a uint128) plus(b uint128) uint128 {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return uint128{hi, lo}
}

func (a uint128) times(b uint128) uint128 {
	hi, lo := bits.Mul64(a.lo, b.lo)
	return uint128{hi + a.hi*b.lo + a.lo*b.hi, lo}
}

// numpyGenerator is PCG64 (O'Neill 2014) as numpy seeds and reads it.
type numpyGenerator struct {
	state, increment uint128
	half             uint32 // the upper half of the last word, if it is unused
	hasHalf          bool
}

func newNumpyGenerator(seed uint64) *numpyGenerator {
	s := seedSequence(seed)
	g := &numpyGenerator{}
	sequence := uint128{s[2], s[3]}
	g.increment = uint128{sequence.hi<<1 | sequence.lo>>63, sequence.lo<<1 | 1}
	g.step()
	g.state = g.state.plus(uint128{s[0], s[1]})
	g.step()
	return g
}

func (g *numpyGenerator) step() {
	g.state = g.state.times(uint128{0x2360ed051fc65da4, 0x4385df649fccf645}).plus(g.increment)
}

func (g *numpyGenerator) next32() uint32 {
	if g.hasHalf {
		g.hasHalf = false
		return g.half
	}
	g.step()
	word := bits.RotateLeft64(g.state.hi^g.state.lo, -int(g.state.hi>>58))
	g.half, g.hasHalf = uint32(word>>32), true
	return uint32(word)
}

// upTo returns a number from 0 to most, by rejection of the bits that are too
// large.
func (g *numpyGenerator) upTo(most uint32) uint32 {
	mask := uint32(1)<<bits.Len32(most) - 1
	for {
		if v := g.next32() & mask; v <= most {
			return v
		}
	}
}

// seedSequence returns the first four words of numpy.random.SeedSequence(seed).
func seedSequence(seed uint64) (words [4]uint64) {
	hash := uint32(0x43b0d7e5)
	mixIn := func(v uint32) uint32 {
		v ^= hash
		hash *= 0x931e8875
		v *= hash
		return v ^ v>>16
	}
	pool := [4]uint32{mixIn(uint32(seed)), mixIn(uint32(seed >> 32)), mixIn(0), mixIn(0)}
	for from := range pool {
		for to := range pool {
			if from != to {
				v := 0xca01f9dd*pool[to] - 0x4973f715*mixIn(pool[from])
				pool[to] = v ^ v>>16
			}
		}
	}
	hash = 0x8b51f9dd
	for i := range 8 {
		v := pool[i%4] ^ hash
		hash *= 0x58f38ded
		v *= hash
		v ^= v >> 16
		words[i/2] |= uint64(v) << (32 * (i % 2))
	}
	return words
}
