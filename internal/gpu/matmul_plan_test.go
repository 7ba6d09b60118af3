//go:build cuda && cgo && linux && amd64

package gpu

import (
	"bytes"
	"encoding/json"
	stdflag "flag"
	"fmt"
	"math"
	"os"
	"testing"
)

var update = stdflag.Bool("update", false, "rewrite bench/results/predicted-matmul.json")

// productSizes returns numbers of tokens with the inner and outer widths of linear layers: those of RoBERTa-base and
// LLaMA2-7B, and a square to compare with other libraries.
func productSizes(narrow bool) [][3]int {
	sizes := [][3]int{
		{64, 768, 768}, {3456, 768, 768}, {3456, 768, 3072}, {3456, 3072, 768}, {8192, 768, 768}, {8192, 768, 3072},
		{8192, 3072, 768},
		{16384, 768, 768}, {16384, 768, 3072}, {16384, 3072, 768},
	}
	if narrow { // in float32 they take seconds, and models of that size are not trained in float32
		sizes = append(
			sizes, [][3]int{{16384, 4096, 4096}, {16384, 4096, 11008}, {16384, 11008, 4096}, {8192, 8192, 8192}}...,
		)
	}
	return sizes
}

// TestPlan checks that the parts of every plan cover all terms, that no part is empty, and that the sums of the parts
// fit in scratch memory.
func TestPlan(t *testing.T) {
	sizes := []int{1, 3, 17, 64, 257, 768, 1025, 4096, 16384}
	for _, m := range sizes {
		for _, n := range sizes {
			for _, k := range append(sizes, 0) {
				for _, narrow := range []bool{false, true} {
					for _, small := range []bool{false, true} {
						p := planMatmul(m, n, k, narrow, small)
						name := fmt.Sprintf("planMatmul(%d, %d, %d, narrow=%t, small=%t) = %+v", m, n, k, narrow, small, p)
						if p.chunk <= 0 || p.chunk%matmulDepth != 0 || p.parts*p.chunk < k || p.parts > 1 && (p.parts-1)*p.chunk >= k {
							t.Fatalf("%s: the parts do not cover the terms", name)
						}
						if p.parts > 1 && p.partialBytes() > scratchBytes {
							t.Fatalf("%s: the sums take %d bytes, scratch memory has %d", name, p.partialBytes(), scratchBytes)
						}
						if small && p.tile != smallTile {
							t.Fatalf("%s: there is no such kernel", name)
						}
					}
				}
			}
		}
	}
}

// TestPlanFillsTheCard checks that plans have enough blocks to occupy the card.
func TestPlanFillsTheCard(t *testing.T) {
	for _, c := range []struct{ m, n, k, least int }{
		{64, 768, 768, 60}, {64, 768, 3072, 120}, {768, 768, 8192, 200}, {64, 64, 8192, 60}, {3456, 768, 768, 132},
	} {
		t.Run(fmt.Sprintf("m=%d/n=%d/k=%d", c.m, c.n, c.k), func(t *testing.T) {
			if p := planMatmul(c.m, c.n, c.k, true, false); p.tiles()*p.parts < c.least {
				t.Errorf("plan %+v has %d blocks; want at least %d", p, p.tiles()*p.parts, c.least)
			}
		})
	}
}

// prediction is one line of bench/results/predicted-matmul.json.
type prediction struct {
	Case   string  `json:"case"` // name of the case in BenchmarkOp
	Tile   int     `json:"tile"`
	Parts  int     `json:"parts"`
	Us     float64 `json:"us"`
	TFLOPs float64 `json:"tflop_per_s"`
}

// TestPredictions compares the predictions of planMatmul with the file that the first measurement will be compared
// with.
func TestPredictions(t *testing.T) {
	const path = "../../bench/results/predicted-matmul.json"
	var file struct {
		What        string       `json:"what"`
		Formula     []string     `json:"formula"`
		Predictions []prediction `json:"predictions"`
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(old, &file); err != nil {
		t.Fatal(err)
	}
	file.Predictions = nil
	for _, narrow := range []bool{true, false} {
		for _, s := range productSizes(narrow) {
			n, k, m := s[0], s[1], s[2]
			for _, c := range []struct {
				name    string
				m, n, k int
			}{{"Linear", n, m, k}, {"Gemm/grad=input", n, k, m}, {"Gemm/grad=weight", m, k, n}} {
				p := planMatmul(class(c.m), class(c.n), class(c.k), narrow, false)
				us := (launchNs + p.ns) / 1e3
				dtype := "f32"
				if narrow {
					dtype = "bf16"
				}
				file.Predictions = append(file.Predictions, prediction{
					fmt.Sprintf("op=%s/n=%d/k=%d/m=%d/dtype=%s", c.name, n, k, m, dtype), p.tile, p.parts,
					math.Round(us*10) / 10, math.Round(2 * float64(n) * float64(k) * float64(m) / us / 1e6),
				})
			}
		}
	}
	var now bytes.Buffer
	e := json.NewEncoder(&now)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(file); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, now.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(old, now.Bytes()) {
		t.Errorf("%s is not what planMatmul predicts; write it again with -update", path)
	}
}
