//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// ptxas is what bench/results/ptxas.csv says about a kernel on a target.
type ptxas struct{ registers, shared int }

func readPtxas(t *testing.T) map[[2]string]ptxas {
	t.Helper()
	all := map[[2]string]ptxas{}
	for _, row := range readTable(t, "../../bench/results/ptxas.csv") {
		registers, err1 := strconv.Atoi(row[2])
		shared, err2 := strconv.Atoi(row[6])
		if err1 != nil || err2 != nil {
			t.Fatalf("bench/results/ptxas.csv: %v", row)
		}
		all[[2]string{row[0], row[1]}] = ptxas{registers, shared}
	}
	return all
}

// blocks returns how many blocks of a number of threads a multiprocessor holds, by registers and static shared memory.
// It has 65,536 registers, which a warp takes in units of 256, and gives each block 1 KiB of shared memory besides its
// own (CUDA C++ Programming Guide, "Compute Capabilities").
func (p ptxas) blocks(threads, sharedPerMultiprocessor int) int {
	perWarp := (p.registers*32 + 255) / 256 * 256
	return min(65536/perWarp/(threads/32), sharedPerMultiprocessor/(p.shared+1024), 2048/threads)
}

// TestResident: a multiprocessor of an H200, of which the models speak, holds as many blocks of a kernel as the kernel
// declares and as the model of products assumes.
func TestResident(t *testing.T) {
	const h200 = 228 << 10
	compiled := readPtxas(t)
	declared := regexp.MustCompile(`(?m)^KERNEL(?:_RESIDENT)?\((\w+), \w+, (\d+)(?:, (\d+))?\)`)
	threads := map[string]int{}
	paths, err := filepath.Glob("../../kernels/*.cu")
	if err != nil || paths == nil {
		t.Fatalf("no kernels: %v", err)
	}
	check := func(t *testing.T, kernel string, blocks int) {
		t.Helper()
		p, ok := compiled[[2]string{kernel, "sm_90a"}]
		if !ok {
			t.Logf("%s is not in bench/results/ptxas.csv, which make ptxas-report writes", kernel)
			return
		}
		if got := p.blocks(threads[kernel], h200); got < blocks {
			t.Errorf("%s: %d registers and %d bytes of shared memory allow %d blocks; want %d", kernel, p.registers, p.shared,
				got, blocks)
		}
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range declared.FindAllStringSubmatch(string(raw), -1) {
			threads[found[1]], _ = strconv.Atoi(found[2])
			if blocks, err := strconv.Atoi(found[3]); err == nil {
				check(t, found[1], blocks)
			}
		}
	}
	for _, c := range []struct {
		kernel string
		tile   int
		narrow bool
	}{
		{"matmul_nn_bf16", largeTile, true}, {"matmul_nt_bf16", largeTile, true}, {"matmul_tn_bf16", largeTile, true},
		{"matmul_small_nn_bf16", smallTile, true}, {"matmul_small_tt_bf16", smallTile, true},
		{"matmul_f32", largeTile, false}, {"matmul_small_f32", smallTile, false},
	} {
		t.Run(fmt.Sprintf("kernel=%s", c.kernel), func(t *testing.T) {
			check(t, c.kernel, matmulModelOf(c.tile, c.narrow).resident)
		})
	}
	if got := (ptxas{registers: 255, shared: 49152}).blocks(128, h200); got != 2 {
		t.Errorf("255 registers and 48 KiB allow %d blocks of 128 threads; want 2", got)
	}
}
