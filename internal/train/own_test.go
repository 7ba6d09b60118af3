package train

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestOwnFile: every file that a run leaves is recognised as its own, and no
// other.
func TestOwnFile(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 16)
	if _, err := Run(t.Context(), c, quiet(2)); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(c.Out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		files++
		if !OwnFile(path) {
			t.Errorf("%s is not known as a file of the run", path)
		}
		return nil
	})
	if err != nil || files < 10 {
		t.Errorf("%d files, %v", files, err)
	}
	for _, name := range []string{"report.html", "predictions.tsv"} {
		path := filepath.Join(c.Out, name)
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if OwnFile(path) {
			t.Errorf("%s is wrongly recognised as a file of the run", path)
		}
	}
	if OwnFile(filepath.Join(c.Out, "none")) || OwnFile(c.Out) {
		t.Error("a path that does not exist is recognised as a file of the run")
	}
}
