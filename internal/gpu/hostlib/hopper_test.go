//go:build linux

package hostlib

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
)

// TestHopper runs kernels with mbarriers, bulk copies and wgmma: right ones, which must print nothing, and those with
// one fault each, which must end with a message that names it, whatever the order of threads and copies. Faults of
// ordinary loads and stores are found in mode races alone.
func TestHopper(t *testing.T) {
	const (
		here  = `hopper\.cpp:\d+`
		tiles = `dynamic shared memory \+ \d+`
		ring  = `mbarrier ring \+ \d+ of ` + here
		reads = here + `: wgmma reads ` + tiles + `, `
		fence = ` has written, without a fence\.proxy\.async`
		order = ` has written, and nothing orders`
		early = `(which the block has not written|into which the bulk copy of ` + here + ` is in flight|` +
			`which the bulk copy of ` + here + order + `)`
	)
	for _, c := range []struct {
		name, want string
		modes      string // s sanitized, r races
	}{
		{"hopper_layouts", "", "s"},
		{"hopper_pipeline", "", "sr"},
		{"hopper_wrong_swizzle", "", "s"}, // the case compares the products
		{"hopper_copy_without_fence",
			reads + `which cp_async_16 of ` + here + fence, "sr"},
		{"hopper_copy_with_early_fence",
			reads + `which cp_async_16 of ` + here + fence, "sr"},
		{"hopper_copy_without_barrier",
			reads + `which cp_async_16 of ` + here + order, "sr"},
		{"hopper_store_without_fence",
			reads + `which a store of .*` + here + fence, "r"},
		{"hopper_store_with_early_fence",
			reads + `which a store of .*` + here + fence, "r"},
		{"hopper_store_without_barrier",
			reads + `which a store of .*` + here + order, "r"},
		{"hopper_store_while_read",
			`a store at .*` + here + ` refills ` + tiles + ` too early: the wgmma at ` + here + ` reads it`, "r"},
		{"hopper_early_accumulator", `use-after-poison(?s:.*)` + here, "s"},
		{"hopper_early_accumulator", here + `: the accumulators of this wgmma are used at ` + here + ` before`, "r"},
		{"hopper_constant_parity",
			here + `: mbarrier_wait of ` + ring + ` with parity 0, a wrong one: the thread has waited for ` +
				`1 phases of it before`, "sr"},
		{"hopper_shifted_parity",
			`no thread can go on(?s:.*)waits in mbarrier_wait at .*` + here + `|` + reads + early, "sr"},
		{"hopper_no_empty_wait", here + `: the bulk copy (refills ` + tiles + ` too early: (the wgmma|warp 4)|overwrites ` +
			tiles + `, into which the bulk copy of ` + here + ` is in flight)|` + here +
			`: mbarrier_arrive of ` + ring + `: all of its arrivals have come`, "sr"},
		{"hopper_early_release", here + `: the bulk copy refills ` + tiles + ` too early: the wgmma at ` + here +
			` reads it and has not been waited for`, "sr"},
		{"hopper_too_few_bytes", here + `: bulk_copy: phase 0 of ` + ring +
			` has ended before the copy of 8192 bytes|` + reads + early, "s"},
		{"hopper_too_many_bytes", `no thread can go on(?s:.*)waits in mbarrier_wait at .*` + here +
			` for ` + ring + `: 0 phases are complete, and the next one needs 0 of 1 arrivals ` +
			`and 16384 bytes; no copy is in flight`, "sr"},
		{"hopper_never_complete", `no thread can go on(?s:.*)waits in mbarrier_wait at .*` + here +
			` for ` + ring + `: 0 phases are complete, and the next one needs 1 of 2 arrivals`, "sr"},
		{"hopper_no_init_fence", here + `: bulk_copy with ` + ring +
			`, which the async proxy does not see without fence_mbarrier_init`, "sr"},
		{"hopper_no_init_barrier", here + `: mbarrier_\w+ of (` + ring +
			`, which thread \d+ has initialised, and nothing orders|ring \+ \d+, which is no mbarrier)`, "sr"},
		{"hopper_no_full_wait", reads + early, "sr"},
		{"hopper_not_aligned",
			here + `: wgmma: a begins at ` + tiles + `, which is not in the first row of a 128-byte swizzle`, "s"},
		{"hopper_writes_early", `use-after-poison(?s:.*)` + here, "s"},
		{"hopper_writes_early", here + `: the accumulators of this wgmma are used at ` + here + ` before`, "r"},
		{"hopper_no_wgmma_fence", here + `: wgmma without a wgmma_fence since the accumulators of thread 128 were its own`, "s"},
		{"hopper_no_commit", here + `: the thread ends without having waited for this wgmma`, "s"},
		{"hopper_registers_kept", `no thread can go on(?s:.*)waits in registers_take at .*` + here +
			` for 240 registers a thread instead of 168; the block has 0 free`, "s"},
		{"hopper_other_count", `no thread can go on(?s:.*)waits in named_barrier_sync at .*` + here +
			`, barrier 1, for 256 threads, of which 128 have come`, "s"},
		{"hopper_too_many_arrivals", here + `: mbarrier_arrive of ` + ring +
			`: all of its arrivals have come|refills ` + tiles + ` too early`, "s"},
		{"hopper_warp_missing", `no thread can go on(?s:.*)waits in wgmma at .*` + here +
			` for all 128 threads of its warpgroup, of which 96 have come`, "s"},
		{"hopper_copy_beyond",
			here + `: bulk_copy reads 8192 bytes from 0x[0-9a-f]+, but 0x[0-9a-f]+ is not in an allocation`, "s"},
		{"hopper_init_twice",
			here + `: mbarrier_init of mbarrier ring \+ 0 of ` + here + `, which is initialised already`, "s"},
		{"hopper_odd_bytes", here + `: bulk_copy of 8200 bytes; want a multiple of 16`, "s"},
		{"hopper_other_descriptor",
			here + `: wgmma meets wgmma at .*` + here + ` in a thread of the same warpgroup, with another descriptor`, "s"},
	} {
		for _, mode := range c.modes {
			t.Run("case="+c.name+"/mode="+string(mode), func(t *testing.T) {
				k, set := sanitized, ""
				if mode == 'r' {
					k, set = watched, "races"
				}
				program, env := selftest(t, k)
				for _, seed := range []string{"1", "2", "3"} {
					cmd := exec.Command(program, c.name)
					cmd.Env = slices.Concat(os.Environ(), env, []string{"LOR2C_HOST_MODE=" + set, "LOR2C_HOST_SEED=" + seed})
					said, err := cmd.CombinedOutput()
					if c.want == "" && (err != nil || len(said) > 0) {
						t.Errorf("seed %s: %v\n%s", seed, err, said)
					}
					if c.want != "" && (err == nil || !regexp.MustCompile(c.want).Match(said)) {
						t.Errorf("seed %s: %v; want %s\n%s", seed, err, c.want, said)
					}
				}
			})
		}
	}
}
