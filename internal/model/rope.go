package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/place"
)

// rope is the rotation of a decoder's queries and keys: rope_parameters of a Hugging Face config.json, or rope_theta
// and rope_scaling of an older one.
type rope struct {
	Type            string   `json:"rope_type"`
	OldType         string   `json:"type"`
	Theta           *float64 `json:"rope_theta"`
	Factor          *float64 `json:"factor"`
	Original        *int     `json:"original_max_position_embeddings"`
	LowFactor       *float64 `json:"low_freq_factor"`
	HighFactor      *float64 `json:"high_freq_factor"`
	AttentionFactor *float64 `json:"attention_factor"`
	BetaFast        *float64 `json:"beta_fast"`
	BetaSlow        *float64 `json:"beta_slow"`
	MScale          *float64 `json:"mscale"`
	MScaleAll       *float64 `json:"mscale_all_dim"`
	Truncate        *bool    `json:"truncate"`
	Partial         *float64 `json:"partial_rotary_factor"`
}

// The types of rotation. A dynamic rotation is the default one for sequences within max_position_embeddings, and longer
// sequences are refused.
const (
	ropeDefault = "default"
	ropeLinear  = "linear"
	ropeDynamic = "dynamic"
	ropeLLaMA3  = "llama3"
	ropeYaRN    = "yarn"
)

// or returns the value of an optional number.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// validate lists the faults of r for heads of width dim in a model with the given number of positions.
func (r rope) validate(dim, positions int) (faults []error) {
	fault := func(ok bool, format string, a ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, a...))
		}
	}
	finite := func(x float64) bool { return x > 0 && !math.IsInf(x, 0) }
	fault(dim%2 == 0, "head_dim is %d; want an even number", dim)
	fault(or(r.Theta, 1e4) > 1 && finite(or(r.Theta, 1e4)), "rope_theta is %v; want more than 1", or(r.Theta, 1e4))
	fault(or(r.Partial, 1) == 1, "partial_rotary_factor is %v; want 1", or(r.Partial, 1))
	need := func(key string, present bool) {
		fault(present, "rope_type %s has no %s; want the config.json that came with the weights", r.Type, key)
	}
	switch r.Type {
	case ropeDefault, ropeDynamic:
		return faults
	case ropeLinear:
		need("factor", r.Factor != nil)
	case ropeLLaMA3:
		need("factor", r.Factor != nil)
		need("low_freq_factor", r.LowFactor != nil)
		need("high_freq_factor", r.HighFactor != nil)
		need("original_max_position_embeddings", r.Original != nil)
		low, high := or(r.LowFactor, 1), or(r.HighFactor, 4)
		fault(low > 0 && high > low && finite(high),
			"low_freq_factor is %v and high_freq_factor is %v; want 0 < low < high", low, high)
	case ropeYaRN:
		need("factor", r.Factor != nil || r.Original != nil)
		fast, slow := or(r.BetaFast, 32), or(r.BetaSlow, 1)
		fault(slow > 0 && fast >= slow && finite(fast),
			"beta_fast is %v and beta_slow is %v; want 0 < slow <= fast", fast, slow)
		fault(finite(or(r.AttentionFactor, 1)), "attention_factor is %v; want more than 0", or(r.AttentionFactor, 1))
	default:
		fault(false, "rope_type is %s; want default, linear, dynamic, llama3 or yarn", place.Quote(r.Type))
		return faults
	}
	fault(finite(or(r.Factor, 1)), "the factor of rope_type %s is %v; want more than 0", r.Type, or(r.Factor, 1))
	fault(or(r.Original, 1) > 0, "original_max_position_embeddings is %d; want at least 1", or(r.Original, 1))
	return faults
}

// frequencies returns the angle per position of each pair of a head of width dim, and the factor of the cosines and
// sines. Every step is rounded to float32 as in transformers, modeling_rope_utils.py, because an error in a frequency
// grows with the position.
func (r rope) frequencies(dim, positions int) (freq []float32, factor float32) {
	theta := float32(or(r.Theta, 1e4))
	powers := make([]float32, dim/2) // theta^(2i/D)
	for i := range powers {
		powers[i] = float32(math.Pow(float64(theta), float64(float32(2*i)/float32(dim))))
		freq = append(freq, 1/powers[i])
	}
	switch s := float32(or(r.Factor, 1)); r.Type {
	case ropeLinear:
		for i := range freq {
			freq[i] /= s
		}
	case ropeLLaMA3:
		r.llama3(freq)
	case ropeYaRN:
		return r.yarn(freq, powers, dim, positions)
	}
	return freq, 1
}

