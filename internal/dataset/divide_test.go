package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// divided opens a custom task that keeps a fraction of its train file as dev.
func divided(t *testing.T, c Config, seed uint64) (train, dev *Split) {
	t.Helper()
	s, err := Open(t.Context(), c, Request{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	if train, err = s.Load(t.Context(), "train"); err != nil {
		t.Fatal(err)
	}
	if dev, err = s.Load(t.Context(), "dev"); err != nil {
		t.Fatal(err)
	}
	return train, dev
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDivide: a dev split that is a fraction has its share of every class, no
// text of train, and every example at most once. It depends only on the seed.
func TestDivide(t *testing.T) {
	// There are 100 examples of "often" and 10 of "rare". Every fourth text of
	// "often" occurs three times, once with blanks around it.
	content := "text,class\n"
	rows := 0
	for i := range 100 {
		content += fmt.Sprintf("text %d,often\n", i)
		rows++
		if i%4 == 0 {
			content += fmt.Sprintf("  text %d ,often\ntext %d,often\n", i, i)
			rows += 2
		}
		if i%10 == 0 {
			content += fmt.Sprintf("rare text %d,rare\n", i)
			rows++
		}
	}
	c := Config{Task: "custom", Train: writeFile(t, "all.csv", content), Dev: "0.2", Text: []string{"text"},
		Label: "class"}
	train, dev := divided(t, c, 7)
	if len(train.Examples)+len(dev.Examples) != rows {
		t.Fatalf("%d and %d examples of %d", len(train.Examples), len(dev.Examples), rows)
	}
	count := map[float32]int{}
	inTrain := map[string]bool{}
	for _, x := range train.Examples {
		inTrain[x.key()] = true
	}
	last := -1
	for _, x := range dev.Examples {
		count[x.Label]++
		if inTrain[x.key()] {
			t.Errorf("dev text %q is in train", x.TextA)
		}
		if x.ID <= last {
			t.Errorf("example %d after %d", x.ID, last)
		}
		last = x.ID
	}
	if d := cmp.Diff(map[float32]int{0: 30, 1: 2}, count); d != "" {
		t.Error(d)
	}
	if train.Files[0].SHA256 != dev.Files[0].SHA256 {
		t.Error("the splits come from one file")
	}
	_, again := divided(t, c, 7)
	if d := cmp.Diff(dev.Examples, again.Examples); d != "" {
		t.Error(d)
	}
	if _, other := divided(t, c, 8); cmp.Equal(dev.Examples, other.Examples) {
		t.Error("another seed draws the same examples")
	}
}

// TestDivideSmall: every class keeps an example in train, and a fraction that
// is too small is refused.
func TestDivideSmall(t *testing.T) {
	path := writeFile(t, "all.csv", "text,y\na,0\nb,1\nc,1\n")
	c := Config{Task: "custom", Train: path, Dev: "0.9", Text: []string{"text"}, Label: "y"}
	train, dev := divided(t, c, 1)
	if d := cmp.Diff([]float32{0, 1}, labels(train)); d != "" || len(dev.Examples) != 1 {
		t.Error(d, dev.Examples)
	}
	c.Dev = "0.1"
	s, err := Open(t.Context(), c, Request{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Load(t.Context(), "dev")
	want := "dataset: data.dev: 0.1 of the 3 examples of " + path +
		" gives no example that train can spare; want a larger fraction, or a file"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant %s", err, want)
	}
	c.Dev, c.Kind = "0.5", Regression
	train, dev = divided(t, c, 1)
	if len(train.Examples) != 1 || len(dev.Examples) != 2 {
		t.Errorf("regression: %d and %d examples; want 1 and 2", len(train.Examples), len(dev.Examples))
	}
}
