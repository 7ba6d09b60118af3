package predict

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/train"
)

// lengths is a model that predicts from the length of a text: with its first adapter whether it is even, with its
// second the length.
type lengths struct {
	stop int // number of texts after which it fails as an interrupted model does; 0 is never
	seen int
	call func(texts int)
}

func (l *lengths) Task(i int) adapter.Task {
	return []adapter.Task{{Labels: []string{"even", "odd"}}, {}}[i]
}

func (l *lengths) Outputs(_ context.Context, _ string, texts []dataset.Example) ([]train.Outputs, error) {
	if l.call != nil {
		l.call(len(texts))
	}
	if l.seen += len(texts); l.stop > 0 && l.seen > l.stop {
		return nil, fmt.Errorf("lengths: %w", train.ErrInterrupted)
	}
	out := make([]train.Outputs, 2)
	for _, x := range texts {
		n := float32(len(x.TextA))
		out[0].Values = append(out[0].Values, float32(math.Cos(float64(n)*math.Pi)), 0)
		out[1].Values = append(out[1].Values, n)
	}
	return out, nil
}

// job returns a job on the lines of an input.
func job(t testing.TB, input string, m Model, keep ...string) *Job {
	t.Helper()
	return jobOf(t, dataset.Texts{Path: "-", Stdin: strings.NewReader(input), Format: dataset.CSV, Text: []string{"text"},
		Keep: keep}, m)
}

func jobOf(t testing.TB, in dataset.Texts, m Model) *Job {
	t.Helper()
	rows, err := dataset.OpenRows(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return &Job{Rows: rows, Model: m, Names: []string{"", "n"}, Keep: in.Keep}
}

// numbered returns a CSV of n rows with texts of different lengths.
func numbered(n int) string {
	var b strings.Builder
	b.WriteString("k,text\n")
	for i := range n {
		fmt.Fprintf(&b, "k%d,%s\n", i, strings.Repeat("x", i*i%17))
	}
	return b.String()
}

const awkward = "id,text,k\nA,ab,\"x\ty\"\nB,\"c\n\"\"d\",\"\\\n\"\nC,abc,é<\n"

// TestFormats: each format has the same columns and values.
func TestFormats(t *testing.T) {
	p, q := fmt.Sprint(float32(math.E/(1+math.E))), fmt.Sprint(float32(1/(1+math.E)))
	for format, want := range map[string]string{
		TSV: "id\ttext\tk\tprediction\tp_even\tp_odd\tn.prediction\n" +
			"A\tab\tx\\ty\teven\t" + p + "\t" + q + "\t2\n" + "B\tc\\n\"d\t\\\\\\n\teven\t" + p + "\t" + q + "\t4\n" +
			"C\tabc\té<\todd\t" + q + "\t" + p + "\t3\n",
		CSV: "id,text,k,prediction,p_even,p_odd,n.prediction\n" +
			"A,ab,x\ty,even," + p + "," + q + ",2\n" + "B,\"c\n\"\"d\",\"\\\n\",even," + p + "," + q + ",4\n" +
			"C,abc,é<,odd," + q + "," + p + ",3\n",
		JSONL: `{"id":"A","text":"ab","k":"x\ty","prediction":"even","p_even":` + p + `,"p_odd":` + q + `,"n.prediction":2}` + "\n" +
			`{"id":"B","text":"c\n\"d","k":"\\\n","prediction":"even","p_even":` + p + `,"p_odd":` + q + `,"n.prediction":4}` + "\n" +
			`{"id":"C","text":"abc","k":"é<","prediction":"odd","p_even":` + q + `,"p_odd":` + p + `,"n.prediction":3}` + "\n",
	} {
		t.Run("format="+format, func(t *testing.T) {
			j := job(t, awkward, &lengths{}, "id", "text", "k")
			j.ID, j.Keep = "id", []string{"text", "k"}
			var b bytes.Buffer
			sum, err := j.Write(context.Background(), &b, format)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, b.String()); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(Summary{Rows: 3}, sum); d != "" {
				t.Error(d)
			}
			switch format {
			case CSV:
				if all, err := csv.NewReader(&b).ReadAll(); err != nil || all[2][1] != "c\n\"d" {
					t.Errorf("%q, %v", all, err)
				}
			case JSONL:
				for line := range strings.Lines(b.String()) {
					if !json.Valid([]byte(line)) {
						t.Errorf("not JSON: %s", line)
					}
				}
			}
		})
	}
}

