package train

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
)

// demoDir has the demo's encoder. With it and the first lines of the demo's
// data, a real run takes a second.
const demoDir = "../../demo"

// demoConfig returns a run with the given number of training examples that
// writes to dir/run.
func demoConfig(t testing.TB, dir string, rows int) *config.Config {
	t.Helper()
	// Tests neither read nor write the user's cache.
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	for split, n := range map[string]int{"train": rows, "dev": 24} {
		head(t, filepath.Join(demoDir, "data", split+".tsv"), filepath.Join(dir, split+".tsv"), n+1)
	}
	c := config.Default()
	c.Model = filepath.Join(demoDir, "model")
	c.Data.Task, c.Data.Text, c.Data.Label = "custom", []string{"text"}, "label"
	c.Data.Train, c.Data.Dev, c.Data.MaxLength = filepath.Join(dir,
		"train.tsv"), dataset.Source(filepath.Join(dir, "dev.tsv")), 32
	c.Data.Labels = []string{"act", "animal", "artifact", "body", "communication", "food", "location", "person", "plant",
		"substance"}
	c.Optim.LR, c.Optim.HeadLRRatio = 3e-3, 0.5
	c.Train.BatchSize, c.Train.Epochs, c.Train.LogEvery, c.Train.SaveEvery = 8, 2, 3, 2
	c.Out = filepath.Join(dir, "run")
	c.Resolve()
	return &c
}

func head(t testing.TB, from, to string, lines int) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out bytes.Buffer
	for s := bufio.NewScanner(in); lines > 0 && s.Scan(); lines-- {
		out.Write(s.Bytes())
		out.WriteByte('\n')
	}
	if err := os.WriteFile(to, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func quiet(workers int) Options {
	return Options{Device: cpu.Open[float32](workers), Resume: "auto", Stdout: io.Discard, Stderr: io.Discard}
}

// contents returns the bytes of every file of a run that must not depend on
// interruptions, by name.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		for _, exempt := range []string{"events.out", "env", "timing", "log.txt", "config.resolved", lockFile} {
			if strings.HasPrefix(name, exempt) {
				return nil
			}
		}
		if e.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			files[name] = "-> " + to
			return err
		}
		raw, err := os.ReadFile(path)
		files[name] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameFiles(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, w := range want {
		if g, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if g != w {
			t.Errorf("%s differs", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s exists, which the uninterrupted run does not have", name)
		}
	}
}

// TestSameBytes: a configuration determines every byte of a run, whatever the
// number of workers.
func TestSameBytes(t *testing.T) {
	dir := t.TempDir()
	c := demoConfig(t, dir, 40)
	var first map[string]string
	for _, workers := range []int{1, 2, 3} {
		c.Out = filepath.Join(dir, strconv.Itoa(workers))
		if _, err := Run(context.Background(), c, quiet(workers)); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = contents(t, c.Out)
			continue
		}
		sameFiles(t, contents(t, c.Out), first)
	}
	if n := len(first); n < 20 {
		t.Errorf("a run has %d files; want adapter, head, optimizer, state and logs", n)
	}
}

const killedRun = "LOR2C_TEST_KILLED_RUN"

// TestMain runs the training that TestKill kills if an environment variable
// asks for it.
func TestMain(m *testing.M) {
	if file := os.Getenv(killedRun); file != "" {
		c, err := config.Load(file, nil, nil)
		if err == nil {
			_, err = Run(context.Background(), c, quiet(0))
		}
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestKill kills a run with SIGKILL at random moments and resumes it. The files
// must be those of an uninterrupted run. LOR2C_KILLS sets the number of kills of
// the run with events; the other has half of them. TestKillEveryMethod continues a
// run of every method.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes, which -short leaves out")
	}
	kills := killCount(t)
	t.Run("schedule=none", func(t *testing.T) {
		testKill(t, demoConfig(t, t.TempDir(), 72), (kills+1)/2)
	})
	t.Run("schedule=events", func(t *testing.T) {
		c := demoConfig(t, t.TempDir(), 72)
		c.Train.Epochs, c.Train.LogGradients = 4, true
		c.Schedule.Timing, c.Schedule.MaxMerges, c.Schedule.MaxInjects = "steps", 2, 2
		c.Schedule.WhatIf, c.Schedule.Until = 8, 1
		testKill(t, c, kills)
		kinds := map[string]int{}
		for _, e := range events(t, c.Out) {
			if kinds[e.Action]++; e.Loss == nil {
				t.Errorf("no what-if loss of the %s after step %d", e.Action, e.Step)
			}
		}
		if kinds["merge"] == 0 || kinds["inject"] == 0 || len(kinds) != 2 {
			t.Errorf("events are %v; want merges and injections", kinds)
		}
	})
}

