package runlog

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asWritten makes cmp.Diff compare numbers as metrics.jsonl has them, in which NaN and the infinities are null.
var asWritten = cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a-a) && math.IsNaN(b-b) })

// TestReadMetrics: all records are read back, because log_history of a resumed
// run is made from them. null stands for both NaN and infinity.
func TestReadMetrics(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, quiet())
	r.Train(Train{Step: 3, Epoch: 0.1 + 0.2, Loss: math.MaxFloat64, LearningRate: math.SmallestNonzeroFloat64,
		GradNorm: math.Inf(1)})
	r.Eval(Eval{Step: 3, Epoch: 1, Split: `a "b",c`, Loss: math.NaN(), Scores: map[string]float64{"f1": -0.25},
		Best: true})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := []Record{
		Train{Step: 3, Epoch: 0.1 + 0.2, Loss: math.MaxFloat64, LearningRate: math.SmallestNonzeroFloat64,
			GradNorm: math.NaN()},
		Eval{Step: 3, Epoch: 1, Split: `a "b",c`, Loss: math.NaN(), Scores: map[string]float64{"f1": -0.25}, Best: true},
	}
	got, err := ReadMetrics(dir)
	if d := cmp.Diff(want, got, asWritten); d != "" || err != nil {
		t.Errorf("error %v, -want +got\n%s", err, d)
	}
	if got, err := ReadMetrics(t.TempDir()); got != nil || err != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
}

func TestDamagedMetrics(t *testing.T) {
	for name, want := range map[string]string{
		"half":    "not a JSON object: the text ends before its JSON value is complete",
		"kind":    `kind is "test", want train, eval, baseline, plan, spectrum, event or gradient`,
		"missing": `field "grad_norm" is missing`,
		"unknown": `field "los" is unknown`,
		"type":    `field "step" is "2", want a whole number`,
		"null":    `field "step" is null, want a whole number`,
		"order":   "step 0 follows step 1",
		"text":    `field "accuracy" is "high", want a number or null`,
		"score":   "",
	} {
		t.Run("file="+name, func(t *testing.T) {
			content, dir := read(t, "testdata/damaged", name+".jsonl"), t.TempDir()
			path := filepath.Join(dir, "metrics.jsonl")
			os.WriteFile(path, []byte(content), 0o666)
			o := quiet()
			o.Resume, o.Step = true, 3

			_, err := ReadMetrics(dir)
			_, openErr := Open(dir, o)
			if name == "score" {
				// ReadMetrics accepts such a record, because only a run has columns.
				want = "runlog: rewind to step 3: " + path +
					`:2: score "mcc" has no column; the run was opened with ["accuracy" "f1"]`
				if err != nil || openErr == nil || openErr.Error() != want {
					t.Errorf("errors %v and %v", err, openErr)
				}
				return
			}
			want = path + ":2: " + want + "; restore the line or remove it with all that follow"
			if err == nil || err.Error() != "runlog: read metrics: "+want {
				t.Errorf("read: got %v\nwant %s", err, want)
			}
			if openErr == nil || openErr.Error() != "runlog: rewind to step 3: "+want {
				t.Errorf("open: got %v\nwant %s", openErr, want)
			}
			if read(t, dir, "metrics.jsonl") != content {
				t.Error("the refused file was changed")
			}
			// Records after the checkpoint's step are not needed and may be damaged.
			o.Step = 1
			if r, err := Open(dir, o); err != nil {
				t.Errorf("resume before the damage: %v", err)
			} else if r.Close(); strings.Count(read(t, dir, "metrics.jsonl"), "\n") != 1 {
				t.Errorf("left is %q", read(t, dir, "metrics.jsonl"))
			}
		})
	}
}

