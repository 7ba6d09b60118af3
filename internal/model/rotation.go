package model

import "math"

// Rotation describes how a decoder turns queries and keys, for a file of another program.
type Rotation struct {
	Type  string  // default, linear, dynamic, llama3 or yarn
	Theta float64 // base of the frequencies
	// Factor divides frequencies, all of them in a linear rotation and some in llama3 and yarn; otherwise it is 1.
	Factor float64
	// Dividers is what the frequency of each pair of a head is divided by in a llama3 rotation, [HeadDim/2].
	Dividers []float32
	// The rest is for yarn: the positions of the model before its context was extended; how often a pair turns within
	// them at the ends of the ramp; and whether the factor of the cosines and the ends of the ramp are those of the
	// paper, 0.1 ln(Factor) + 1 and whole pairs.
	Original           int
	BetaFast, BetaSlow float64
	Plain              bool
}

// Rotation returns the rotation of c.
func (c *DecoderConfig) Rotation() Rotation {
	r := c.rope
	out := Rotation{Type: r.Type, Theta: or(r.Theta, 1e4), Factor: or(r.Factor, 1)}
	switch r.Type {
	case ropeDefault, ropeDynamic:
		out.Factor = 1
	case ropeLLaMA3:
		all, _ := r.frequencies(c.HeadDim, c.Positions)
		r.Type = ropeDefault
		plain, _ := r.frequencies(c.HeadDim, c.Positions)
		for i := range all {
			out.Dividers = append(out.Dividers, plain[i]/all[i])
		}
	case ropeYaRN:
		out.Original = or(r.Original, c.Positions)
		if r.Factor == nil {
			out.Factor = float64(c.Positions) / float64(out.Original)
		}
		out.BetaFast, out.BetaSlow = or(r.BetaFast, 32), or(r.BetaSlow, 1)
		usual := 0.1*math.Log(max(out.Factor, 1)) + 1
		out.Plain = or(r.Truncate, true) && math.Abs(r.attention(out.Factor)-usual) < 1e-6
	}
	return out
}
