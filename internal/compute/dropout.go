package compute

import "math"

// Dropout identifies one mask. The numbers that are drawn depend on nothing
// else, so that every device and the backward pass draw the same mask again,
// and that a step of 64 examples has the same masks as 4 micro-batches of 16.
//
// Element (row n, column c) uses lot c%8 of Philox(key = Key, counter = {c/8,
// Row+n, Site, Step}). Lot i is a half of word i/2: the low half if i is even,
// and otherwise the high half. The element is kept iff its lot is at least
// Threshold.
type Dropout struct {
	P    float32
	Key  uint64 // seed of the run
	Step uint32 // optimizer step
	Site uint32 // place in the network; different for all dropouts of a step
	Row  uint32 // index of the first row within the optimizer step
}

// Threshold returns how many of the 65,536 possible lots drop an element: P
// rounded to a multiple of 1/65,536. Lots of 16 bits make the mask half as
// expensive as lots of 32 bits, and change P by less than 1e-5.
func (d Dropout) Threshold() uint32 { return uint32(math.Round(float64(d.P) * 65536)) }

// Scale returns the factor for a kept element: 1/(1-p) for the p that results from Threshold, so that the expectation
// is exact.
func (d Dropout) Scale() float64 { return 65536 / (65536 - float64(d.Threshold())) }

// Active reports whether the mask drops anything.
func (d Dropout) Active() bool { return d.Threshold() > 0 }

// Philox returns four random words that depend only on a 128-bit counter and a 64-bit key. It is Philox4x32-10
// (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3).
func Philox(key uint64, c0, c1, c2, c3 uint32) (r0, r1, r2, r3 uint32) {
	for _, k := range PhiloxKeys(key) {
		p0 := uint64(c0) * 0xD2511F53
		p1 := uint64(c2) * 0xCD9E8D57
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k[0], uint32(p1), uint32(p0>>32)^c3^k[1], uint32(p0)
	}
	return c0, c1, c2, c3
}

// PhiloxKeys returns the two words of the key in each round of Philox.
func PhiloxKeys(key uint64) (rounds [10][2]uint32) {
	k0, k1 := uint32(key), uint32(key>>32)
	for i := range rounds {
		rounds[i] = [2]uint32{k0, k1}
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return rounds
}
