package compute

import (
	"hash/fnv"
	"math"
)

// initStream separates the counters of initial values from those of dropout, whose step never reaches this number.
const initStream = math.MaxUint32

// drawStream separates the counters of drawn tokens from the others in the same way.
const drawStream = math.MaxUint32 - 1

// Draw returns a number of [0, 1) with 53 bits that depends only on seed, on the number of a text and on the position
// of a token in it.
func Draw(seed uint64, text, position uint32) float64 {
	a, b, _, _ := Philox(seed, position, text, 0, drawStream)
	return (float64(a>>5)*(1<<26) + float64(b>>6)) / (1 << 53)
}

// Uniform fills dst with values of [-bound, bound) that depend only on seed, name and position. So the initial value
// of a parameter does not depend on which other parameters exist.
func Uniform(dst []float32, seed uint64, name string, bound float64) {
	words(len(dst), seed, name, func(i int, word uint32) {
		dst[i] = float32((2*unit(word) - 1) * bound)
	})
}

// Normal fills dst with values of a normal distribution around 0 that depend only on seed, name and position (Box and
// Muller 1958).
func Normal(dst []float32, seed uint64, name string, std float64) {
	var radius float64
	words(len(dst)+len(dst)%2, seed, name, func(i int, word uint32) {
		if i%2 == 0 {
			radius = std * math.Sqrt(-2*math.Log(1-unit(word)))
			return
		}
		sin, cos := math.Sincos(2 * math.Pi * unit(word))
		dst[i-1] = float32(radius * cos)
		if i < len(dst) {
			dst[i] = float32(radius * sin)
		}
	})
}

// unit maps a word to [0, 1), in steps that are exact in float32.
func unit(word uint32) float64 { return float64(word>>8) / (1 << 24) }

func words(n int, seed uint64, name string, f func(i int, word uint32)) {
	h := fnv.New64a()
	h.Write([]byte(name))
	id := h.Sum64()
	for i := 0; i < n; i += 4 {
		a, b, c, d := Philox(seed, uint32(i/4), uint32(id), uint32(id>>32), initStream)
		for j, w := range [4]uint32{a, b, c, d} {
			if i+j < n {
				f(i+j, w)
			}
		}
	}
}
