//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

// checking turns the self-check on, with an empty cache directory, which it returns.
func checking(t *testing.T) (cache string) {
	t.Helper()
	cache = t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("LOR2C_SELF_CHECK", "")
	return cache
}

// TestSelfCheck: every kernel passes, and a second start reads the result and runs no kernel.
func TestSelfCheck(t *testing.T) {
	driver := fake(t)
	for _, p := range precisions {
		t.Run("dtype="+p.name, func(t *testing.T) {
			cache := checking(t)
			before := driver.Calls("cuLaunchKernel")
			d := openCard(t, Options{Narrow: p.narrow})
			launches := driver.Calls("cuLaunchKernel") - before
			if got := d.Refused(); got != nil {
				t.Errorf("%v failed; want none", got)
			}
			if s := d.Stats(); s.PersistentBytes != 0 {
				t.Errorf("%d bytes are still allocated after the check", s.PersistentBytes)
			}
			d.Close()
			if launches == 0 {
				t.Fatal("no kernel was checked")
			}
			if files, _ := filepath.Glob(filepath.Join(cache, "lor2c", "self-check", "*.json")); len(files) != 1 {
				t.Errorf("files %v in the cache; want one", files)
			}
			before = driver.Calls("cuLaunchKernel")
			openCard(t, Options{Narrow: p.narrow}).Close()
			if again := driver.Calls("cuLaunchKernel") - before; again != 0 {
				t.Errorf("the second start launched %d kernels; want none", again)
			}
		})
	}
}

// TestSelfCheckedKernels: the check runs every kernel that a product or attention can use instead of the plain ones.
func TestSelfCheckedKernels(t *testing.T) {
	driver := fake(t)
	checking(t)
	var names []string
	for _, p := range []string{
		"nn", "nt", "tn", "small_nn", "small_nt", "small_tn", "small_tt", "skinny", "skinny1", "skinny2", "skinny4", "reduce",
	} {
		names = append(names, "matmul_"+p+"_bf16")
	}
	names = append(names, "matmul_f32", "matmul_small_f32", "matmul_skinny_f32", "matmul_reduce_f32")
	for _, size := range []string{"32", "64", "128"} {
		for _, op := range []string{"forward", "backward_kv", "backward_q"} {
			names = append(names, "attention_"+op+"_d"+size+"_bf16")
		}
	}
	before := map[string]uint64{}
	for _, name := range names {
		before[name] = driver.Calls("kernel:" + name)
	}
	openCard(t, Options{Narrow: true}).Close()
	for _, name := range names {
		if driver.Calls("kernel:"+name) == before[name] {
			t.Errorf("%s was not run", name)
		}
	}
}

