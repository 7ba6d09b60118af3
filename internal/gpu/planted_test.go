//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

// without returns a change that removes the nth occurrence of a text. The first is 1.
func without(text string, nth int) func(string) (string, error) {
	return func(source string) (string, error) {
		parts := strings.SplitAfterN(source, text, nth+1)
		if len(parts) <= nth {
			return "", fmt.Errorf("%d times %s; want %d", len(parts)-1, text, nth)
		}
		parts[nth-1] = strings.TrimSuffix(parts[nth-1], text) + ";"
		return strings.Join(parts, ""), nil
	}
}

// TestDroppedBarrier removes one barrier from a kernel at a time. The conformance suite must fail each time.
func TestDroppedBarrier(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles kernels")
	}
	fake(t)
	for _, c := range []struct {
		file, text string
		nth        int
		op         string
	}{
		{"attention_general.cu", "__syncwarp();", 1, "Attention"},
		{"attention_general.cu", "__syncthreads();", 2, "Attention"},
		{"loss.cu", "__syncthreads();", 1, "CrossEntropy"},
		{"lowrank.cu", "__syncthreads();", 1, "LowRankDown"},
		{"matmul_f32.cu", "__syncthreads();", 2, "Gemm"},
		{"update.cu", "__syncthreads();", 1, "GradNorm"},
	} {
		t.Run(fmt.Sprintf("file=%s/nth=%d", c.file, c.nth), func(t *testing.T) {
			lib, err := hostlib.BuildChanged(t.TempDir(), c.file, without(c.text, c.nth))
			if err != nil {
				t.Fatal(err)
			}
			out, err := lib.Test("-test.failfast", "-test.run=^TestConformance$/^dtype=f32$/^op="+c.op+"$")
			if err == nil {
				t.Errorf("the suite passes without the barrier:\n%s", out)
			} else if !strings.Contains(string(out), "op="+c.op) {
				t.Errorf("the suite did not run: %v\n%s", err, out)
			}
		})
	}
}
