package vector

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// operation is a function of this package on vectors of n elements. It may write to any of them, and returns numbers.
type operation struct {
	name string
	do   func(x [][]float32) []float64
}

var operations = []operation{
	{"Add", func(x [][]float32) []float64 { Add(x[0], x[1], x[2]); return nil }},
	{"AddMul", func(x [][]float32) []float64 { AddMul(x[0], x[1], x[2], x[3]); return nil }},
	{"AddMul to the second factor", func(x [][]float32) []float64 { AddMul(x[0], x[1], x[0], x[3]); return nil }},
	{"Mul", func(x [][]float32) []float64 { Mul(x[0], x[1], x[2]); return nil }},
	{"Axpy", func(x [][]float32) []float64 { Axpy(x[0], 0.3, x[1]); return nil }},
	{"Scale", func(x [][]float32) []float64 { Scale(x[0], 0.3, x[1]); return nil }},
	{"Sum", func(x [][]float32) []float64 { return []float64{float64(Sum(x[0]))} }},
	{"Deviations", func(x [][]float32) []float64 { return []float64{float64(Deviations(x[0], 0.1))} }},
	{"Dot", func(x [][]float32) []float64 { return []float64{float64(Dot(x[0], x[1]))} }},
	{"Squares", func(x [][]float32) []float64 { return []float64{Squares(x[0])} }},
	// Adding 0 makes a negative zero positive.
	{"Max", func(x [][]float32) []float64 { return []float64{float64(Max(x[0])) + 0} }},
	{"ExpSum", func(x [][]float32) []float64 { return []float64{float64(ExpSum(x[0], 0.25))} }},
	{"ExpSum of large numbers", func(x [][]float32) []float64 {
		Scale(x[0], 40, x[0])
		return []float64{float64(ExpSum(x[0], 0))}
	}},
	{"Softmax", func(x [][]float32) []float64 { return []float64{float64(Softmax(x[0]))} }},
	{"SoftmaxGrad", func(x [][]float32) []float64 { SoftmaxGrad(x[0], x[1], 0.3); return nil }},
	{"SoftmaxGradMasked", func(x [][]float32) []float64 { SoftmaxGradMasked(x[0], x[1], x[2], 0.3); return nil }},
	{"Normalise", func(x [][]float32) []float64 { Normalise(x[0], x[1], x[2], x[3], 0.1, 1.7); return nil }},
	{"NormGrad", func(x [][]float32) []float64 { NormGrad(x[0], x[1], x[2], x[3], 0.1, 1.7); return nil }},
	{"RMSNormGrad", func(x [][]float32) []float64 { RMSNormGrad(x[0], x[1], x[2], x[3], 1.7); return nil }},
	{"NormParamGrad", func(x [][]float32) []float64 { NormParamGrad(x[0], x[1], x[2], x[3], 0.1, 1.7); return nil }},
	{"ScaleMul", func(x [][]float32) []float64 { ScaleMul(x[0], 1.7, x[1], x[2]); return nil }},
	{"AddScaleMul", func(x [][]float32) []float64 { AddScaleMul(x[0], 1.7, x[1], x[2]); return nil }},
	{"MulGELU", func(x [][]float32) []float64 { MulGELU(x[0], x[1], x[2]); return nil }},
	{"MulGELU in place", func(x [][]float32) []float64 { MulGELU(x[0], x[0], x[0]); return nil }},
	{"MulGELUSlope", func(x [][]float32) []float64 { MulGELUSlope(x[0], x[0], x[2]); return nil }},
	{"MulTanhGate", func(x [][]float32) []float64 { MulTanhGate(x[0], x[1], x[2]); return nil }},
	{"MulTanhGateSlope", func(x [][]float32) []float64 { MulTanhGateSlope(x[0], x[1], x[2]); return nil }},
	{"SwiGLU", func(x [][]float32) []float64 { SwiGLU(x[0], x[1], x[2]); return nil }},
	{"SwiGLUGrad", func(x [][]float32) []float64 { SwiGLUGrad(x[0], x[1], x[1], x[2], x[0]); return nil }},
	{"AdamW", func(x [][]float32) []float64 {
		o := AdamW[float32]{
			Factor: 0.5, Keep: 0.999, B1: 0.9, C1: 0.1, B2: 0.99, C2: 0.01, Rate: 0.02, Root: 1.3, Epsilon: 1e-8,
		}
		o.Update(x[0], x[1], x[2], x[3])
		return nil
	}},
	{"DropMask", func(x [][]float32) []float64 {
		m := NewDropMask[float32](compute.Dropout{P: 0.3, Key: 1<<63 + 12345, Step: 7, Site: 1 << 31, Row: 5})
		m.Row(x[0], len(x[0]))
		return nil
	}},
}

