package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPredict predicts the dev split of a short run in every way that a user has, and recomputes what eval reports.
func TestPredict(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	args := short(t, out)
	if r := run(t, args...); r.code != 0 {
		t.Fatalf("train: %+v", r)
	}
	dev := strings.TrimPrefix(args[len(args)-1], "data.dev=")
	r := run(t, "predict", "--device", "cpu", "--run", out, dev, "--keep", "label", "--format", "jsonl")
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("predict: %+v", r)
	}
	right, rows := 0, 0
	type row struct {
		ID                int
		Label, Prediction string
	}
	for line := range strings.Lines(r.stdout) {
		var x row
		if err := json.Unmarshal([]byte(line), &x); err != nil || x.ID != rows {
			t.Fatalf("row %d: %q, %v", rows, line, err)
		}
		if rows++; x.Label == x.Prediction {
			right++
		}
	}
	var scores struct {
		Examples int
		Scores   map[string]float64
	}
	e := run(t, "eval", "--run", out, "--json")
	if err := json.Unmarshal([]byte(e.stdout), &scores); err != nil || scores.Examples != rows ||
		scores.Scores["accuracy"] != float64(right)/float64(rows) {
		t.Errorf("eval: %+v; of the predictions %d of %d are right", e, right, rows)
	}

	// An adapter that was copied, a text on standard input, and the base model by name.
	copied := filepath.Join(t.TempDir(), "adapter")
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(out, "best"))); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(strings.SplitN(r.stdout, "\n", 2)[0], `,"p_act"`)
	_, prediction, _ := strings.Cut(first, `"prediction":"`)
	data, err := os.ReadFile(dev)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(strings.Split(string(data), "\n")[1], "\t")
	c := command(t, "predict", "--device", "cpu", "--adapter", copied, "-")
	c.Stdin = strings.NewReader(text + "\n")
	if r := finish(t, c); r.code != 0 || !strings.HasPrefix(r.stdout, "id\tprediction\tp_act\tp_animal\t") ||
		!strings.Contains(r.stdout, "\n0\t"+strings.TrimSuffix(prediction, `"`)+"\t") {
		t.Errorf("from standard input: %+v; want %s", r, prediction)
	}

	// Two adapters in one pass, into a file, by the extension of its name.
	file := filepath.Join(t.TempDir(), "two.csv")
	r = run(t, "predict", "--device", "cpu", "--adapter", "copied="+copied, "--adapter", filepath.Join(out, "final"), dev,
		"--out", file)
	raw, err := os.ReadFile(file)
	if r.code != 0 || err != nil || r.stdout != "" || !strings.HasSuffix(r.stderr, "two.csv: 64 rows\n") ||
		!strings.HasPrefix(string(raw), "id,copied.prediction,copied.p_act,") || !strings.Contains(string(raw),
		",final.prediction,final.p_act,") {
		t.Errorf("two adapters: %+v, %v, %.200q", r, err, raw)
	}

	bad := filepath.Join(t.TempDir(), "bad.csv")
	if err := os.WriteFile(bad, []byte("text\na bird\n\"x\",y\na plant\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{bad, exitUsage, "bad.csv:3: 2 columns; want 1 separated by commas"},
		{bad + " --skip-bad", 0, "note: 1 row was left out; the first: dataset: read " + bad + ":3"},
		{bad + " --text body", exitUsage, `no column "body"; the file has "text"`},
		{bad + " --keep id", exitUsage, `leave it out of --keep, because the output has the column id anyway`},
		{bad + " --keep url", exitUsage, `name columns of the file with --keep`},
		{bad + " --id number", exitUsage, `name the column that identifies a row with --id, or leave --id out`},
		{"none.csv", exitUsage, "no such file"},
		{bad + " --out " + copied + "/lor2c.json", exitUsage, "lor2c.json"},
		{bad + " --adapter " + copied, exitUsage, `two adapters are called "best"; name each as in --adapter NAME=DIR`},
	} {
		t.Run("args="+strings.ReplaceAll(c.args, "/", "_"), func(t *testing.T) {
			dir := filepath.Join(filepath.Dir(out), "run", "best")
			if strings.Contains(c.args, "--adapter") {
				c.args = strings.Replace(c.args, copied, "best="+dir, 1)
			}
			r := run(t, append([]string{"predict", "--device", "cpu", "--adapter", "best=" + dir}, strings.Fields(c.args)...)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.want) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("%+v; want %d and %q", r, c.code, c.want)
			}
		})
	}
}

// TestDistinct: adapters get the shortest names that tell them apart.
func TestDistinct(t *testing.T) {
	for _, c := range []struct{ paths, want string }{
		{"runs/a/best runs/b/best", "a b"},
		{"runs/a/best runs/a/final", "best final"},
		{"./x y/", "x y"},
		{"a/best a/best", "a/best a/best"},
		{"best a/best", "best a/best"},
	} {
		if got := fmt.Sprint(distinct(strings.Fields(c.paths))); got != "["+c.want+"]" {
			t.Errorf("%s: %s; want %s", c.paths, got, c.want)
		}
	}
}