// llama3 divides low frequencies by the factor, keeps high ones and interpolates between.
func (r rope) llama3(freq []float32) {
	s, original := float32(*r.Factor), float64(*r.Original)
	low, high := *r.LowFactor, *r.HighFactor
	for i, f := range freq {
		length := float32(2*math.Pi) / f // of the wave, in positions
		switch {
		case length > float32(original/low):
			freq[i] = f / s
		case !(length < float32(original/high)):
			g := (float32(original)/length - float32(low)) / float32(high-low)
			kept, divided := g*f, (1-g)*f
			freq[i] = divided/s + kept
		}
	}
}

// yarn divides the frequencies of pairs that turn seldom within the original context by the factor, keeps those of
// pairs that turn often, and ramps between (Peng et al. 2023, arXiv:2309.00071, section 3).
func (r rope) yarn(freq, powers []float32, dim, positions int) ([]float32, float32) {
	original := float64(or(r.Original, positions))
	s := float64(positions) / original
	if r.Factor != nil {
		s = *r.Factor
	}
	theta := or(r.Theta, 1e4)
	// bound returns the pair, as a fraction, that turns n times within the original context.
	bound := func(n float64) float64 {
		return float64(dim) * math.Log(original/(n*2*math.Pi)) / (2 * math.Log(theta))
	}
	low, high := bound(or(r.BetaFast, 32)), bound(or(r.BetaSlow, 1))
	if or(r.Truncate, true) {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(dim-1))
	if low == high {
		high += 0.001
	}
	for i, f := range freq {
		ramp := min(max((float32(i)-float32(low))/float32(high-low), 0), 1)
		keep := 1 - ramp
		interpolated, kept := 1/(float32(s)*powers[i])*(1-keep), f*keep
		freq[i] = interpolated + kept
	}
	return freq, float32(r.attention(s))
}

// attention returns the factor of the cosines and sines of a yarn rotation that scales positions by s.
func (r rope) attention(s float64) float64 {
	scale := func(m float64) float64 {
		if s <= 1 {
			return 1
		}
		return 0.1*m*math.Log(s) + 1
	}
	switch m, all := or(r.MScale, 0), or(r.MScaleAll, 0); {
	case r.AttentionFactor != nil:
		return *r.AttentionFactor
	case m != 0 && all != 0:
		return scale(m) / scale(all)
	}
	return scale(1)
}

// table returns the cosines and sines of the given number of positions, [rows, dim], as compute.Attention wants them.
// An angle is a float32 position times a float32 frequency, rounded to float32.
func (r rope) table(rows, dim, positions int) []float32 {
	freq, factor := r.frequencies(dim, positions)
	t := make([]float32, rows*dim)
	for p := range rows {
		for i, f := range freq {
			sin, cos := math.Sincos(float64(float32(p) * f))
			t[p*dim+i], t[p*dim+dim/2+i] = float32(cos)*factor, float32(sin)*factor
		}
	}
	return t
}

// upload puts the table on a device.
func (r rope) upload(dev compute.Device, rows, dim, positions int) compute.Tensor {
	t := dev.Alloc(compute.Shape{rows, dim}, compute.Exact)
	dev.Upload(t, r.table(rows, dim, positions))
	return t
}

// parseRoPE returns the rotation that the fields of a config.json describe. theta is the family's default.
func parseRoPE(fields map[string]json.RawMessage, theta float64) (r rope, err error) {
	read := func(key string, v any) error {
		raw, ok := fields[key]
		if !ok || string(raw) == "null" {
			return nil
		}
		if err := json.Unmarshal(raw, v); err != nil {
			return fmt.Errorf("%s is %s; want what transformers writes", key, place.Quote(string(raw)))
		}
		return nil
	}
	top := theta
	if err := read("rope_theta", &top); err != nil {
		return r, err
	}
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		var parts map[string]json.RawMessage
		if err := read(key, &parts); err != nil {
			return r, err
		}
		for name, part := range parts {
			if bytes.HasPrefix(part, []byte("{")) {
				return r, fmt.Errorf("%s has a rotation of its own for %s; want one for all layers", key, place.Quote(name))
			}
		}
		if err := read(key, &r); err != nil {
			return r, err
		}
	}
	if r.Theta == nil {
		r.Theta = &top
	}
	if r.Type == "" {
		r.Type = r.OldType
	}
	if r.Type == "" {
		r.Type = ropeDefault
	}
	return r, nil
}
