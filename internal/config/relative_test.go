package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRunFile writes the run file of a run directory, moves the run with its
// data, and reads the file from another directory.
func TestRunFile(t *testing.T) {
	home := t.TempDir()
	for _, dir := range []string{"work/data", "work/runs/one", "elsewhere"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Join(home, "work"))
	c := Default()
	c.Model, c.InitAdapter, c.Out = "/models/base", "../adapters/a/", "runs/one"
	c.Data.Task, c.Data.Text, c.Data.Label = "custom", []string{"text"}, "label"
	c.Data.Train, c.Data.Dev, c.Data.Test = "./data/train.csv", "0.2", filepath.Join(home, "work/data/test.csv")
	c.Resolve()
	write := func(dir string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "run.yaml"), c.RunFile(dir), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(file, root string) {
		t.Helper()
		got, err := Load(file, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := c
		want.InitAdapter = filepath.Join(root, "../adapters/a")
		want.Out, want.Data.Train = filepath.Join(root, "runs/one"), filepath.Join(root, "data/train.csv")
		if d := cmp.Diff(&want, got); d != "" {
			t.Errorf("read from %s: -want +got:\n%s", file, d)
		}
	}
	write("runs/one")
	root := resolved(filepath.Join(home, "work"))
	read("runs/one/run.yaml", root)
	t.Chdir(filepath.Join(home, "elsewhere"))
	read("../work/runs/one/run.yaml", root)

	if err := os.Rename(filepath.Join(home, "work"), filepath.Join(home, "moved")); err != nil {
		t.Fatal(err)
	}
	read(filepath.Join(home, "moved/runs/one/run.yaml"), resolved(filepath.Join(home, "moved")))

	// The run directory is behind a link; its paths start at the real directory.
	if err := os.Rename(filepath.Join(home, "moved"), filepath.Join(home, "work")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(home, "work"))
	if err := os.Symlink(filepath.Join(home, "work/runs/one"), filepath.Join(home, "elsewhere/link")); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(home, "elsewhere/link"))
	read(filepath.Join(home, "elsewhere/link/run.yaml"), root)

	// A name in the Hugging Face cache is not changed.
	c.Model = "lor2c/demo"
	write("runs/one")
	read("runs/one/run.yaml", root)
}
