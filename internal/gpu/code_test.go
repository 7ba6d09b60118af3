//go:build cuda && cgo && linux && amd64

package gpu

import "testing"

// TestLoad checks that older code is loaded if code is too new for the driver, and that all other failures are
// errors.
func TestLoad(t *testing.T) {
	images := func(n int) func(string) ([][]byte, error) {
		return func(string) ([][]byte, error) { return make([][]byte, n), nil }
	}
	codes := []code{{"sm_80", images(3)}, {"compute_80", images(2)}}
	for name, c := range map[string]struct {
		nth        uint64 // which load fails
		code       int
		loaded     int
		loads      uint64
		unloads    uint64
		words      []string
		codeImages []code
	}{
		"none":          {nth: 9, code: 200, loaded: 3, loads: 3, codeImages: codes},
		"invalid image": {nth: 3, code: 200, loaded: 2, loads: 5, unloads: 2, codeImages: codes},
		"no binary":     {nth: 1, code: 209, loaded: 2, loads: 3, codeImages: codes},
		"out of memory": {nth: 2, code: 2, loads: 2, unloads: 1, codeImages: codes, words: []string{
			"code object sm_80: ", "OUT_OF_MEMORY",
		}},
		"no compiler": {nth: 1, code: 221, loads: 1, codeImages: codes[1:], words: []string{
			"code object compute_80: ", "(221); ", "libnvidia-ptxjitcompiler.so.1",
		}},
		"compiler disabled": {nth: 1, code: 223, loads: 1, codeImages: codes[1:], words: []string{
			"(223); ", "CUDA_DISABLE_PTX_JIT",
		}},
		"invalid source": {nth: 1, code: 300, loads: 1, codeImages: codes[1:], words: []string{"(300); a newer driver"}},
		"nothing is old": {nth: 2, code: 222, loads: 2, unloads: 1, codeImages: codes[:1], words: []string{
			"code object sm_80: ", "(222)",
		}},
	} {
		t.Run("fault="+name, func(t *testing.T) {
			host := fake(t)
			card := openCard(t, Options{})
			defer card.Close()
			loads, unloads := host.Calls("cuModuleLoadData"), host.Calls("cuModuleUnload")
			host.Fail(t, "cuModuleLoadData", c.nth, c.code)
			var d Device
			err := card.run(func() error { return d.load(c.codeImages) })
			if len(d.modules) != c.loaded || (err == nil) != (c.loaded > 0) {
				t.Errorf("%d modules, %v; want %d", len(d.modules), err, c.loaded)
			}
			if len(c.words) > 0 {
				wants(t, err, c.words...)
			}
			if loads, unloads = host.Calls("cuModuleLoadData")-loads, host.Calls("cuModuleUnload")-unloads; loads != c.loads ||
				unloads != c.unloads {
				t.Errorf("%d loads, %d unloads; want %d and %d", loads, unloads, c.loads, c.unloads)
			}
		})
	}
}
