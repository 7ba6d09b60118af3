package watch

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// runFile is what a run directory has before its first step.
const runFile = `model: m
data: {task: custom, train: t.tsv, dev: d.tsv, text: [text], label: l, metric: accuracy, labels: [a, b]}
method: {name: lor2c}
schedule: {max_merges: 1, max_injects: 1}
train: {epochs: 4, batch_size: 4}
out: .
paths: file
`

// records are those of a run of four layers with ten examples, so that an epoch has three steps, up to the third.
const records = `{"kind":"plan","step":0,"epoch":0,"layers":4,"rank":2,"parameters":512,"merges":[{"step":2,"epoch":0.8}],` +
	`"injects":[{"step":9,"epoch":3}],"max_merges":1,"max_injects":1,"score":"sfs","sfs_k":1}
{"kind":"train","step":1,"epoch":0.4,"loss":0.7,"learning_rate":0.001,"grad_norm":2}
{"kind":"train","step":2,"epoch":0.8,"loss":0.5,"learning_rate":0.0009,"grad_norm":1.5}
{"kind":"spectrum","step":2,"epoch":0.8,"modules":[{"first":0,"last":0,"singular":[3,1]},` +
	`{"first":1,"last":1,"singular":[1,1]},{"first":2,"last":2,"singular":[9,1]},{"first":3,"last":3,"singular":[4,1]}]}
{"kind":"event","step":2,"epoch":0.8,"action":"merge","first":1,"last":2,"keep":1,"winner":0,"loss":null,` +
	`"candidates":[{"first":1,"last":2,"members":[{"first":1,"last":1},{"first":2,"last":2}],"scores":[0.5,0.1],` +
	`"score":0.6,"loss":null}],"parameters_before":512,"parameters_after":384,"before":{"modules":[{"first":0,"last":0},` +
	`{"first":1,"last":1},{"first":2,"last":2},{"first":3,"last":3}],"injected":[]},"after":{"modules":` +
	`[{"first":0,"last":0},{"first":1,"last":2},{"first":3,"last":3}],"injected":[]}}
{"kind":"train","step":3,"epoch":1,"loss":0.4,"learning_rate":0.0008,"grad_norm":1}
{"kind":"eval","step":3,"epoch":1,"split":"dev","loss":0.6,"accuracy":0.75,"best":true}
`

