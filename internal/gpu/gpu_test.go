//go:build cuda && cgo && linux && amd64

package gpu

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/computetest"
	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

// precisions are the two precisions in which a device can be opened.
var precisions = []struct {
	name   string
	narrow bool
	bits   int // significant bits of Working, for the suite
}{{"f32", false, 0}, {"bf16", true, 8}}

// openCard opens the first card. If there is none it skips the test, or fails it if LOR2C_REQUIRE_GPU is 1.
func openCard(tb testing.TB, o Options) *Device {
	tb.Helper()
	dev, err := Open(o)
	if errors.Is(err, ErrNoDevice) && os.Getenv("LOR2C_REQUIRE_GPU") != "1" {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return dev.(*Device)
}

// functions returns the error of exponentials and quotients for the suite: that of two functions on a card. The
// simulated driver computes them as the C library does, except in mode card.
func functions() float64 {
	if _, simulated := hostlib.Loaded(); simulated && !hostlib.Card() {
		return 0
	}
	return 4
}

// sampled returns the number of cases of each op that the suite runs: that of LOR2C_TEST_SAMPLE, or 0 for all.
// compute-sanitizer makes kernels up to a hundred times slower, so gpu-check sets it there.
func sampled(t *testing.T) int {
	value := os.Getenv("LOR2C_TEST_SAMPLE")
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 {
		t.Fatalf("LOR2C_TEST_SAMPLE is %q; want a positive number", value)
	}
	return n
}

// TestConformance runs the suite that every device passes.
func TestConformance(t *testing.T) {
	for _, p := range precisions {
		t.Run("dtype="+p.name, func(t *testing.T) {
			open := func(t *testing.T) compute.Device { return openCard(t, Options{Narrow: p.narrow}) }
			computetest.Run(t, open, computetest.Config{
				Eps: 0x1p-24, Bits: p.bits, Functions: functions(), Sample: sampled(t),
			})
		})
	}
}
