package dataset

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRequest: the classes of an adapter replace a train file that does not
// exist, and only the requested split is opened.
func TestRequest(t *testing.T) {
	c := Config{Task: "custom", Train: "nowhere.csv", Dev: "nowhere.tsv", Test: "testdata/custom/dev.tsv",
		Text: []string{"body"}, Label: "class"}
	s, err := Open(t.Context(), c, Request{Splits: []string{"test"}, Labels: []string{"good", "bad"}})
	if err != nil {
		t.Fatal(err)
	}
	test, err := s.Load(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]float32{1, 0}, labels(test)); d != "" {
		t.Error(d)
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   Request
		err    string
	}{
		{"labels_of_nothing", func(*Config) {}, Request{Splits: []string{"test"}},
			`dataset: data.train: no file "nowhere.csv"; want a .csv, .tsv or .jsonl file, or the class names in data.labels`},
		{"train_unset", func(c *Config) { c.Train = "" }, Request{Splits: []string{"test"}},
			`dataset: data.train: not set; want a .csv, .tsv or .jsonl file, or the class names in data.labels`},
		{"training", func(c *Config) { c.Train, c.Dev = c.Test, "" }, Request{},
			`dataset: data.dev: not set; want a .csv, .tsv or .jsonl file, or a fraction of data.train such as 0.2`},
		{"training_test", func(c *Config) { c.Train, c.Dev, c.Test = c.Test, Source(c.Test), "gone.csv" }, Request{},
			`dataset: data.test: no file "gone.csv"; want a .csv, .tsv or .jsonl file`},
	} {
		t.Run("request="+tt.name, func(t *testing.T) {
			config := c
			tt.change(&config)
			if _, err := Open(t.Context(), config, tt.want); err == nil || err.Error() != tt.err {
				t.Errorf("error %v\nwant %s", err, tt.err)
			}
		})
	}
}

// TestDigest: the digest depends on texts, labels and their order, and not on
// name, format and unused columns.
func TestDigest(t *testing.T) {
	digest := func(name, content string) string {
		c := Config{Task: "custom", Train: writeFile(t, name, content), Text: []string{"a"}, Label: "y",
			Labels: []string{"0", "1"}}
		set, s := load(t, c, "train")
		return set.Task.Digest(s)
	}
	base := digest("one.csv", "a,y\nx,0\nz,1\n")
	for name, content := range map[string]string{
		"two.tsv": "n\ta\ty\n1\tx\t0\n2\tz\t1\n", "three.jsonl": `{"a":"x","y":0}` + "\n" + `{"a":"z","y":"1"}`,
	} {
		if digest(name, content) != base {
			t.Errorf("%s has another digest", name)
		}
	}
	for _, content := range []string{"a,y\nx,1\nz,1\n", "a,y\nz,1\nx,0\n", "a,y\nx,0\n", "a,y\nx,0\nz ,1\n"} {
		if digest("one.csv", content) == base {
			t.Errorf("%q has the same digest", content)
		}
	}
}
