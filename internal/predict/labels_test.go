package predict

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/train"
)

// labelled is a model that predicts two labels from the length of a text.
type labelled struct{}

func (l *labelled) Task(int) adapter.Task {
	return adapter.Task{Labels: []string{"long", "odd"}, Kind: adapter.MultiLabel, Threshold: 0.5, Separator: "|"}
}

func (l *labelled) Outputs(_ context.Context, _ string, texts []dataset.Example) ([]train.Outputs, error) {
	var out train.Outputs
	for _, x := range texts {
		n := len(x.TextA)
		out.Values = append(out.Values, float32(n-2), float32(n%2)-0.5)
	}
	return []train.Outputs{out}, nil
}

// TestSeveralLabels: each label has a probability of its own, and those from the threshold are listed, with the
// separator or as a JSON list. A label at the threshold is predicted.
func TestSeveralLabels(t *testing.T) {
	p := func(x float64) string { return fmt.Sprint(float32(1 / (1 + math.Exp(-x)))) }
	for format, want := range map[string]string{
		TSV: "id\tprediction\tp_long\tp_odd\n0\tlong\t0.5\t" + p(-0.5) + "\n1\tlong|odd\t" + p(1) + "\t" + p(0.5) +
			"\n2\t\t" + p(-2) + "\t" + p(-0.5) + "\n",
		JSONL: `{"id":0,"prediction":["long"],"p_long":0.5,"p_odd":` + p(-0.5) + "}\n" +
			`{"id":1,"prediction":["long","odd"],"p_long":` + p(1) + `,"p_odd":` + p(0.5) + "}\n" +
			`{"id":2,"prediction":[],"p_long":` + p(-2) + `,"p_odd":` + p(-0.5) + "}\n",
	} {
		j := job(t, "text\nab\nabc\n\"\"\n", &labelled{})
		j.Names = []string{""}
		var b bytes.Buffer
		if _, err := j.Write(context.Background(), &b, format); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, b.String()); d != "" {
			t.Errorf("%s: %s", format, d)
		}
	}
	path := filepath.Join(t.TempDir(), "out.parquet")
	j := job(t, "text\nab\nabc\n\"\"\n", &labelled{})
	j.Names = []string{""}
	if _, err := j.WriteFile(context.Background(), path, Parquet, nil, false); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := parquetRows(t, raw)
	if rows[0][1] != "long" || rows[1][1] != "long|odd" || rows[2][1] != "" {
		t.Errorf("parquet has %q", rows)
	}
}
