package dataset_test

import (
	"context"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/dataset"
)

// TestFiles compares Config.Files with the files that loading a GLUE split
// reads.
func TestFiles(t *testing.T) {
	for _, dir := range []string{"testdata/glue", "testdata/hub"} {
		c := dataset.Config{Task: "mrpc", Dir: dir}
		set, err := dataset.Open(context.Background(), c, dataset.Request{Splits: []string{"train"}})
		if err != nil {
			t.Fatal(err)
		}
		split, err := set.Load(context.Background(), "train")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range split.Files {
			if !slices.Contains(c.Files(), f.Path) {
				t.Errorf("dir=%s: %q is read but is not among %q", dir, f.Path, c.Files())
			}
		}
	}
	c := dataset.Config{Task: "custom", Train: "a.csv", Dev: "b.csv", Test: "c.csv"}
	if got, want := c.Files(), []string{"a.csv", "b.csv", "c.csv"}; !slices.Equal(got, want) {
		t.Errorf("custom: %q; want %q", got, want)
	}
}