// TestKeptJSON: values of JSON keep their kind in JSONL, and are text elsewhere.
func TestKeptJSON(t *testing.T) {
	in := `{"text":"a","k":1.50}` + "\n" + `{"k":{"m":[null]},"text":"b"}` + "\n"
	for format, want := range map[string]string{
		JSONL: `{"id":0,"k":1.50,"prediction":"odd"`, TSV: "0\t1.50\todd",
	} {
		j := jobOf(t, dataset.Texts{Path: "-", Stdin: strings.NewReader(in), Format: dataset.JSONL, Text: []string{"text"},
			Keep: []string{"k"}}, &lengths{})
		var b bytes.Buffer
		if _, err := j.Write(context.Background(), &b, format); err != nil || !strings.Contains(b.String(), want) ||
			!strings.Contains(b.String(), `{"m":[null]}`) {
			t.Errorf("%s: %v\n%s", format, err, b.String())
		}
	}
}

// parquetRows returns the columns and the rows of a parquet file, as text.
func parquetRows(t *testing.T, raw []byte) (columns []string, rows [][]string, groups int) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Schema().Columns() {
		columns = append(columns, strings.Join(c, "."))
	}
	for _, g := range f.RowGroups() {
		groups++
		in := g.Rows()
		for {
			one := make([]parquet.Row, 1)
			n, err := in.ReadRows(one)
			if n == 1 {
				var values []string
				for _, v := range one[0] {
					values = append(values, v.String())
				}
				rows = append(rows, values)
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		in.Close()
	}
	return columns, rows, groups
}

// TestParquet: a parquet file has the columns in the order of the other formats, and its bytes depend neither on chunks
// nor on an interruption.
func TestParquet(t *testing.T) {
	const n = groupRows + 10
	write := func(chunk int) []byte {
		t.Helper()
		j := job(t, numbered(n), &lengths{}, "k")
		j.Chunk = chunk
		var b bytes.Buffer
		if _, err := j.Write(context.Background(), &b, Parquet); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	want := write(0)
	columns, rows, groups := parquetRows(t, want)
	if d := cmp.Diff([]string{"id", "k", "prediction", "p_even", "p_odd", "n.prediction"}, columns); d != "" {
		t.Error(d)
	}
	if len(rows) != n || groups != 2 || rows[3][0] != "3" || rows[3][1] != "k3" || rows[3][2] != "odd" ||
		rows[3][5] != "9" {
		t.Errorf("%d rows in %d groups, the fourth is %q", len(rows), groups, rows[3])
	}
	if !bytes.Equal(write(1000), want) {
		t.Error("the bytes depend on the chunks")
	}
	path := filepath.Join(t.TempDir(), "out.parquet")
	if _, err := writeFile(t, path, Parquet, n, 7000, nil); !errors.Is(err, train.ErrInterrupted) {
		t.Fatal(err)
	}
	if _, err := writeFile(t, path, Parquet, n, 0, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("after an interruption: %d bytes, %v; want %d", len(got), err, len(want))
	}
}

// writeFile predicts n rows into a file, and is interrupted after stop of them. change changes the job.
func writeFile(t testing.TB, path, format string, n, stop int, change func(*Job)) (Summary, error) {
	t.Helper()
	j := job(t, numbered(n), &lengths{stop: stop}, "k")
	j.Chunk = 100
	if change != nil {
		change(j)
	}
	return j.WriteFile(context.Background(), path, format, map[string]string{"adapter": "one"}, false)
}

// TestResume: wherever a run is interrupted, the same command gives the same file, and the file does not exist before.
func TestResume(t *testing.T) {
	want := filepath.Join(t.TempDir(), "whole.tsv")
	if _, err := writeFile(t, want, TSV, 3000, 0, nil); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []int{0, 50, 100, 1500, 2950} {
		path := filepath.Join(t.TempDir(), "out.tsv")
		if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		if stop > 0 {
			_, err := writeFile(t, path, TSV, 3000, stop, nil)
			continues := strings.Contains(fmt.Sprint(err), path+".partial has the rows so far, and the same command continues")
			if !errors.Is(err, train.ErrInterrupted) || continues != (stop >= 100) {
				t.Errorf("interrupted after %d: %v", stop, err)
			}
			if raw, _ := os.ReadFile(path); string(raw) != "before" {
				t.Errorf("interrupted after %d: the file is %q", stop, raw)
			}
		}
		// Bytes that a crash left and that the journal does not count are discarded.
		if f, err := os.OpenFile(path+".partial", os.O_APPEND|os.O_WRONLY, 0); err == nil {
			fmt.Fprint(f, "half a ro")
			f.Close()
		}
		sum, err := writeFile(t, path, TSV, 3000, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if wantBefore := stop / 100 * 100; sum.Before != wantBefore || sum.Rows != 3000 {
			t.Errorf("interrupted after %d: %+v; want %d rows of before", stop, sum, wantBefore)
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, whole) {
			t.Errorf("interrupted after %d: the file differs, %v", stop, err)
		}
		left, _ := filepath.Glob(path + ".*")
		info, err := os.Stat(path)
		if left != nil || err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("left %q, mode %v", left, info.Mode())
		}
	}
}

// TestResumeRefused: an interrupted run is continued with the same input and adapters only, unless it is discarded.
func TestResumeRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.tsv")
	interrupt := func() {
		t.Helper()
		if _, err := writeFile(t, path, TSV, 500, 300, nil); !errors.Is(err, train.ErrInterrupted) {
			t.Fatal(err)
		}
	}
	again := func(input string, identity map[string]string, keep string, restart bool) error {
		t.Helper()
		j := job(t, input, &lengths{}, keep)
		_, err := j.WriteFile(context.Background(), path, TSV, identity, restart)
		return err
	}
	one := map[string]string{"adapter": "one"}
	for _, c := range []struct {
		err  func() error
		want string
	}{
		{func() error { return again(strings.Replace(numbered(500), "k7,", "K7,", 1), one, "k", false) },
			"the input does not begin with the 300 rows of the interrupted command"},
		{func() error { return again(numbered(250), one, "k", false) },
			"it has 250 rows, and the interrupted run had read 300"},
		{func() error { return again(numbered(500), map[string]string{"adapter": "two"}, "k", false) },
			`adapter: "one" in the interrupted command, "two" now`},
		{func() error { return again(numbered(500), one, "text", false) },
			`columns: "id, k, prediction, p_even, p_odd, n.prediction" in the interrupted command, "id, text,`},
	} {
		interrupt()
		if err := fmt.Sprint(c.err()); !strings.Contains(err, c.want) || !strings.Contains(err, "--restart") ||
			strings.Contains(err, "the same command continues") {
			t.Errorf("error %v; want %s, and not that the same command continues", err, c.want)
		}
		if err := again(numbered(500), one, "k", false); err != nil {
			t.Errorf("the right command does not continue: %v", err)
		}
	}
	interrupt()
	if _, err := writeFile(t, path, TSV, 500, 1, nil); !strings.Contains(fmt.Sprint(err), "the same command continues") {
		t.Errorf("interrupted again before the first new row: %v", err)
	}
	if err := again(numbered(20), one, "k", true); err != nil {
		t.Errorf("--restart: %v", err)
	}
}

// TestOneWriter: two processes do not write the same output.
func TestOneWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.tsv")
	j := job(t, numbered(10), &lengths{call: func(int) {
		if _, err := writeFile(t, path, TSV, 10, 0, nil); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("a second writer: %v", err)
		}
	}})
	if _, err := j.WriteFile(context.Background(), path, TSV, nil, false); err != nil {
		t.Error(err)
	}
}

