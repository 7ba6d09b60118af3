//go:build linux

package hostlib

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// selftest builds the self-test of kernels/host/selftest.
func selftest(t *testing.T, k kind) (program string, env []string) {
	t.Helper()
	c, err := newCompiler(k)
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir, err := kernelDir()
	if err != nil {
		t.Fatal(err)
	}
	var units []unit
	for _, pattern := range []string{"host/*.cpp", "host/selftest/*.cpp"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || paths == nil {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, p := range paths {
			units = append(units, unit{p, c.flags(p)})
		}
	}
	if program, err = c.link(dir, units, "selftest"); err != nil {
		t.Fatal(err)
	}
	return program, c.env()
}

// TestSelf runs correct kernels, which must print nothing, and kernels with one fault each, which must end with a
// message about it.
func TestSelf(t *testing.T) {
	program, env := selftest(t, sanitized)
	for _, c := range []struct {
		name, want string
		says       bool // the case prints a message and passes
		env        []string
	}{
		{name: "shuffles"}, {name: "wide_shuffles"}, {name: "votes"}, {name: "sum_blocks"}, {name: "leave_early"},
		{name: "indices"},
		{name: "orders"}, {name: "tiles"}, {name: "product"}, {name: "arithmetic"},
		// These cases compare a kernel with its faulty twin themselves.
		{name: "no_barrier"}, {name: "no_second_barrier"}, {name: "no_syncwarp"}, {name: "sum_in_any_order"},
		{name: "uninitialized_shared"}, {name: "copy_without_wait"},
		{name: "copy_with_short_wait"}, {name: "copy_without_barrier"},
		{name: "copy_left_behind",
			want: `kernel copies, block \(0,0,0\), thread \(\d+,0,0\): ends with 1 copies of cp_async_16 that it has not waited for`},
		{name: "shared_overrun", want: `heap-buffer-overflow(?s:.*)faulty\.cpp:\d+`},
		{name: "dynamic_shared_overrun", want: `heap-buffer-overflow(?s:.*)faulty\.cpp:\d+`},
		{name: "global_overrun", want: `heap-buffer-overflow(?s:.*)faulty\.cpp:\d+`},
		{name: "misaligned", want: `common\.cuh:\d+:\d+: runtime error: .*misaligned address`},
		{name: "divergent_barrier",
			want: `kernel divergent_barrier, .*faulty\.cpp:\d+: __syncthreads in a branch that some threads do not take: \d+ wait at .*faulty\.cpp`},
		{name: "absent_lane",
			want: `kernel absent_lane, .*no thread can go on; \d+ of 64 have ended\n.*waits in __shfl_xor_sync at .*faulty\.cpp:\d+ for lanes 0xffffffff, of which 0x00000020 are missing`},
		{name: "barrier_in_warp", want: `no thread can go on; 0 of 32 have ended(?s:.*)waits in __syncthreads`},
		{name: "mask_without_caller", want: `__syncwarp: the mask 0xfffffff0 does not include the calling lane [0-3]`},
		{name: "source_outside_mask", want: `__shfl_sync: lane 0 reads lane 20, which is not in the mask 0x0000ffff`},
		{name: "collectives_meet",
			want: `(__ballot_sync|__shfl_sync) of lanes 0xffffffff meets lane \d+ in (__ballot_sync|__shfl_sync)`},
		{name: "ldmatrix_misaligned", want: `ldmatrix at 0x[0-9a-f]+, which is not aligned`},
		{name: "ldmatrix_of_global", want: `ldmatrix at 0x[0-9a-f]+, which is not in the shared memory`},
		{name: "copy_to_misaligned", want: `cp_async_16 to shared memory at 0x[0-9a-f]+, which is not aligned`},
		{name: "copy_from_misaligned", want: `cp_async_16 from 0x[0-9a-f]+, which is not aligned`},
		{name: "copy_to_global", want: `cp_async_16 to shared memory at 0x[0-9a-f]+, which is not in the shared memory`},
		{name: "too_much_shared",
			want: `kernel too_much_shared uses 102400 bytes of shared memory; a block has at most 101376`},
		{name: "wrong_block", want: `kernel misaligned: launch with 64 threads per block; it is declared with 32`},
		{name: "driver_start"}, {name: "driver_memory"}, {name: "driver_copy_2d"}, {name: "driver_functions"},
		{name: "driver_launch",
			want: `launch of add with 8 bytes of arguments; it takes 16\n.*launch of add with 64x1x1 threads per block; it is declared with 32`, says: true},
		{name: "driver_late"}, {name: "driver_events"}, {name: "driver_graphs"}, {name: "driver_faults"},
		{
			name: "driver_visible",
			env:  []string{"LOR2C_HOST_DEVICES=3", "CUDA_VISIBLE_DEVICES=2,GPU-5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a01,7,0"},
		},
		{name: "driver_no_device", env: []string{"LOR2C_HOST_DEVICES=0"}},
		{name: "driver_fault_by_environment", env: []string{"LOR2C_HOST_FAIL=cuInit 1 100,cuDeviceGetCount 2 999"}},
	} {
		t.Run("case="+c.name, func(t *testing.T) {
			cmd := exec.Command(program, c.name)
			cmd.Env = slices.Concat(os.Environ(), env, c.env)
			said, err := cmd.CombinedOutput()
			switch {
			case c.want == "" && (err != nil || len(said) > 0):
				t.Errorf("%v\n%s", err, said)
			case c.want != "" && (err == nil) != c.says:
				t.Errorf("%v; want %s\n%s", err, c.want, said)
			case c.want != "" && !regexp.MustCompile(c.want).Match(said):
				t.Errorf("want %s; got\n%s", c.want, said)
			}
		})
	}
}
