package sweep

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/config"
)

// FuzzRead looks for a sweep file that panics, that is refused without its name, or whose cells have no name for a
// directory of their own.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"{base: c/demo.yaml, out: o}",
		"base: c/lor2c.yaml\nout: o\nset: {train.epochs: 4, method.target_modules: [query, value]}\ngrid:\n  seed: [1, 3]\n",
		"base: &b x.yaml\nout: *b\nparallel: 2\nruns:\n  - {name: a, set: {method.name: lora, seed: null}}\n",
		"grid: [1]\nruns: 1\nset: {out: x}\n", "", "a: [", "? {a: b}\n: c\n", "- 1\n", "base: *b\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "s.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Read(path)
		if err != nil {
			var all *config.Error
			if !errors.As(err, &all) || len(all.Faults) == 0 {
				t.Fatalf("error %v; want a list of faults", err)
			}
			for _, fault := range all.Faults {
				if text := fault.Error(); !strings.Contains(text, path) || strings.ContainsAny(text, "\n\x1b") {
					t.Errorf("fault %q; want one line with the path", text)
				}
			}
			return
		}
		names := map[string]bool{}
		for _, c := range s.Cells {
			if c.Name == "" || c.Name != filepath.Base(c.Name) || names[c.Name] {
				t.Errorf("a cell is called %q", c.Name)
			}
			names[c.Name] = true
		}
		if len(s.Cells) == 0 || s.Parallel < 1 || s.Out == "" {
			t.Errorf("%d cells, %d at a time, in %q", len(s.Cells), s.Parallel, s.Out)
		}
	})
}