// TestFinishedMeanwhile: a process that opened the partial output before another one finished it, and locks it
// afterwards, leaves the output as it is.
func TestFinishedMeanwhile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not rename a file that another process has opened")
	}
	path := filepath.Join(t.TempDir(), "out.tsv")
	var late *partial
	j := job(t, numbered(10), &lengths{call: func(int) {
		f, err := os.OpenFile(path+".partial", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		late = &partial{target: path, path: path + ".partial", file: f}
	}})
	if _, err := j.WriteFile(context.Background(), path, TSV, nil, false); err != nil {
		t.Fatal(err)
	}
	defer late.file.Close()
	want := ".partial: another process has just finished it"
	if err := late.lock(); err == nil || !strings.Contains(err.Error(), want) || !place.IsMistake(err) {
		t.Errorf("error %v; want %s", err, want)
	}
	// A third process has begun the output again.
	if err := os.WriteFile(path+".partial", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := late.lock(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v; want %s", err, want)
	}
}

// TestThrough: if the path is not a regular file, the rows are written to it directly.
func TestThrough(t *testing.T) {
	if _, err := writeFile(t, os.DevNull, TSV, 10, 0, nil); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(os.DevNull + ".partial*"); left != nil {
		t.Errorf("left %q", left)
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("target.tsv", link); err != nil {
		t.Fatal(err)
	}
	if _, err := writeFile(t, link, TSV, 10, 0, nil); err != nil {
		t.Error(err)
	}
	info, err := os.Lstat(link)
	if raw, _ := os.ReadFile(filepath.Join(dir, "target.tsv")); err != nil || info.Mode()&os.ModeSymlink == 0 ||
		!strings.HasPrefix(string(raw), "id\tk\t") {
		t.Errorf("the link is %v, its target %q", info.Mode(), raw)
	}
}

// TestSkipBad: a row that cannot be read stops the job with its place, and is left out and counted with SkipBad. Later
// rows keep their numbers.
func TestSkipBad(t *testing.T) {
	const in = "text\na\n\"b\",c\nddd\n"
	var b bytes.Buffer
	sum, err := job(t, in, &lengths{}).Write(context.Background(), &b, TSV)
	const want = "dataset: read standard input:3: 2 columns; want 1 separated by commas"
	if err == nil || err.Error() != want || sum.Rows != 1 || strings.Count(b.String(), "\n") != 2 {
		t.Errorf("%v after %+v and %q", err, sum, b.String())
	}
	b.Reset()
	j := job(t, in, &lengths{})
	j.SkipBad = true
	sum, err = j.Write(context.Background(), &b, TSV)
	if err != nil || sum.Rows != 2 || sum.Skipped != 1 || sum.FirstBad.Error() != want || !strings.Contains(b.String(),
		"\n2\todd\t") {
		t.Errorf("%v, %+v, %q", err, sum, b.String())
	}
}

// TestEmptyTexts: empty texts are predicted and counted.
func TestEmptyTexts(t *testing.T) {
	var b bytes.Buffer
	sum, err := job(t, "text,k\na,\n,b\n,c\n", &lengths{}).Write(context.Background(), &b, TSV)
	if err != nil || sum.Rows != 3 || sum.Empty != 2 || sum.FirstEmpty != 3 {
		t.Errorf("%v, %+v", err, sum)
	}
}

// TestColumnsClash: two columns of one name are an error before any work.
func TestColumnsClash(t *testing.T) {
	j := job(t, "text,prediction\na,b\n", &lengths{}, "prediction")
	if err := j.Check(JSONL); err == nil || !strings.Contains(err.Error(), `two columns "prediction"`) {
		t.Error(err)
	}
	if _, err := j.Write(context.Background(), io.Discard, TSV); err == nil {
		t.Error("no error")
	}
	for _, c := range []struct {
		id   string
		keep []string
		want string
	}{
		{"", []string{"id"}, `two columns "id"; use --id id in place of --keep id`},
		{"id", []string{"id"}, `two columns "id"; leave it out of --keep, because --id puts it into the output`},
		{"", []string{"k", "k"}, `two columns "k"; name it once in --keep`},
		{"", []string{"prediction"}, `two columns "prediction"; leave it out of --keep, or give the column`},
	} {
		j := job(t, "text,id,k,prediction\na,b,c,d\n", &lengths{}, c.keep...)
		j.ID = c.id
		if err := j.Check(JSONL); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("--id %q --keep %q: %v; want %s", c.id, c.keep, err, c.want)
		}
	}
}

// TestAnswersAtOnce: the rows of a slow input are answered when they arrive.
func TestAnswersAtOnce(t *testing.T) {
	in, slow := io.Pipe()
	out, answers := io.Pipe()
	done := make(chan error)
	go func() {
		rows, err := dataset.OpenRows(context.Background(), dataset.Texts{Path: "-", Stdin: in, Text: []string{"text"}})
		if err == nil {
			j := &Job{Rows: rows, Model: &lengths{}, Names: []string{"", "n"}}
			_, err = j.Write(context.Background(), answers, JSONL)
		}
		answers.Close()
		done <- err
	}()
	lines := json.NewDecoder(out)
	for i := range 3 {
		fmt.Fprintln(slow, strings.Repeat("x", i))
		var answer struct {
			ID     int
			Length float32 `json:"n.prediction"`
		}
		if err := lines.Decode(&answer); err != nil || answer.ID != i || answer.Length != float32(i) {
			t.Fatalf("answer %d: %+v, %v", i, answer, err)
		}
	}
	slow.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestInterrupted: a job that waits for its input ends with its context.
func TestInterrupted(t *testing.T) {
	in, _ := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	rows, err := dataset.OpenRows(ctx, dataset.Texts{Path: "-", Stdin: in, Text: []string{"text"}})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	j := &Job{Rows: rows, Model: &lengths{}, Names: []string{"", "n"}}
	if _, err := j.Write(ctx, io.Discard, TSV); !errors.Is(err, train.ErrInterrupted) {
		t.Error(err)
	}
}

// TestConstantMemory: the live memory does not grow with the number of rows.
func TestConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 rows")
	}
	const rows = 100_000
	for _, format := range []string{TSV, Parquet} {
		t.Run("format="+format, func(t *testing.T) {
			var first, most uint64
			seen := 0
			m := &lengths{call: func(n int) {
				// Two samples before the first chunk is full and one in 10,000 rows.
				if seen += n; seen/10_000 == (seen-n)/10_000 {
					return
				}
				runtime.GC()
				var s runtime.MemStats
				runtime.ReadMemStats(&s)
				if most = max(most, s.HeapAlloc); first == 0 {
					first = s.HeapAlloc
				}
			}}
			in := io.LimitReader(&endless{line: strings.Repeat("word ", 40) + "\n"}, rows*201)
			j := jobOf(t, dataset.Texts{Path: "-", Stdin: in, Text: []string{"text"}, Keep: []string{"text"}}, m)
			path := filepath.Join(t.TempDir(), "out")
			sum, err := j.WriteFile(context.Background(), path, format, nil, false)
			if err != nil || sum.Rows != rows {
				t.Fatalf("%v, %+v", err, sum)
			}
			// All texts together have 20 MB.
			if first == 0 || most > first+8<<20 {
				t.Errorf("%d bytes are live after the first rows, and up to %d later", first, most)
			}
		})
	}
}