// killCount returns the number of kills.
func killCount(t *testing.T) int {
	t.Helper()
	s := os.Getenv("LOR2C_KILLS")
	if s == "" {
		return 4
	}
	kills, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return kills
}

func testKill(t *testing.T, c *config.Config, kills int) {
	dir := filepath.Dir(c.Out)
	c.Out = filepath.Join(dir, "uninterrupted")
	started := time.Now()
	if err := process(t, c).Run(); err != nil {
		t.Fatal(err)
	}
	length := time.Since(started)
	want := contents(t, c.Out)

	c.Out = filepath.Join(dir, "killed")
	r := rand.New(rand.NewPCG(uint64(kills), 1))
	died := 0
	for died < kills {
		p := process(t, c)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.Float64() * float64(length)))
		p.Process.Kill()
		if p.Wait() != nil {
			died++
		}
		// A run that has finished is started again, so that every kill counts.
		if _, err := os.Stat(filepath.Join(c.Out, "all_results.json")); err == nil {
			sameFiles(t, contents(t, c.Out), want)
			os.RemoveAll(c.Out)
		}
	}
	if err := process(t, c).Run(); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, contents(t, c.Out), want)
	t.Logf("%d processes were killed before they finished", died)
}

func process(t *testing.T, c *config.Config) *exec.Cmd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "run.yaml")
	if err := os.WriteFile(file, c.YAML(), 0o644); err != nil {
		t.Fatal(err)
	}
	p := exec.Command(os.Args[0])
	p.Env = append(os.Environ(), killedRun+"="+file)
	p.Stderr = os.Stderr
	return p
}

// TestInterrupt: a cancelled run saves its state at the next step and continues to the files of an uninterrupted one,
// with the same checkpoints. The methods are those whose state changes between steps, and one that has no state.
// TestKillEveryMethod continues a run of every method.
func TestInterrupt(t *testing.T) {
	for _, method := range []string{"lor2c", "adalora", "aslora", "lora"} {
		t.Run("method="+method, func(t *testing.T) {
			dir := t.TempDir()
			c := demoConfig(t, dir, 40)
			c.Train.SaveEvery = 0
			if c.Method.Name() != method {
				c.Method, c.Train.Epochs = adapter.NewConfig(method), 1
				c.Resolve()
			}
			if _, err := Run(context.Background(), c, quiet(1)); err != nil {
				t.Fatal(err)
			}
			want := contents(t, c.Out)
			c.Out = filepath.Join(dir, "interrupted")
			for {
				ctx, cancel := context.WithCancel(context.Background())
				o := quiet(1)
				o.Began = cancel // every process gets through one step
				_, err := Run(ctx, c, o)
				if err == nil {
					break
				}
				if !errors.Is(err, ErrInterrupted) {
					t.Fatal(err)
				}
			}
			sameFiles(t, contents(t, c.Out), want)
		})
	}
}