// special has numbers at which functions change, and beyond them.
var special = []float32{
	0, float32(math.Copysign(0, -1)), 1e-40, -1e-40, 1e-30, 6.5, -6.5, 20, -20, 21, -21, 87.5, -87.5, 88, -88, 88.4, -88.4,
	89, -89, 100, -100, 1e19, -1e19, math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)),
	float32(math.NaN()), -float32(math.NaN()),
}

// run does an operation on copies of vectors with an instruction set and returns all results. The vectors are followed
// by elements that must not change, except the multipliers of a mask up to the next multiple of 8.
func (o operation) run(x [][]float32, on, avx512 bool) ([][]float32, []float64) {
	before := [2]bool{enabled, wide}
	enabled, wide = on, avx512
	defer func() { enabled, wide = before[0], before[1] }()
	var all, parts [][]float32
	for _, v := range x {
		c := append(slices.Clone(v), make([]float32, 32)...)
		all, parts = append(all, c), append(parts, c[:len(v)])
	}
	numbers := o.do(parts)
	return all, numbers
}

// same reports whether two numbers have the same bits or are both NaN.
func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

// variants returns the instruction sets of this processor.
func variants(t testing.TB) map[string]bool {
	if !enabled {
		t.Skip("this processor has no vector instructions that this package uses")
	}
	sets := map[string]bool{"AVX2": false}
	if wide {
		sets["AVX-512"] = true
	}
	return sets
}

// TestSameBits compares every operation in vector instructions with the loop in Go, for all lengths up to four blocks
// and a long one, on random and on special numbers.
func TestSameBits(t *testing.T) {
	for set, avx512 := range variants(t) {
		for _, o := range operations {
			t.Run(fmt.Sprintf("isa=%s/%s", set, o.name), func(t *testing.T) {
				for _, n := range append(lengths(), 3*768+5) {
					for kind := range 3 {
						x := vectors(n, kind)
						want, numbers := o.run(x, false, false)
						got, others := o.run(x, true, avx512)
						for i := range want {
							for j, w := range want[i] {
								if g := got[i][j]; !same(float64(g), float64(w)) {
									t.Fatalf("n=%d, kind %d: element %d of vector %d is %x; in Go it is %x", n, kind, j, i, g, w)
								}
							}
						}
						for i, w := range numbers {
							if !same(others[i], w) {
								t.Fatalf("n=%d, kind %d: result %d is %x; in Go it is %x", n, kind, i, others[i], w)
							}
						}
					}
				}
			})
		}
	}
}

func lengths() (all []int) {
	for n := range 4*lanes + 2 {
		all = append(all, n)
	}
	return all
}

// vectors returns four vectors: of normal numbers, of special ones, or of both.
func vectors(n, kind int) (x [][]float32) {
	r := rand.New(rand.NewPCG(uint64(n), uint64(kind)))
	for range 4 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64() * 3)
			if kind == 1 || kind == 2 && r.IntN(n) == 0 {
				v[i] = special[r.IntN(len(special))]
			}
		}
		x = append(x, v)
	}
	return x
}

// TestRegisters checks that the code for AVX2 does not use registers that only AVX-512 has.
func TestRegisters(t *testing.T) {
	source, err := os.ReadFile("kernels_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	narrow := regexp.MustCompile(`(?s)\n\tJNE +avx512\n(.*?)\navx512:\n`).FindAllStringSubmatch(string(source), -1)
	if len(narrow) < 27 {
		t.Fatalf("found %d functions", len(narrow))
	}
	for _, body := range narrow {
		if found := regexp.MustCompile(`\b([XY](1[6-9]|[23]\d)|[ZK]\d+)\b`).FindString(body[1]); found != "" {
			t.Errorf("code for AVX2 uses %s:\n%s", found, body[1])
		}
	}
}
