//go:build linux

package hostlib

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
)

// TestRaces runs kernels with one race each, which must end with a message that names both accesses, and their correct
// twins, which must print nothing. One seed is enough, because the order of the threads does not matter.
func TestRaces(t *testing.T) {
	program, env := selftest(t, watched)
	const copies = "copies with cp.async, without a wait,"
	for _, c := range []struct{ name, kernel, memory, first, second string }{
		{"race_free", "", "", "", ""},
		{"race_after_write", "race_barrier", "shared", "(writes|reads)", "(writes|reads)"},
		{"race_after_read", "race_barrier", "shared", "(writes|reads)", "(writes|reads)"},
		{"race_of_writes", "race_everyone", "shared", "writes", "writes"},
		{"race_of_a_far_reader", "race_readers", "shared", "(writes|reads)", "(writes|reads)"},
		{"race_without_syncwarp", "race_warp", "shared", "(writes|reads)", "(writes|reads)"},
		{"race_shuffle_as_fence", "race_warp", "shared", "writes", "reads"},
		{"race_of_halves", "race_warp", "shared", "(writes|reads)", "(writes|reads)"},
		{"race_of_a_broken_chain", "race_chain", "shared", "(writes|reads)", "(writes|reads)"},
		{"race_of_two_blocks", "race_blocks", "global", "writes", "reads"},
		{"race_of_a_neighbour", "race_blocks", "global", "(writes|reads)", "(writes|reads)"},
		{"race_copy_before_wait", "race_copy", "shared", copies, "reads"},
		{"race_copy_with_short_wait", "race_copy", "shared", copies, "reads"},
		{"race_copy_without_barrier", "race_copy", "shared", "(" + copies + "|writes|reads)", "(reads|writes)"},
		{"race_refill", "race_copy", "shared", "(" + copies + "|writes|reads)", "(reads|writes)"},
		{"race_ldmatrix", "race_tiles", "shared", "(writes|reads)", "(writes|reads)"},
	} {
		t.Run("case="+c.name, func(t *testing.T) {
			for _, seed := range []string{"1", "2", "3"} {
				cmd := exec.Command(program, c.name)
				cmd.Env = slices.Concat(os.Environ(), env, []string{"LOR2C_HOST_MODE=races", "LOR2C_HOST_SEED=" + seed})
				said, err := cmd.CombinedOutput()
				if c.kernel == "" {
					if err != nil || len(said) > 0 {
						t.Errorf("seed %s: %v\n%s", seed, err, said)
					}
					continue
				}
				want := "kernel " + c.kernel + ": a race on " + c.memory + " memory: block \\d+, thread \\d+ " + c.first +
					` at [^;]*races\.cpp:\d+; block \d+, thread \d+ ` + c.second + ` at [^;]*races\.cpp:\d+; nothing orders`
				if err == nil || !regexp.MustCompile(want).Match(said) {
					t.Errorf("seed %s: %v; want %s\n%s", seed, err, want, said)
				}
			}
		})
	}
}