// TestOutputDirectory checks what a run does with a directory that is in use.
func TestOutputDirectory(t *testing.T) {
	dir := t.TempDir()
	c := demoConfig(t, dir, 16)
	c.Train.Epochs = 1
	if _, err := Run(context.Background(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	before := contents(t, c.Out)
	t.Run("config=same", func(t *testing.T) {
		if _, err := Run(context.Background(), c, quiet(1)); err != nil {
			t.Error(err)
		}
		sameFiles(t, contents(t, c.Out), before)
	})
	fails := func(name string, c *config.Config, o Options, want string) {
		t.Run("config="+name, func(t *testing.T) {
			_, err := Run(context.Background(), c, o)
			if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrOtherRun) {
				t.Errorf("error is %v; want one with %q", err, want)
			}
			sameFiles(t, contents(t, dir+"/run"), before)
		})
	}
	other := *c
	other.Optim.LR, other.Seed = 1e-4, 3
	fails("other", &other, quiet(1),
		"a new run in another directory:\n  optim.lr: 0.003 in the run, 0.0001 now\n  seed: 17 in the run, 3 now")
	never := quiet(1)
	never.Resume = "never"
	fails("never", c, never, "it has a run, and --resume is never")
	named := quiet(1)
	named.Resume = c.Out
	if _, err := Run(context.Background(), c, named); !place.IsMistake(err) ||
		!strings.HasSuffix(err.Error(), "name one of the checkpoints in it, such as "+filepath.Join(c.Out, "best")) {
		t.Errorf("--resume with a run directory: error is %v", err)
	}
	foreign := *c
	foreign.Out = dir // the data files are there
	fails("foreign", &foreign, quiet(1), "it has other files but no config.resolved.yaml")
	d, err := openDirectory(c.Out, func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	fails("locked", c, quiet(1), "another process is training in this directory")
}

// TestDamagedCheckpoint: if a checkpoint does not match its checksums, the run
// continues from the one before.
func TestDamagedCheckpoint(t *testing.T) {
	dir := t.TempDir()
	c := demoConfig(t, dir, 40)
	if _, err := Run(context.Background(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	want := contents(t, c.Out)
	last, _, err := checkpoint.Latest(c.Out, checkpointPrefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(last, "optimizer.safetensors"), []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, contents(t, c.Out), want)
}

// TestDamagedState: a checkpoint that --resume names is checked too, and an error names the file at fault.
func TestDamagedState(t *testing.T) {
	dir := t.TempDir()
	c := demoConfig(t, dir, 16)
	c.Train.Epochs = 1
	if _, err := Run(context.Background(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	last, _, err := checkpoint.Latest(c.Out, checkpointPrefix)
	if err != nil {
		t.Fatal(err)
	}
	c.Out = filepath.Join(dir, "other")
	o := quiet(1)
	o.Resume = last
	if _, err := Run(context.Background(), c, o); err != nil {
		t.Errorf("resume %s: %v", last, err)
	}
	sound := contents(t, last)
	layers := regexp.MustCompile(`"num_hidden_layers": \d+`)
	ends := regexp.MustCompile(`("last": )\d+(\s*}\s*\])`)
	for _, damage := range []struct {
		file   string
		change func(text string) string
		want   string
	}{
		{stateFile, func(string) string { return `{"format": 1, "step": "two"}` },
			"state.json:1:27: step holds a JSON string"},
		{stateFile, func(string) string { return `{"format": 2}` }, "the checkpoint has format 2; this lor2c reads 1"},
		{"lor2c.json", func(text string) string {
			return ends.ReplaceAllString(layers.ReplaceAllString(text, `"num_hidden_layers": 99`), "${1}98$2")
		}, filepath.Join("again", filepath.Base(last), "lor2c.json") + ": adapter: attach lor2c: module "},
	} {
		// The directory is written with its checksums, as another program might.
		err := checkpoint.WriteDir(last, func(tmp string) error {
			for name, text := range sound {
				if name == damage.file {
					text = damage.change(text)
				}
				if err := os.WriteFile(filepath.Join(tmp, name), []byte(text), 0o644); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Out = filepath.Join(dir, "again")
		if _, err := Run(context.Background(), c, o); err == nil || !strings.Contains(err.Error(), damage.want) {
			t.Errorf("error is %v; want one with %q", err, damage.want)
		}
	}
}

// TestReload: the saved adapters have the scores that the run logged. TestKillEveryMethod evaluates the best adapter of
// every method.
func TestReload(t *testing.T) {
	for _, method := range []string{"lor2c", "full"} {
		t.Run("method="+method, func(t *testing.T) {
			onlyLong(t, method != "lor2c")
			c := demoConfig(t, t.TempDir(), 24)
			c.Method, c.Train.Epochs = adapter.NewConfig(method), 1
			c.Resolve()
			got, err := Run(context.Background(), c, quiet(2))
			if err != nil {
				t.Fatal(err)
			}
			checkReload(t, c, "best", got)
			checkReload(t, c, "final", got)
		})
	}
}

// checkReload evaluates one of the adapters of a run, which have the scores that the run logged.
func checkReload(t *testing.T, c *config.Config, which string, got *Outcome) {
	t.Helper()
	e, err := Evaluate(context.Background(), c, cpu.Open[float32](1), filepath.Join(c.Out, which), "dev", nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.Loss != got.Dev.Loss || fmt.Sprint(e.Scores) != fmt.Sprint(got.Dev.Scores) {
		t.Errorf("%s scores %v, loss %v; the run said %v, %v", which, e.Scores, e.Loss, got.Dev.Scores, got.Dev.Loss)
	}
}

// TestNonFinite: a value that is not finite stops the run, the error names it,
// and the checkpoints can still be used.
func TestNonFinite(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 40)
	c.Optim.LR, c.Optim.WarmupRatio, c.Optim.Schedule = 1e30, 0, "constant"
	_, err := Run(context.Background(), c, quiet(2))
	var bad *NonFiniteError
	if !errors.As(err, &bad) {
		t.Fatalf("error is %v; want a NonFiniteError", err)
	}
	if bad.Step < 2 || !strings.HasPrefix(bad.Tensor, "the ") || !strings.Contains(bad.Examples[0], "train.tsv:") {
		t.Errorf("the error says step %d, %q at %q", bad.Step, bad.Tensor, bad.Examples)
	}
	if dir, _, err := checkpoint.Latest(c.Out, checkpointPrefix); err == nil {
		if _, err := adapter.Open(dir); err != nil {
			t.Error(err)
		}
	}
}