// TestResumeAfterTearAtEveryByte: a run that is killed at any byte after the
// checkpoint of step 6, and resumed there, has the same bytes as an
// uninterrupted run.
func TestResumeAfterTearAtEveryByte(t *testing.T) {
	_, jsonl, table := uninterrupted(t)
	after := func(s, start string) int {
		i := strings.LastIndex(s, start)
		return i + strings.Index(s[i:], "\n") + 1
	}
	fromJSON, fromCSV := after(jsonl, `{"kind":"eval","step":6`), after(table, "eval,6")
	toJSON := after(jsonl, `{"kind":"eval","step":8`) // the records after this line are of the same kinds
	root := t.TempDir()
	for cut := fromJSON; cut <= toJSON; cut++ {
		dir := filepath.Join(root, strconv.Itoa(cut))
		os.Mkdir(dir, 0o777)
		os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(jsonl[:cut]), 0o666)
		// The table is cut at another place, because the two files are not written at
		// the same time.
		tear := min(fromCSV+(cut*7)%(len(table)-fromCSV), len(table))
		os.WriteFile(filepath.Join(dir, "metrics.csv"), []byte(table[:tear]), 0o666)
		o := quiet()
		o.Resume, o.Step = true, 6
		r := open(t, dir, o)
		steps(r, 7, 10)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(jsonl, read(t, dir, "metrics.jsonl")); d != "" {
			t.Fatalf("cut at %d: metrics.jsonl\n%s", cut, d)
		}
		if d := cmp.Diff(table, read(t, dir, "metrics.csv")); d != "" {
			t.Fatalf("cut at %d: metrics.csv\n%s", cut, d)
		}
	}
}

// TestResumeOverGarbageTail: after a power failure the bytes after the last
// fsync may be zero.
func TestResumeOverGarbageTail(t *testing.T) {
	dir, jsonl, table := uninterrupted(t)
	i := strings.Index(jsonl, `{"kind":"train","step":7`)
	os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(jsonl[:i]+"\x00\x00\n\x00"), 0o666)
	if _, err := ReadMetrics(dir); err == nil {
		t.Error("a damaged complete line reads without error")
	}
	o := quiet()
	o.Resume, o.Step = true, 6
	r := open(t, dir, o)
	steps(r, 7, 10)
	r.Close()
	if read(t, dir, "metrics.jsonl") != jsonl || read(t, dir, "metrics.csv") != table {
		t.Error("files differ from those of the uninterrupted run")
	}
}

// TestRewindInsideARun: after Rewind and further steps, the files and Records are those of an uninterrupted run.
func TestRewindInsideARun(t *testing.T) {
	_, jsonl, table := uninterrupted(t)
	for _, step := range []int{-1, 0, 1, 6, 9, 10} {
		t.Run("step="+strconv.Itoa(step), func(t *testing.T) {
			dir := t.TempDir()
			r := open(t, dir, quiet())
			steps(r, 1, 10)
			if err := r.Rewind(step); err != nil {
				t.Fatal(err)
			}
			if records, err := ReadMetrics(dir); err != nil || len(records) > 0 && records[len(records)-1].At() > step {
				t.Fatalf("after Rewind: %v, %v", records, err)
			}
			steps(r, max(step, 0)+1, 10)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if read(t, dir, "metrics.jsonl") != jsonl || read(t, dir, "metrics.csv") != table {
				t.Error("files differ from those of the uninterrupted run")
			}
			records, err := ReadMetrics(dir)
			if d := cmp.Diff(records, r.Records(), asWritten); d != "" || err != nil {
				t.Errorf("Records differ from metrics.jsonl: %v %s", err, d)
			}
		})
	}
}

// TestTornTimingAndLogAreCut: timing.jsonl and log.txt may repeat steps, but
// every line must be complete.
func TestTornTimingAndLogAreCut(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "timing.jsonl"), []byte("{}\n{\"st"), 0o666)
	os.WriteFile(filepath.Join(dir, "log.txt"), []byte("torn"), 0o666)
	r := open(t, dir, quiet())
	r.Printf("hello\n")
	r.Close()
	if got := read(t, dir, "timing.jsonl"); got != "{}\n" {
		t.Errorf("timing.jsonl is %q", got)
	}
	if got := read(t, dir, "log.txt"); !strings.HasSuffix(got, "Z hello\n") || strings.Contains(got, "torn") {
		t.Errorf("log.txt is %q", got)
	}
}