// runDir returns a run directory with the given records.
func runDir(t *testing.T, dir, text string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		train.ConfigFile: runFile, runlog.MetricsFile: text,
		"log.txt": "2026-01-02T03:04:05.000Z memory: weights 5.1 MiB, trained 0.4 MiB, activations 12.6 MiB (750 tokens)\n",
		"timing.jsonl": `{"step":1,"time":"2026-01-02T03:04:05.000Z","seconds":2,"examples_per_second":2,"tokens_per_second":90}
{"step":3,"time":"2026-01-02T03:04:09.000Z","seconds":6,"examples_per_second":2,"tokens_per_second":80}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// once returns the picture of a directory in some cells, an hour after its files were written.
func once(t *testing.T, dir string, width int) string {
	t.Helper()
	var out strings.Builder
	tty := terminal.Terminal{}
	if width > 0 {
		tty.Width = func() int { return width }
	}
	now := func() time.Time { return time.Now().Add(30 * time.Minute) }
	if err := Run(t.Context(), dir, Options{Out: &out, Terminal: tty, Now: now, Once: true}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestFrame: the picture of a run has every part, and no line is wider than the terminal.
func TestFrame(t *testing.T) {
	dir := runDir(t, filepath.Join(t.TempDir(), "run"), records)
	got := once(t, dir, 0)
	for _, want := range []string{
		"lor2c on custom, m\n", "stopped, or no record for 30m0s\n", "step 3/12", "epoch 1.00/4", "6s, eta 18s\n",
		"loss         0.7000 █", "             0.4000 ", "events              ", "M\n",
		"          step 2 merged layers 1-2 with the factors of the module of layer 1:\n          score 0.6000, candidates 1",
		"accuracy     0.7500 ",
		"best 0.7500 after epoch 1\n", "dev loss     0.6000 ", "lr         8.00e-04 ", "grad norm         1 ",
		"tok/s            80 ",
		"memory    weights 5.1 MiB, trained 0.4 MiB, activations 12.6 MiB (750 tokens)\n", "scalars   384\n",
		"schedule  1 of 1 merge; 0 of 1 injection, next after step 9\n", "SFS       0▅.25 1█.50 2▂.10 3▄.20\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if rows := strings.Count(got, "\n"); rows > 24 {
		t.Errorf("%d rows; want at most 24", rows)
	}
	for _, width := range []int{24, 40, 60, 80, 200} {
		for line := range strings.SplitSeq(once(t, dir, width), "\n") {
			if terminal.Cells(line) > width || strings.ContainsRune(line, '\x1b') {
				t.Errorf("%d cells: %q", width, line)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "all_results.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := once(t, dir, 80); !strings.Contains(got, "\nfinished\n") || strings.Contains(got, "eta") {
		t.Errorf("a finished run:\n%s", got)
	}
}

// TestFrameOfLittle: a run without records, and one whose log is damaged, have a picture.
func TestFrameOfLittle(t *testing.T) {
	dir := runDir(t, filepath.Join(t.TempDir(), "run"), "")
	if err := os.Remove(filepath.Join(dir, runlog.MetricsFile)); err != nil {
		t.Fatal(err)
	}
	if got := once(t, dir, 80); !strings.Contains(got, "no record yet\nstep 0") {
		t.Errorf("no records:\n%s", got)
	}
	lines := strings.SplitAfter(records, "\n")
	runDir(t, dir, lines[0]+lines[1]+"damaged\n")
	if got := once(t, dir, 80); !strings.Contains(got, "metrics.jsonl:3:") || !strings.Contains(got, "0.7000") {
		t.Errorf("a damaged line:\n%s", got)
	}
}

// TestExtended: a run that is extended while it is watched has its new number of steps, and a run file that cannot be
// read any more is reported beside the picture of the last one.
func TestExtended(t *testing.T) {
	dir := runDir(t, filepath.Join(t.TempDir(), "run"), records)
	v, err := openView(dir)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(text string) string {
		t.Helper()
		path := filepath.Join(dir, train.ConfigFile)
		if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		if err := v.read(); err != nil {
			t.Fatal(err)
		}
		return strings.Join(v.frame(terminal.Terminal{}, plainWidth, time.Now()), "\n")
	}
	extended := strings.Replace(runFile, "epochs: 4,", "epochs: 4, extend_epochs: [2],", 1)
	for _, c := range []struct{ file, want string }{
		{runFile, "step 3/12"}, {extended, "step 3/18"}, {"model: [", "step 3/18"}, {"model: [", train.ConfigFile},
	} {
		if got := replace(c.file); !strings.Contains(got, c.want) {
			t.Errorf("%q: no %q in\n%s", c.file, c.want, got)
		}
	}
}

// TestHostile: records that no run writes have a picture, and nothing in them controls the terminal.
func TestHostile(t *testing.T) {
	plan, _, _ := strings.Cut(records, "\n")
	plan = strings.Replace(plan, `"score":"sfs"`, `"score":"nuclear"`, 1) + "\n"
	dir := filepath.Join(t.TempDir(), "run")
	for name, c := range map[string]struct{ text, want string }{
		"sum": {plan + `{"kind":"spectrum","step":2,"epoch":0.8,"modules":[{"first":0,"last":0,"singular":[1e308,1e308]},` +
			`{"first":1,"last":1,"singular":[1,1]}]}`, "nuclear"},
		"winner": {strings.Replace(records, `"winner":0`, `"winner":1`, 1), "winner is 1, want the index of one of 1"},
		"step": {`{"kind":"train","step":9223372036854775807,"epoch":1e-300,"loss":1e308,"learning_rate":1,"grad_norm":1}`,
			"9223372036854775807"},
		"metric": {`{"kind":"eval","step":3,"epoch":1,"split":"dev","loss":0.6,"\u001b[2J":0.75,"best":true}`, "0.7500"},
	} {
		runDir(t, dir, c.text+"\n")
		text := strings.Replace(runFile, "metric: accuracy, ", "", 1)
		if err := os.WriteFile(filepath.Join(dir, train.ConfigFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := once(t, dir, 80); !strings.Contains(got, c.want) || strings.ContainsRune(got, '\x1b') {
			t.Errorf("%s: want %q and no control sequence in\n%q", name, c.want, got)
		}
	}
}

// TestSweep: cells are listed with their state, and the spread is over the seeds that are finished.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"demo-lr=1-seed=1", "demo-lr=1-seed=2"} {
		cell := runDir(t, filepath.Join(dir, name), strings.ReplaceAll(records, "0.75", []string{"0.75", "0.25"}[i]))
		text := runFile + "seed: " + name[len(name)-1:] + "\n"
		if err := os.WriteFile(filepath.Join(cell, train.ConfigFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cell, "all_results.json"), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	other := runDir(t, filepath.Join(dir, "other-seed=1"), "")
	text := strings.ReplaceAll(runFile, "epochs: 4", "epochs: 5")
	if err := os.WriteFile(filepath.Join(other, train.ConfigFile), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got := once(t, dir, 100)
	for _, want := range []string{
		"3 cells: 2 finished, 0 running\n", "demo-lr=1-seed=1  [", "]  3/12  loss 0.4000  accuracy 0.2500  finished\n",
		"loss 0.4000  accuracy 0.7500  finished\n",
		"demo-lr=1: 2 of 2 seeds, accuracy 0.5000, sd 0.3536, 0.2500 to 0.7500\n", "other: 0 of 1 seed\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if err := os.WriteFile(filepath.Join(other, train.ConfigFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	got = once(t, dir, 100)
	for _, want := range []string{
		"2 cells: 2 finished, 0 running\n", "other-seed=1/" + train.ConfigFile + ":1: is not YAML",
	} {
		if !strings.Contains(strings.ReplaceAll(got, "\n  ", ""), want) {
			t.Errorf("a cell with a damaged file: no %q in\n%s", want, got)
		}
	}
	for line := range strings.SplitSeq(once(t, dir, 40), "\n") {
		if terminal.Cells(line) > 40 {
			t.Errorf("%q is wider than 40 cells", line)
		}
	}
}

// TestFollow: the picture follows the file, space holds it, q ends, and no file of the run changes. When the directory
// is moved, one error says so.
func TestFollow(t *testing.T) {
	dir := runDir(t, filepath.Join(t.TempDir(), "run"), records)
	var out strings.Builder
	keys, tick := make(chan byte), make(chan time.Time)
	o := Options{
		Out: &out, Terminal: terminal.Terminal{Live: true, Width: func() int { return 80 }, Height: func() int { return 40 }},
		Keys: keys, Tick: tick, Now: time.Now,
	}
	ended := make(chan error)
	start := func(ctx context.Context) { go func() { ended <- Run(ctx, dir, o) }() }
	again := func() {
		t.Helper()
		select {
		case tick <- time.Time{}:
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		}
	}
	start(t.Context())
	again()
	more := `{"kind":"train","step":4,"epoch":1.4,"loss":0.3,"learning_rate":0.0007,"grad_norm":1}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, runlog.MetricsFile), []byte(records+more), 0o644); err != nil {
		t.Fatal(err)
	}
	again()
	for _, key := range []byte(" ? q") {
		select {
		case keys <- key:
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{enter, home, "step 3/12", "step 4/12", "held; space goes on", helpText} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	if !strings.HasSuffix(text, leave) {
		t.Errorf("the terminal is left as %q", text[max(0, len(text)-20):])
	}
	ctx, cancel := context.WithCancel(t.Context())
	start(ctx)
	again()
	cancel()
	if err := <-ended; !errors.Is(err, train.ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
	start(t.Context())
	again()
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		t.Fatal(err)
	}
	// Reading after the first tick may have found that the directory is gone already.
	go func() {
		select {
		case tick <- time.Time{}:
		case <-t.Context().Done():
		}
	}()
	if err := <-ended; !errors.Is(err, ErrGone) || strings.Contains(err.Error(), "\n") {
		t.Errorf("moved: %v", err)
	}
	if err := Run(t.Context(), dir, o); err == nil || !strings.Contains(err.Error(), "there is no directory") {
		t.Errorf("no directory: %v", err)
	}
	if err := Run(t.Context(), t.TempDir(), o); err == nil || !strings.Contains(err.Error(), "has a "+train.ConfigFile) {
		t.Errorf("another directory: %v", err)
	}
}

// TestEnded: a process that was seen to train and does so no more has ended, also right after a record.
func TestEnded(t *testing.T) {
	v := &view{seen: 12}
	if text, running := v.state(time.Now()); running || !strings.HasPrefix(text, "process 12 has ended") {
		t.Errorf("%q, %v", text, running)
	}
	v.finished = true
	if text, running := v.state(time.Now()); running || text != "finished" {
		t.Errorf("%q, %v", text, running)
	}
}

// TestCopied: files that look new are not a run that trains, unless a record is written while they are watched.
func TestCopied(t *testing.T) {
	dir := runDir(t, filepath.Join(t.TempDir(), "run"), records)
	log, written := filepath.Join(dir, "metrics.jsonl"), time.Now()
	v, err := openView(dir)
	if err != nil {
		t.Fatal(err)
	}
	read := func() (string, bool) {
		if err := os.Chtimes(log, written, written); err != nil {
			t.Fatal(err)
		}
		if err := v.read(); err != nil {
			t.Fatal(err)
		}
		return v.state(written.Add(5 * time.Second))
	}
	for range 2 {
		text, running := read()
		if v.pid != unknown && (running || text != "stopped, or no record for 5s") {
			t.Errorf("a copy: %q, %v", text, running)
		}
	}
	written = written.Add(time.Second)
	if text, running := read(); !running || text != "running" {
		t.Errorf("after a record: %q, %v", text, running)
	}
	if text, running := v.state(written.Add(recently)); running || text != "stopped, or no record for 30s" {
		t.Errorf("%v after it: %q, %v", recently, text, running)
	}
}

// TestChart: bars have eighths of a row, the smallest has one, and a column without a value continues the one before.
func TestChart(t *testing.T) {
	nan := math.NaN()
	got := chart([]float64{0, 15, nan, 7.5, nan, nan}, 2, 0, 15)
	if got[0] != " ██▁" || got[1] != "▁███" {
		t.Errorf("%q", got)
	}
	if got := spark([]point{{1, 5}, {100, 5}}, 100, 4); got != "▁▁▁▁" {
		t.Errorf("a constant: %q", got)
	}
	for _, c := range []struct{ step, last, width, want int }{
		{1, 100, 10, 0}, {10, 100, 10, 0}, {11, 100, 10, 1}, {100, 100, 10, 9}, {0, 100, 10, 0}, {101, 100, 10, 9},
		{3, 3, 10, 6},
	} {
		if got := column(c.step, c.last, c.width); got != c.want {
			t.Errorf("step %d of %d in %d cells: column %d; want %d", c.step, c.last, c.width, got, c.want)
		}
	}
}
