package nf4

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// values returns the numbers of scripts/golden_nf4.py, which are exact in float32.
func values(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(((37*i)%101-50)*(1+i/Block%7)) / 4096
	}
	return x
}

// sum returns the SHA-256 of bytes or of the little-endian bytes of floats.
func sum(x any) string {
	raw, ok := x.([]byte)
	if !ok {
		raw, _ = binary.Append(nil, binary.LittleEndian, x)
	}
	s := sha256.Sum256(raw)
	return hex.EncodeToString(s[:])
}

// TestBitsandbytes compares with matrices that bitsandbytes quantised; see scripts/golden_nf4.py.
func TestBitsandbytes(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Levels     [16]float64
		DynamicMap string `json:"dynamic_map"`
		Cases      []struct {
			N                    int
			Double               bool
			Codes, First, Values string
			State                string
			Scales               string
			ScaleCodes           string    `json:"scale_codes"`
			ScaleScales          []float32 `json:"scale_scales"`
			Offset               float32
		}
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	for i, v := range golden.Levels {
		if float32(v) != Levels[i] {
			t.Errorf("level %d is %v; bitsandbytes has %v", i, Levels[i], v)
		}
	}
	if got := sum(DynamicMap[:]); got != golden.DynamicMap {
		t.Errorf("the dynamic map has the hash %s; bitsandbytes' has %s", got, golden.DynamicMap)
	}
	for _, c := range golden.Cases {
		t.Run(fmt.Sprintf("n=%d/double=%t", c.N, c.Double), func(t *testing.T) {
			m := Quantize(values(c.N), []int{c.N}, c.Double)
			if got := hex.EncodeToString(m.Codes[:min(32, len(m.Codes))]); got != c.First {
				t.Errorf("codes begin with %s; want %s", got, c.First)
			}
			if got := sum(m.Codes); got != c.Codes {
				t.Errorf("codes have the hash %s; want %s", got, c.Codes)
			}
			if c.Double {
				if got := hex.EncodeToString(m.Double.Codes); got != c.ScaleCodes {
					t.Errorf("codes of scales are %s; want %s", got, c.ScaleCodes)
				}
				if got := fmt.Sprint(m.Double.Scales, m.Double.Offset); got != fmt.Sprint(c.ScaleScales, c.Offset) {
					t.Errorf("scales of scales and offset are %s; want %v %v", got, c.ScaleScales, c.Offset)
				}
			} else if got := sum(m.Scales); got != c.Scales {
				t.Errorf("scales have the hash %s; want %s", got, c.Scales)
			}
			y := make([]float32, c.N)
			Dequantize(y, m.Codes, m.Expanded(), 0)
			if got := sum(y); got != c.Values {
				t.Errorf("values have the hash %s; want %s", got, c.Values)
			}
		})
	}
}

// TestDequantizePart: a part of a matrix has the same elements as the whole, in float64 too.
func TestDequantizePart(t *testing.T) {
	m := Quantize(values(500), []int{500}, false)
	whole := make([]float32, 500)
	Dequantize(whole, m.Codes, m.Expanded(), 0)
	part := make([]float64, 300)
	Dequantize(part, m.Codes, m.Expanded(), 101)
	for i, v := range part {
		if v != float64(whole[101+i]) {
			t.Fatalf("element %d of the part is %v; want %v", i, v, whole[101+i])
		}
	}
}

// TestExtremes: blocks of zeros, of one value and of tiny values keep what they can.
func TestExtremes(t *testing.T) {
	for name, v := range map[string]float32{"zero": 0, "one": 1, "negative": -3, "tiny": 1e-39, "large": math.MaxFloat32} {
		x := make([]float32, 2*Block)
		for i := range x {
			x[i] = v
		}
		m := Quantize(x, []int{len(x)}, false)
		y := make([]float32, len(x))
		Dequantize(y, m.Codes, m.Expanded(), 0)
		for i, got := range y {
			if math.IsNaN(float64(got)) || name != "tiny" && got != v {
				t.Fatalf("%s: element %d is %v; want %v", name, i, got, v)
			}
		}
	}
}
