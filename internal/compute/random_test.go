package compute_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// TestPhilox compares with the known answers of Random123 1.14,
// tests/kat_vectors, philox4x32 10.
func TestPhilox(t *testing.T) {
	const ones = math.MaxUint32
	for _, c := range []struct {
		name    string
		key     uint64
		counter [4]uint32
		want    [4]uint32
	}{
		{"zeros", 0, [4]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			"ones", math.MaxUint64, [4]uint32{ones, ones, ones, ones},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			"pi", 0x299f31d0_a4093822, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		t.Run("input="+c.name, func(t *testing.T) {
			var got [4]uint32
			got[0], got[1], got[2], got[3] = compute.Philox(c.key, c.counter[0], c.counter[1], c.counter[2], c.counter[3])
			if got != c.want {
				t.Errorf("Philox = %08x; want %08x", got, c.want)
			}
		})
	}
}

// fills are the two ways to draw initial values.
var fills = map[string]func(dst []float32, seed uint64, name string, scale float64){
	"uniform": compute.Uniform, "normal": compute.Normal,
}

func draw(fill string, n int, seed uint64, name string, scale float64) []float32 {
	v := make([]float32, n)
	fills[fill](v, seed, name, scale)
	return v
}

// TestInitialValues compares with testdata/random.py, which implements only the
// definition: the initial values of a run must never change between releases.
func TestInitialValues(t *testing.T) {
	raw, err := os.ReadFile("testdata/random.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Seed            uint64
		Name            string
		Scale           float64
		Uniform, Normal []float64
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		for fill, want := range map[string][]float64{"uniform": c.Uniform, "normal": c.Normal} {
			t.Run(fmt.Sprintf("fill=%s/name=%s", fill, c.Name), func(t *testing.T) {
				for i, got := range draw(fill, len(want), c.Seed, c.Name, c.Scale) {
					// Sine and logarithm may differ in the last bit of a float64 between
					// libraries, and therefore in the last bit of a float32.
					if math.Abs(float64(got)-want[i]) > 1.2e-7*math.Abs(want[i]) {
						t.Errorf("[%d] = %v; want %v", i, got, want[i])
					}
				}
			})
		}
	}
}

// TestInitialValuesStandAlone: a value depends on seed, name and position, not
// on earlier draws or on how many values follow.
func TestInitialValuesStandAlone(t *testing.T) {
	for fill := range fills {
		t.Run("fill="+fill, func(t *testing.T) {
			want := draw(fill, 11, 3, "a", 0.5)
			draw(fill, 5, 4, "b", 1)
			for n := range len(want) {
				if got := draw(fill, n, 3, "a", 0.5); !slices.Equal(got, want[:n]) {
					t.Errorf("%d values: %v; want %v", n, got, want[:n])
				}
			}
			if slices.Equal(draw(fill, 11, 3, "b", 0.5), want) {
				t.Error("names a and b draw the same values")
			}
			for _, seed := range []uint64{2, 3 + 1<<40} {
				if slices.Equal(draw(fill, 11, seed, "a", 0.5), want) {
					t.Errorf("seeds 3 and %d draw the same values", seed)
				}
			}
		})
	}
}

// TestMoments allows five standard errors of each sample moment.
func TestMoments(t *testing.T) {
	const n, scale = 200_000, 0.25
	for fill, c := range map[string]struct {
		variance, kurtosis float64
		sixth, eighth      float64 // the values are standardised first, because the errors of other moments depend on these
	}{
		"uniform": {scale * scale / 3, 9.0 / 5, 27.0 / 7, 9},
		"normal":  {scale * scale, 3, 15, 105},
	} {
		t.Run("fill="+fill, func(t *testing.T) {
			v := draw(fill, n, 12, "w", scale)
			// moment returns the mean of x y^k, both standardised.
			moment := func(k, lag int) (sum float64) {
				for i, x := range v {
					z := float64(x) / math.Sqrt(c.variance)
					if lag > 0 {
						z *= float64(v[(i+lag)%n]) / math.Sqrt(c.variance)
					}
					sum += math.Pow(z, float64(k)) / n
				}
				return sum
			}
			for _, m := range []struct {
				k, lag         int
				want, variance float64
			}{
				{1, 0, 0, 1}, {2, 0, 1, c.kurtosis - 1}, {3, 0, 0, c.sixth}, {4, 0, c.kurtosis, c.eighth - c.kurtosis*c.kurtosis},
				// The halves of a Box-Muller pair, and neighbours, are independent.
				{1, 1, 0, 1}, {2, 1, 1, c.kurtosis*c.kurtosis - 1}, {1, 2, 0, 1}, {1, 4, 0, 1},
			} {
				if got := moment(m.k, m.lag); !(math.Abs(got-m.want) <= 5*math.Sqrt(m.variance/n)) {
					t.Errorf("moment %d at lag %d = %v; want %v", m.k, m.lag, got, m.want)
				}
			}
			if fill == "uniform" {
				if lo, hi := slices.Min(v), slices.Max(v); lo < -scale || hi >= scale {
					t.Errorf("values from %v to %v; want [-%v, %[3]v)", lo, hi, scale)
				}
			}
		})
	}
}

func TestDropoutThreshold(t *testing.T) {
	for _, c := range []struct {
		p         float32
		threshold uint32
	}{
		{0, 0}, {1e-6, 0}, {7.7e-6, 1}, {0.05, 3277}, {0.1, 6554}, {0.25, 16384}, {0.5, 32768}, {0.999, 65470},
	} {
		t.Run(fmt.Sprintf("p=%v", c.p), func(t *testing.T) {
			d := compute.Dropout{P: c.p}
			if got := d.Threshold(); got != c.threshold {
				t.Errorf("Threshold() = %d; want %d", got, c.threshold)
			}
			if got := d.Active(); got != (c.threshold > 0) {
				t.Errorf("Active() = %v", got)
			}
			// The share that is kept, times its multiplier, must be 1.
			if kept := float64(65536-c.threshold) / 65536; math.Abs(kept*d.Scale()-1) > 1e-15 {
				t.Errorf("Scale() = %v, but a share of %v is kept", d.Scale(), kept)
			}
		})
	}
}
