package sweep

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/train"
)

// killAt names the cell whose process shall kill itself after its first
// checkpoint.
const killAt = "LOR2C_TEST_KILL_CELL"

// TestMain lets the test binary be lor2c train, so that cells are real processes
// that really train.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "train" {
		if err := child(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(args []string) error {
	f := flag.NewFlagSet("train", flag.ContinueOnError)
	file, out, resume := f.String("c", "", ""), f.String("out", "", ""), f.String("resume", "", "")
	f.String("device", "", "")
	f.Bool(CellFlag, false, "")
	f.Bool("json", false, "")
	var sets []string
	f.Func("set", "", func(s string) error { sets = append(sets, s); return nil })
	if err := f.Parse(args); err != nil {
		return err
	}
	cfg, err := config.Load(*file, append(sets, "out="+*out), nil)
	if err != nil {
		return err
	}
	if filepath.Base(*out) == os.Getenv(killAt) {
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		go func() {
			for {
				if saved(*out) {
					_ = self.Kill()
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	_, err = train.Run(ctx, cfg,
		train.Options{Device: cpu.Open[float32](1), Resume: *resume, JSON: true, Stdout: os.Stdout, Stderr: os.Stderr})
	return err
}

// sweepOf writes a sweep over the demo's first rows, with more lines, and checks
// it.
func sweepOf(t *testing.T, more string) *Sweep {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Chdir(filepath.Join("..", ".."))
	dir := t.TempDir()
	text := "base: configs/demo.yaml\nout: " + filepath.Join(dir, "out") +
		"\nset:\n  train.batch_size: 8\n  train.log_every: 1\n"
	for _, split := range []string{"train", "dev"} {
		raw, err := os.ReadFile(filepath.Join("demo", "data", split+".tsv"))
		if err != nil {
			t.Fatal(err)
		}
		rows := strings.SplitAfterN(string(raw), "\n", 66)[:65]
		path := filepath.Join(dir, split+".tsv")
		if err := os.WriteFile(path, []byte(strings.Join(rows, "")), 0o666); err != nil {
			t.Fatal(err)
		}
		text += "  data." + split + ": " + path + "\n"
	}
	s, err := Read(write(t, text+more))
	if err == nil {
		err = s.Check(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func options(t *testing.T) Options {
	return Options{Executable: os.Args[0], Device: "cpu", Progress: t.Output()}
}

// logs returns how often each cell was begun, by the logs of its processes.
func logs(t *testing.T, s *Sweep, what string) (counts []int) {
	t.Helper()
	for _, c := range s.Cells {
		text, err := os.ReadFile(filepath.Join(s.Out, "logs", c.Name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, strings.Count(string(text), what))
	}
	return counts
}

const started = "memory: weights " // train logs it once for each process

// TestRun trains a grid of which one cell diverges and one is killed, then again.
func TestRun(t *testing.T) {
	s := sweepOf(t, "  train.epochs: 2\ngrid:\n  method.rank: [2, 8]\n  optim.lr: [1.0e-3, 1.0e+30]\nparallel: 2\n")
	const diverges, killed = "demo-rank=2-lr=1.0e+30", "demo-rank=8-lr=1.0e-3"
	s.Cells = s.Cells[:3]
	t.Setenv(killAt, killed)
	err := s.Run(t.Context(), options(t))
	if !errors.Is(err, ErrFailed) {
		t.Fatalf("got %v, want ErrFailed", err)
	}
	for _, want := range []string{
		"2 of 3 cells failed", "\n  " + diverges + ": exit code 1: ", "not finite",
		"\n  " + killed + ": was ended by signal killed; if memory ran out",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	os.Unsetenv(killAt)
	err = s.Run(t.Context(), options(t))
	if !errors.Is(err, ErrFailed) || strings.Contains(err.Error(), killed) || !strings.Contains(err.Error(), diverges) {
		t.Errorf("second time: %v; want only %s to fail", err, diverges)
	}
	if got := fmt.Sprint(logs(t, s, started)); got != "[1 2 2]" {
		t.Errorf("cells were begun %s times; want [1 2 2]", got)
	}
	if got := fmt.Sprint(logs(t, s, "resuming from")); got != "[0 0 1]" {
		t.Errorf("cells were continued %s times; want [0 0 1]", got)
	}
	sum, err := s.Summary()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(sum); err != nil {
		t.Fatal(err)
	}
	// Four layers with A [r, 128] and B [128, r].
	for i, want := range []int{4 * 2 * 128 * 2, 0, 4 * 2 * 128 * 8} {
		if got := sum.Groups[i].Parameters.Max; got != want {
			t.Errorf("%s has %d parameters, want %d", sum.Groups[i].Name, got, want)
		}
	}
	if fmt.Sprint(sum.Failed) != "["+diverges+"]" || sum.Best[0].Of != 2 {
		t.Errorf("summary %+v", sum)
	}
}

// TestRowsOfDecoders: a sweep over runs that learn to predict tokens names the cell with the lowest perplexity as the
// best, and knows its finished cells again. One of the rows has no token to predict and is left out of the runs.
func TestRowsOfDecoders(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	dir := t.TempDir()
	rows := `{"prompt": "` + strings.Repeat("Once upon a time ", 30) + `", "completion": " there were dogs."}` + "\n"
	for i := range 12 {
		rows += fmt.Sprintf(`{"prompt": "There were %d", "completion": " little dogs who liked to play."}`+"\n", i)
	}
	file := filepath.Join(dir, "rows.jsonl")
	if err := os.WriteFile(file, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(dir, "run.yaml")
	if err := os.WriteFile(base, []byte("model: demo/decoder\ndata: {task: instruct, train: "+file+", dev: 0.25, "+
		"max_length: 32}\nmethod: {name: lora}\ntrain: {batch_size: 3, epochs: 2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Read(write(t, "base: "+base+"\nout: "+filepath.Join(dir, "out")+"\ngrid:\n  optim.lr: [1.0e-6, 1.0e-2]\n"))
	if err == nil {
		err = errors.Join(s.Check(nil), s.Run(t.Context(), options(t)), s.Check(nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	sum, err := s.Summary()
	if err != nil {
		t.Fatal(err)
	}
	slow, fast := sum.Groups[0].Score.Mean, sum.Groups[1].Score.Mean
	if b := sum.Best[0]; b.Group != sum.Groups[1].Name || b.Metric != metric.Perplexity || !(fast < slow) {
		t.Errorf("the best is %+v, of perplexities %v and %v", b, slow, fast)
	}
}

// TestExtendedCell adds an epoch to a cell that is done. The cell is trained further,
// and is done again afterwards.
func TestExtendedCell(t *testing.T) {
	s := sweepOf(t, "  train.epochs: 1\n  method.rank: 2\ngrid: {seed: [1]}\n")
	run := func() {
		t.Helper()
		if err := s.Run(t.Context(), options(t)); err != nil {
			t.Fatal(err)
		}
	}
	run()
	c := &s.Cells[0]
	c.Sets = append(c.Sets, Setting{Key: "train.extend_epochs", Value: "[1]"})
	if err := s.Check(nil); err != nil {
		t.Fatal(err)
	}
	if s.done(*c) {
		t.Error("the results of the shorter run count as those of the cell")
	}
	run()
	run()
	if got := fmt.Sprint(logs(t, s, started), logs(t, s, "resuming from")); got != "[2] [1]" || !s.done(*c) {
		t.Errorf("the cell was begun and continued %s times, and is done: %v; want [2] [1], true", got, s.done(*c))
	}
	c.Sets = append(c.Sets, Setting{Key: "train.epochs", Value: "2"})
	if err := s.Check(nil); err == nil || !strings.Contains(err.Error(), "train.epochs: 1 in the run, 2 now") {
		t.Errorf("other epochs: %v", err)
	}
}

// saved reports whether a run has a checkpoint. Until it is complete, it has another name.
func saved(run string) bool {
	entries, _ := os.ReadDir(run)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return checkpointName.MatchString(e.Name()) })
}

var checkpointName = regexp.MustCompile(`^checkpoint-\d+$`)

// TestInterrupt: the running cell saves, and the others are not started.
func TestInterrupt(t *testing.T) {
	// The run is long, so that it has not ended when a busy machine sees its first checkpoint.
	s := sweepOf(t, "  train.epochs: 1000\ngrid: {seed: [1, 2]}\n")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if saved(s.Dir(s.Cells[0])) {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	err := s.Run(ctx, options(t))
	if !errors.Is(err, train.ErrInterrupted) || !strings.Contains(err.Error(), "0 of 2 cells are done") {
		t.Fatalf("got %v, want ErrInterrupted", err)
	}
	if _, err := os.Stat(s.Dir(s.Cells[1])); err == nil {
		t.Error("the second cell was begun after the interrupt")
	}
	text, err := os.ReadFile(filepath.Join(s.Out, "logs", s.Cells[0].Name+".log"))
	if err != nil || !strings.Contains(string(text), "interrupted; the state is in") {
		t.Errorf("the first cell did not save: %v, %s", err, text)
	}
}

// TestCheck checks that every mistake of every cell is named before anything
// trains.
func TestCheck(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	t.Setenv("HF_HUB_CACHE", "no-cache")
	for _, tt := range []struct{ name, text, want string }{
		{"keys", "set:\n  optim.lrr: 1\ngrid:\n  method.rank: [8, 0]\n  method.alhpa: [1,\n    2]\n", `
sweep: FILE:4:3: optim.lrr: unknown key; did you mean optim.lr?
sweep: FILE:7:3: method.alhpa: unknown key; did you mean method.alpha?
sweep: FILE:8:5: method.alhpa: unknown key; did you mean method.alpha?`},
		{"values", "grid:\n  method.rank: [8, 0, x]\n", `
sweep: FILE:4:3: method.rank=0: is 0; want 1 to 256
sweep: FILE:4:3: method.rank=x: is "x", a string; want an integer`},
		{"zero", "grid:\n  optim.lr: [1e-3, 0]\n", `
sweep: FILE:4:3: optim.lr=0: is 0; want more than 0, or null for the default: that of the method, 1e-3 for lor2c`},
		{"files", "runs:\n  - {name: a, set: {model: none}}\n  - {name: b, set: {data.dev: none.tsv}}\n", `
model: open none: there is no such directory, and the Hugging Face cache in no-cache has no snapshot of such a model; ` +
			`fetch it with: hf download none --local-dir models/none, and set model: models/none
dataset: data.dev: no file "none.tsv"; want a .csv, .tsv or .jsonl file`},
		{"schedule", "grid: {schedule.max_merges: [0, 1, 4]}\nset: {train.epochs: 8}\n", `
sweep: plan demo-max_merges=4: schedule.max_merges: is 4; want at most 3, because a model of 4 layers allows no more merges`},
	} {
		t.Run("case="+tt.name, func(t *testing.T) {
			file := write(t, "base: configs/demo.yaml\nout: "+t.TempDir()+"\n"+tt.text)
			s, err := Read(file)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Check(nil)
			want := strings.TrimPrefix(strings.ReplaceAll(tt.want, "FILE", file), "\n")
			if err == nil || err.Error() != want {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
		})
	}
	t.Run("case=other run", func(t *testing.T) {
		out := t.TempDir()
		s := &Sweep{Out: out, Parallel: 1, Cells: []Cell{{Name: "a", Base: "configs/demo.yaml"}}}
		if err := s.Check(nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(out, "a"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(out, "a", train.ConfigFile), s.Cells[0].config.YAML(), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(nil); err != nil {
			t.Errorf("the cell's own run: %v", err)
		}
		s.Cells[0].Sets = []Setting{{Key: "seed", Value: "5"}}
		if err := s.Check(nil); !errors.Is(err, train.ErrOtherRun) ||
			!strings.Contains(err.Error(), "seed: 17 in the run, 5 now") {
			t.Errorf("another run: %v", err)
		}
	})
}
