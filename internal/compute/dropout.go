package compute

import "math"

// Dropout names one mask: which numbers are drawn depends on nothing else, so
// that any device, and the backward pass, redraws the same mask, and so that
// 64 x 1 and 16 x 4 accumulated see the same masks.
//
// Element (row n, column c) takes lot c%8 of
// Philox(key = Key, counter = {c/8, Row+n, Site, Step}); lot i is the low or
// high half, low first, of word i/2. The element is kept iff its lot is at
// least Threshold.
type Dropout struct {
	P    float32
	Key  uint64 // the run's seed
	Step uint32 // optimizer step
	Site uint32 // place in the network; no two dropouts of a step share one
	Row  uint32 // index of the first row within the optimizer step
}

// Threshold returns the number of the 65,536 lots that drop an element: P in
// steps of 1/65,536. A 16-bit lot halves the cost of the mask against 32 bits
// and moves P by less than 1e-5.
func (d Dropout) Threshold() uint32 { return uint32(math.Round(float64(d.P) * 65536)) }

// Scale returns what a kept element is multiplied by: 1/(1-p) for the p that
// Threshold realises, so that the expectation is exact.
func (d Dropout) Scale() float64 { return 65536 / (65536 - float64(d.Threshold())) }

// Active reports whether the mask drops anything.
func (d Dropout) Active() bool { return d.Threshold() > 0 }

// Philox is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3", section 3.3): four random words from a 128-bit counter and
// a 64-bit key, without state.
func Philox(key uint64, c0, c1, c2, c3 uint32) (r0, r1, r2, r3 uint32) {
	k0, k1 := uint32(key), uint32(key>>32)
	for range 10 {
		p0 := uint64(c0) * 0xD2511F53
		p1 := uint64(c2) * 0xCD9E8D57
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return c0, c1, c2, c3
}
