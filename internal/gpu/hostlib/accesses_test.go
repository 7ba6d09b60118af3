//go:build linux

package hostlib

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAccesses runs kernels with one access each, in two blocks, and compares the instructions, sectors or wavefronts
// and the least number of them with those computed by hand. The order of the threads must not matter.
func TestAccesses(t *testing.T) {
	program, env := selftest(t, watched)
	want := map[string]string{
		"count_row":            "global write 2 8 8",
		"count_column":         "global write 2 64 8", // uncoalesced
		"count_one":            "global read 2 2 2",
		"count_vectors":        "global write 2 32 32",
		"count_halves":         "global write 2 64 32",
		"count_shifted":        "global write 2 10 8", // begins in the middle of a sector
		"count_some":           "global write 2 4 4",
		"count_loop":           "global write 124 304 304",
		"count_shared_row":     "shared write 2 2 2",
		"count_shared_column":  "shared write 2 64 2", // all lanes in one bank
		"count_shared_one":     "shared read 2 2 2",
		"count_shared_vectors": "shared write 2 8 8",
		"count_shared_halves":  "shared write 2 16 8", // half of the banks
		"count_shared_lanes":   "shared write 2 8 8",
		"count_shared_padded":  "shared write 2 2 2",
		"count_copy":           "shared write 2 8 8; global read 2 32 32",
		"count_tiles":          "shared read 2 64 8; ldmatrix_x4 2 0 0", // rows of 128 bytes without a swizzle
		"count_barriers":       "__syncthreads 8 0 0; __syncwarp 4 0 0",
	}
	for _, seed := range []string{"1", "2"} {
		cmd := exec.Command(program, "accesses")
		cmd.Env = slices.Concat(os.Environ(), env, []string{"LOR2C_HOST_MODE=accesses", "LOR2C_HOST_SEED=" + seed})
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		got := map[string]map[string]bool{}
		row := regexp.MustCompile(`(?m)^(count_\w+)\t([^\t]+)\t(\d+)\t(\d+)\t(\d+)\t`)
		for _, m := range row.FindAllStringSubmatch(string(said), -1) {
			if got[m[1]] == nil {
				got[m[1]] = map[string]bool{}
			}
			got[m[1]][strings.Join(m[2:], " ")] = true
		}
		for kernel, counts := range want {
			for _, count := range strings.Split(counts, "; ") {
				if !got[kernel][count] {
					t.Errorf("seed %s: %s: %v; want %s", seed, kernel, got[kernel], count)
				}
			}
		}
	}
}

// TestNumerics compares the arithmetic of a card with its description in numerics.h, and the seeds with each other.
// Without that mode the functions err by what the C library does and the sum of a product is rounded to nearest.
func TestNumerics(t *testing.T) {
	for _, c := range []struct {
		kind kind
		seed string
		want string
	}{
		{card, "1", "exp 2 exp2 2 log 1 erf 2 tanh 2 divide 2 contracted 1 mma 0 1 0"}, // an A100 loses 2^-25
		{card, "2", "exp 2 exp2 2 log 1 erf 2 tanh 2 divide 2 contracted 1 mma 4 3 1"}, // an H100 keeps it
		{fast, "1", "exp [01] exp2 [01] log [01] erf [01] tanh [0-9]+ divide 0 contracted 0 mma 0 0 0"},
	} {
		program, env := selftest(t, c.kind)
		cmd := exec.Command(program, "numerics")
		cmd.Env = slices.Concat(os.Environ(), env, []string{"LOR2C_HOST_SEED=" + c.seed})
		said, err := cmd.CombinedOutput()
		if err != nil || !regexp.MustCompile("^"+c.want+"\n$").Match(said) {
			t.Errorf("seed %s: %v: %q; want %q", c.seed, err, said, c.want)
		}
	}
}