// TestRefusedKernels: with every product and attention kernel refused, results are those of the plain kernels, and none
// of the refused ones runs.
func TestRefusedKernels(t *testing.T) {
	driver := fake(t)
	d := openCard(t, Options{Narrow: true})
	defer d.Close()
	var refused []string
	for _, c := range append(d.productChecks(nil), d.attentionChecks(nil)...) {
		refused = append(refused, c.kernel)
		d.refused[c.kernel] = true
	}
	before := map[string]uint64{}
	for _, name := range refused {
		before[name] = driver.Calls("kernel:" + name)
	}
	const m, n, k = 9, 40, 3
	x, w := make([]float32, m*k), make([]float32, n*k)
	for i := range x {
		x[i] = float32(i % 5)
	}
	for i := range w {
		w[i] = float32(i%7 - 3)
	}
	for _, dtype := range []compute.DType{compute.Working, compute.Exact} {
		a, b := d.Alloc(compute.Shape{m, k}, dtype), d.Alloc(compute.Shape{n, k}, dtype)
		dst := d.Alloc(compute.Shape{m, n}, compute.Exact)
		d.Upload(a, x)
		d.Upload(b, w)
		d.Gemm(dst, 2, a, false, b, true, false)
		for i, v := range d.values(dst) {
			want := float32(0)
			for j := range k {
				want += 2 * x[i/n*k+j] * w[i%n*k+j]
			}
			if v != want {
				t.Fatalf("%v: element %d is %v; want %v", dtype, i, v, want)
			}
		}
	}
	if size := d.attentionFor("attention_forward", compute.AttnOpts{HeadDim: 64}).size; size != "" {
		t.Errorf("attention uses kernels of size %q; want the general ones", size)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	for _, name := range refused {
		if driver.Calls("kernel:"+name) != before[name] {
			t.Errorf("%s ran although it is refused", name)
		}
	}
}

// TestWrongKernel plants a wrong kernel. The self-check must refuse exactly this one, and the binary must say so at
// every start.
func TestWrongKernel(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles kernels")
	}
	fake(t)
	for _, c := range []struct{ file, from, to, refused string }{
		{"matmul_skinny.cu", "sum[i * kMany + j] = fmaf(x[j][l], y[l], sum[i * kMany + j])",
			"sum[i * kMany + j] = fmaf(x[j][l], y[7 - l], sum[i * kMany + j])",
			"matmul_skinny1_bf16 matmul_skinny1_f32 matmul_skinny2_bf16 matmul_skinny2_f32 matmul_skinny4_bf16 " +
				"matmul_skinny4_f32 matmul_skinny_bf16 matmul_skinny_f32"},
		{"attention_forward.cu", "multiply_add<D>(o, p, keys.ring.second(step));",
			"multiply_add<D>(o, p, keys.ring.first(step));",
			"attention_forward_bias_d64_bf16 attention_forward_d128_bf16 attention_forward_d32_bf16 attention_forward_d64_bf16"},
	} {
		t.Run("file="+c.file, func(t *testing.T) {
			lib, err := hostlib.BuildChanged(t.TempDir(), "", c.file, func(source string) (string, error) {
				if strings.Count(source, c.from) != 1 {
					return "", fmt.Errorf("%q does not occur once", c.from)
				}
				return strings.Replace(source, c.from, c.to, 1), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			lib.Env = append(lib.Env, "LOR2C_SELF_CHECK=", "XDG_CACHE_HOME="+t.TempDir(), wrongKernel+"="+c.refused)
			for range 2 {
				if out, err := lib.Test("-test.run=^TestPlantedWrongKernel$", "-test.v"); err != nil {
					t.Errorf("%v\n%s", err, out)
				} else if !strings.Contains(string(out), "--- PASS") {
					t.Errorf("the device was not opened:\n%s", out)
				}
			}
		})
	}
}

// wrongKernel is the environment variable with the kernels that a planted fault must make the self-check refuse.
const wrongKernel = "LOR2C_TEST_WRONG_KERNEL"

// TestPlantedWrongKernel runs under the driver of TestWrongKernel.
func TestPlantedWrongKernel(t *testing.T) {
	want := strings.Fields(os.Getenv(wrongKernel))
	if want == nil {
		t.Skip("has a driver with a planted fault only as part of TestWrongKernel")
	}
	d := openCard(t, Options{Narrow: true})
	defer d.Close()
	if got := d.Refused(); !slices.Equal(got, want) {
		t.Errorf("refused %v; want %v", got, want)
	}
}

// TestLostInSelfCheck: if a kernel makes the card fail in the self-check, the error names it, and the next start does
// not run it.
func TestLostInSelfCheck(t *testing.T) {
	driver := fake(t)
	checking(t)
	driver.Fail(t, "kernel:matmul_small_f32", 1, 719)
	_, err := Open(Options{})
	wants(t, err, "gpu: self-check of kernel matmul_small_f32: ", "LAUNCH_FAILED", "; the next start does not use it")
	driver.Repair()
	before := driver.Calls("kernel:matmul_small_f32")
	d := openCard(t, Options{})
	defer d.Close()
	if got := d.Refused(); !slices.Equal(got, []string{"matmul_small_f32"}) {
		t.Errorf("refused %v; want the kernel that lost the card", got)
	}
	if driver.Calls("kernel:matmul_small_f32") != before {
		t.Error("the kernel that lost the card ran again")
	}
}
