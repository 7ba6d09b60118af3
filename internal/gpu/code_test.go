//go:build cuda && cgo && linux && amd64

package gpu

import (
	"testing"

	"github.com/lor2c/lor2c/kernels"
)

// TestLoad checks that older code is loaded if code is too new for the driver, and that all other failures are
// errors.
func TestLoad(t *testing.T) {
	codes := []kernels.Code{
		{Target: "sm_80", Images: [][]byte{{1}, {2}, {3}}}, {Target: "compute_80", Images: [][]byte{{4}, {5}}},
	}
	for name, c := range map[string]struct {
		nth        uint64 // which load fails
		code       int
		loaded     int
		loads      uint64
		unloads    uint64
		words      []string
		codeImages []kernels.Code
	}{
		"none":          {nth: 9, code: 200, loaded: 3, loads: 3, codeImages: codes},
		"invalid image": {nth: 3, code: 200, loaded: 2, loads: 5, unloads: 2, codeImages: codes},
		"no binary":     {nth: 1, code: 209, loaded: 2, loads: 3, codeImages: codes},
		"out of memory": {nth: 2, code: 2, loads: 2, unloads: 1, codeImages: codes, words: []string{
			"code object sm_80: ", "OUT_OF_MEMORY",
		}},
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
