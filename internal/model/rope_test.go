package model

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

// TestRoPE compares the angles of every type of rotation with those of transformers: frequencies to one unit in the
// last place of float32, and cosines and sines to what that unit makes of the angle.
func TestRoPE(t *testing.T) {
	raw, err := os.ReadFile("../../testdata/golden_decoder/rope.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name        string
		Theta       float64         `json:"rope_theta"`
		HeadDim     int             `json:"head_dim"`
		Positions   int             `json:"max_position_embeddings"`
		Scaling     json.RawMessage `json:"rope_scaling"`
		Factor      float64
		Frequencies []float64
		Every       int
		Cos, Sin    [][]float64
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run("case="+c.Name, func(t *testing.T) {
			old := map[string]json.RawMessage{"rope_theta": json.RawMessage(fmt.Sprint(c.Theta)), "rope_scaling": c.Scaling}
			r, err := parseRoPE(old, 7)
			if err != nil {
				t.Fatal(err)
			}
			if faults := r.validate(c.HeadDim, c.Positions); faults != nil {
				t.Fatal(faults)
			}
			freq, factor := r.frequencies(c.HeadDim, c.Positions)
			if factor != float32(c.Factor) || len(freq) != len(c.Frequencies) {
				t.Fatalf("%d frequencies with factor %v; want %d with %v", len(freq), factor, len(c.Frequencies), c.Factor)
			}
			for i, want := range c.Frequencies {
				if got := float64(freq[i]); math.Abs(got-want) > 1.2e-7*want {
					t.Errorf("frequency %d is %.9g; want %.9g", i, got, want)
				}
			}
			rows := (len(c.Cos)-1)*c.Every + 1
			if rows > 20000 {
				rows = c.Every + 1 // the others say the same and take a while
			}
			table := r.table(rows, c.HeadDim, c.Positions)
			for at := 0; at*c.Every < rows; at++ {
				for i := range freq {
					near := 1e-6 + 2.4e-7*float64(at*c.Every)*c.Frequencies[i]
					row := table[at*c.Every*c.HeadDim:]
					cos, sin := float64(row[i])-c.Cos[at][i], float64(row[c.HeadDim/2+i])-c.Sin[at][i]
					if math.Abs(cos) > near || math.Abs(sin) > near {
						t.Fatalf("cosine and sine of pair %d at position %d are off by %v and %v", i, at*c.Every, cos, sin)
					}
				}
			}
			// The same rotation as transformers 5 writes it.
			parameters := fmt.Sprintf(`{"rope_type": "default", "rope_theta": %v}`, c.Theta)
			if string(c.Scaling) != "null" {
				parameters = strings.Replace(string(c.Scaling), "{", fmt.Sprintf(`{"rope_theta": %v, `, c.Theta), 1)
			}
			v5, err := parseRoPE(map[string]json.RawMessage{"rope_parameters": json.RawMessage(parameters)}, 7)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := v5.frequencies(c.HeadDim, c.Positions)
			if fmt.Sprint(again) != fmt.Sprint(freq) {
				t.Error("rope_parameters give other frequencies than rope_theta and rope_scaling")
			}
		})
	}
}

// TestRoPEFaults: a rotation that is not known, or lacks a number, is refused by name.
func TestRoPEFaults(t *testing.T) {
	for text, want := range map[string]string{
		`{"rope_scaling": {"rope_type": "longrope", "short_factor": [1]}}`: `rope_type is "longrope"; want default, linear, dynamic, llama3 or yarn`,
		`{"rope_scaling": {"type": "linear"}}`:                             "rope_type linear has no factor",
		`{"rope_scaling": {"type": "linear", "factor": 0}}`: "the factor of rope_type linear is 0; " +
			"want more than 0",
		`{"rope_scaling": {"rope_type": "llama3", "factor": 8}}`:            "rope_type llama3 has no low_freq_factor",
		`{"rope_parameters": {"full_attention": {"rope_type": "default"}}}`: `rope_parameters has a rotation of its own for "full_attention"`,
		`{"rope_parameters": {"partial_rotary_factor": 0.5}}`:               "partial_rotary_factor is 0.5; want 1",
		`{"rope_theta": "big"}`: `rope_theta is "\"big\""`,
		`{"rope_theta": 0}`:     "rope_theta is 0; want more than 1",
		`{"rope_scaling": {"rope_type": "yarn", "factor": 4, "beta_fast": 0.5}}`: "beta_fast is 0.5 and beta_slow is 1",
	} {
		t.Run(text, func(t *testing.T) {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal([]byte(text), &fields); err != nil {
				t.Fatal(err)
			}
			r, err := parseRoPE(fields, 1e4)
			faults := fmt.Sprint(r.validate(64, 2048))
			if err != nil {
				faults = err.Error()
			}
			if !strings.Contains(faults, want) {
				t.Errorf("faults are %s; want %q", faults, want)
			}
		})
	}
}
