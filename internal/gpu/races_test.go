//go:build cuda && cgo && linux && amd64

package gpu

import (
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

// watch builds the library for a mode of kernels/host/watch.h.
func watch(t *testing.T, mode string) hostlib.Library {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles the kernels once more")
	}
	fake(t)
	lib, err := hostlib.BuildMode(mode)
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// launching runs tests that together run every kernel and reach every barrier, and returns what they print and what
// LOR2C_HOST_COVERAGE records in between.
func launching(t *testing.T, lib hostlib.Library) string {
	t.Helper()
	all := ""
	for _, c := range []struct {
		sample string
		tests  []string
	}{
		{"3", []string{ // three sizes of each op
			"^(TestConformance|TestSkinnyRows|TestRefusedKernels|TestRowFusion|TestAttentionUnaligned|TestGradientOfLongParts)$",
		}},
		{"", []string{ // sizes of other kernels
			"TestConformance/dtype=/op=(LayerNorm|RMSNorm)/n=(9|3)/c=(64|2056)",
			"TestConformance/dtype=/op=LowRankUp/n=17/c=264",
			"TestConformance/dtype=f32/op=LowRankUp/n=65/k=33/r=33",
			"TestConformance/dtype=bf16/op=Attention/case=(empty|size_32|size_64_no_queries|size_128)/causal=false/drop=0$",
			"TestConformance/dtype=/op=Attention/case=(more_keys|size_64)/bias=true",
			"TestProducts/dtype=bf16/m=136/n=136/k=72/tile=128/parts=3/ta=/tb=/accumulate=true/full=false/offset=0",
			"TestProducts/dtype=f32/m=136/n=136/k=72/tile=128/parts=3/ta=false/tb=true/accumulate=true/full=false/offset=0",
		}},
	} {
		lib := lib.With("LOR2C_HOST_COVERAGE=/dev/stdout", "LOR2C_TEST_SAMPLE="+c.sample)
		out, err := lib.Test("-test.failfast", "-test.run="+strings.Join(c.tests, "|"))
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		all += string(out)
	}
	return all
}

// TestRaces runs every kernel in mode races, which ends the process at two accesses that nothing orders.
func TestRaces(t *testing.T) {
	ran := map[string]bool{}
	for line := range strings.Lines(launching(t, watch(t, "races"))) {
		ran[strings.TrimSpace(line)] = true
	}
	for line := range ran {
		if kernel, ok := strings.CutPrefix(line, "library "); ok && !ran["kernel "+kernel] {
			t.Errorf("kernel %s did not run", kernel)
		}
	}
	for _, b := range barriers(t) {
		if !ran["reached "+b.place()] {
			t.Errorf("no test reaches %s at %s", b.call, b.place())
		}
	}
}