// endless repeats a line.
type endless struct {
	line string
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		k := copy(b[n:], e.line[e.at:])
		n, e.at = n+k, (e.at+k)%len(e.line)
	}
	return n, nil
}

// TestProbabilities compares the softmax with a closed form; large logits do not overflow, and of equal ones the first
// is the prediction.
func TestProbabilities(t *testing.T) {
	p := make([]float32, 3)
	if best := Probabilities(p, []float32{1e30, 1e30, -1e30}); best != 0 || p[0] != 0.5 || p[1] != 0.5 || p[2] != 0 {
		t.Errorf("%d, %v", best, p)
	}
	best := Probabilities(p, []float32{0, float32(math.Log(2)), float32(math.Log(5))})
	for i, want := range []float32{0.125, 0.25, 0.625} {
		if math.Abs(float64(p[i]-want)) > 1e-7 || best != 2 {
			t.Errorf("%d, %v", best, p)
		}
	}
}

// TestDamagedRow: a row of the partial output that is not what was written is named.
func TestDamagedRow(t *testing.T) {
	for _, content := range []string{"[1]\n[\"x\"]\n", "[1]\n[2", "[1]\n[2, 3]\n", "[1]\nx"} {
		path := filepath.Join(t.TempDir(), "out.parquet.partial")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		p := &partial{path: path, file: f, columns: []column{{name: "n", kind: number}}}
		err = p.convert(io.Discard)
		f.Close()
		if want := "row 2 of " + path + " is damaged; begin again with --restart"; err == nil || err.Error() != want {
			t.Errorf("%q: %v; want %s", content, err, want)
		}
	}
}
