package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/config"
)

// tree returns the names below dir; names of folders end in a slash.
func tree(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.IsDir() {
			path += "/"
		}
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func notBusy() bool { return false }

// TestInsideCheckpoint: no run begins inside a checkpoint, because pruning
// would remove it, and nothing is created there.
func TestInsideCheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "checkpoint-3")
	err := checkpoint.WriteDir(dir, func(tmp string) error { return os.WriteFile(filepath.Join(tmp, "x"), nil, 0o666) })
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	for _, path := range []string{dir, filepath.Join(dir, "runs", "new")} {
		if _, err := openDirectory(path, notBusy); !errors.Is(err, ErrOtherRun) ||
			!strings.Contains(err.Error(), "inside the saved directory") {
			t.Errorf("%s: error %v; want a refusal", path, err)
		}
	}
	if after := tree(t, dir); !slices.Equal(after, before) {
		t.Errorf("it contains %v now, and contained %v before", after, before)
	}
}

// TestOpenDirectory checks which directories a run may begin in, and that a
// directory that is refused is not changed.
func TestOpenDirectory(t *testing.T) {
	for _, tt := range []struct {
		name, files string // a name that ends in "/" is a folder
		inside      bool   // the directory is the working directory of the command
		held        bool
		refused     string
	}{
		{name: "empty"},
		{name: "hidden", files: ".gitkeep .gitignore .lock"},
		{name: "lost+found", files: "lost+found/"},
		{name: "unfinished", files: "config.resolved.yaml.lor2c-tmp-1-0123456789abcdef"},
		{name: "started",
			files: "config.resolved.yaml metrics.jsonl metrics.csv timing.jsonl log.txt events.out.tfevents.0000000001.h " +
				"env.json"},
		{name: "logged", files: "config.resolved.yaml metrics.jsonl=x", held: true},
		{name: "saved", files: "config.resolved.yaml checkpoint-3/", held: true},
		{name: "finished", files: "config.resolved.yaml all_results.json", held: true},
		{name: "foreign", files: "notes.txt thesis.tex",
			refused: "it has other files but no config.resolved.yaml: notes.txt, thesis.tex; choose"},
		{name: "here", files: "run.yaml train.csv", inside: true},
		{name: "here-logs", files: "run.yaml log.txt final/", inside: true,
			refused: "a run would overwrite final, log.txt; choose another directory"},
		{name: "headless", files: "checkpoint-3/", refused: "a run would overwrite checkpoint-3"},
	} {
		t.Run("holds="+tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			for _, name := range strings.Fields(tt.files) {
				name, text, _ := strings.Cut(name, "=")
				path, isDir := strings.CutSuffix(filepath.Join(dir, name)+strings.Repeat("/", strings.Count(name, "/")), "/")
				err := error(nil)
				if isDir {
					err = os.Mkdir(path, 0o777)
				} else {
					err = os.WriteFile(path, []byte(text), 0o666)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			before, name := tree(t, dir), dir
			if tt.inside {
				t.Chdir(dir)
				name = "."
			}
			d, err := openDirectory(name, notBusy)
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) || !errors.Is(err, ErrOtherRun) {
					t.Errorf("error is %v; want one with %q", err, tt.refused)
				}
				if after := tree(t, dir); !slices.Equal(after, before) {
					t.Errorf("it contains %v now, and contained %v before", after, before)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d.held != tt.held {
				t.Errorf("held is %t; want %t", d.held, tt.held)
			}
			if _, err := openDirectory(name, notBusy); !errors.Is(err, checkpoint.ErrLocked) {
				t.Errorf("a second time: %v; want ErrLocked", err)
			}
			if err := d.check(); err != nil {
				t.Error(err)
			}
			if err := os.Remove(filepath.Join(dir, lockFile)); err != nil {
				t.Fatal(err)
			}
			if err := d.check(); err == nil || !strings.Contains(err.Error(), ".lock was removed or replaced") {
				t.Errorf("without the lock file: %v", err)
			}
			d.close()
		})
	}
}

// TestRefusedLeavesNothing: a run that ends before its first step removes the
// directory and the parents that it created.
func TestRefusedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	c := demoConfig(t, dir, 16)
	c.Out = filepath.Join(dir, "a", "b", "run")
	c.Schedule.MaxMerges = 100
	if _, err := Run(context.Background(), c, quiet(1)); err == nil || !strings.Contains(err.Error(), "max_merges") {
		t.Fatalf("error is %v; want too many merges", err)
	}
	if exists(filepath.Join(dir, "a")) {
		t.Errorf("left %v", tree(t, filepath.Join(dir, "a")))
	}
	c.Out, c.Schedule.MaxMerges = filepath.Join(dir, "train.tsv", "run"), 0
	if _, err := Run(context.Background(), c, quiet(1)); err == nil || !strings.Contains(err.Error(), "train.tsv/run: ") {
		t.Errorf("below a file: error is %v", err)
	}
}

// TestWait: a run that may wait for another process begins when that process
// has ended. The end of its context ends the waiting.
func TestWait(t *testing.T) {
	for _, stops := range []bool{false, true} {
		t.Run(fmt.Sprintf("stops=%t", stops), func(t *testing.T) {
			c := demoConfig(t, t.TempDir(), 8)
			c.Train.Epochs = 1
			other, err := openDirectory(c.Out, notBusy)
			if err != nil {
				t.Fatal(err)
			}
			defer other.close()
			_, err = Run(t.Context(), c, quiet(1))
			const want = ": another process is training in this directory; wait for it, or choose another with --out"
			if !errors.Is(err, ErrOtherRun) || !errors.Is(err, checkpoint.ErrLocked) ||
				err.Error() != "train: open "+c.Out+want {
				t.Fatalf("without waiting: %v", err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var said strings.Builder
			o := quiet(1)
			o.Wait, o.Stderr = true, writerFunc(func(text []byte) (int, error) {
				if said.Len() == 0 && stops {
					stop()
				} else if said.Len() == 0 {
					other.close()
				}
				return said.Write(text)
			})
			_, err = Run(ctx, c, o)
			if !strings.HasPrefix(said.String(), "another process is training in "+c.Out+"; waiting for it\n") {
				t.Errorf("said %q", said.String())
			}
			if stops != errors.Is(err, ErrOtherRun) || !stops && err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}

// writerFunc is a writer that calls a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestStartAgain: a start that took no step does not claim the directory, so
// another configuration may begin there.
func TestStartAgain(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 16)
	c.Train.Epochs = 1
	other := *c
	other.Optim.LR = 1
	if err := errors.Join(os.Mkdir(c.Out, 0o777), os.WriteFile(filepath.Join(c.Out, ConfigFile), other.YAML(), 0o666),
		os.WriteFile(filepath.Join(c.Out, "metrics.jsonl"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(filepath.Join(c.Out, ConfigFile), nil, nil)
	if err != nil || got.Optim.LR != c.Optim.LR {
		t.Errorf("the run file has optim.lr=%v, %v; want %v", got.Optim.LR, err, c.Optim.LR)
	}
}

// TestFailedStarts: a start that fails before its first step, as on a full disk, leaves a
// directory in which the next one begins, however many fail.
func TestFailedStarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	for range 3 {
		d, err := openDirectory(dir, notBusy)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(filepath.Join(dir, ConfigFile), nil, 0o666), // written first
			os.WriteFile(filepath.Join(dir, "log.txt"), nil, 0o666)); err != nil {
			t.Fatal(err)
		}
		d.begun = !d.configured // the first start fails after it has written its files, and the others before
		d.close()
	}
}

// TestSetAside: a file in the place of a file of the run is renamed, the log
// says so, and the run ends as without it.
func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	c := demoConfig(t, dir, 40)
	if _, err := Run(context.Background(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	want := contents(t, c.Out)
	c.Out = filepath.Join(dir, "again")
	breakOff(t, c)
	path := func(name string) string { return filepath.Join(c.Out, name) }
	var said strings.Builder
	o := quiet(1)
	o.Stderr = &said
	if err := errors.Join(os.Mkdir(path("checkpoint-4"), 0o777), os.WriteFile(path("checkpoint-4/note"), nil, 0o666),
		os.WriteFile(path("checkpoint-6"), nil, 0o666), os.Symlink("elsewhere", path("checkpoint-8")),
		os.Mkdir(path("best"), 0o777), os.WriteFile(path("final"), nil, 0o666),
		os.WriteFile(path("final.bad"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), c, o); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"checkpoint-4", "checkpoint-6", "checkpoint-8", "best", "final"} {
		to := name + ".bad"
		if name == "final" {
			to = "final.bad-2"
		}
		if !exists(path(to)) || !strings.Contains(said.String(), "renamed "+path(name)+" to "+path(to)+": ") {
			t.Errorf("%s was not renamed, or the log does not say so: %v\n%s", name, tree(t, c.Out), &said)
		}
		os.RemoveAll(path(to))
	}
	os.Remove(path("final.bad"))
	sameFiles(t, contents(t, c.Out), want)
}

// TestPrune checks which checkpoints are kept.
func TestPrune(t *testing.T) {
	for _, tt := range []struct {
		name       string
		there      string // * marks a damaged checkpoint
		best, now  int
		keep       int
		want       string
		everySteps int
	}{
		{name: "newest", there: "5 10 15 20", best: 10, now: 20, keep: 2, want: "10 15 20", everySteps: 5},
		{name: "best-is-last", there: "5 10 15 20", best: 20, now: 20, keep: 2, want: "10 15 20", everySteps: 5},
		{name: "damaged-newer", there: "5 10 15 17*", best: 5, now: 15, keep: 1, want: "5 15 17*", everySteps: 5},
		{name: "damaged-older", there: "5 10 15* 20", best: 5, now: 20, keep: 2, want: "5 10 20", everySteps: 5},
		{name: "interrupted", there: "5 10 15 17", best: 5, now: 17, keep: 2, want: "5 10 15 17", everySteps: 5},
		{name: "after-interrupt", there: "5 10 15 17 20", best: 5, now: 20, keep: 2, want: "5 15 20", everySteps: 5},
		{name: "epochs", there: "5 10 15 20", best: 20, now: 20, keep: 1, want: "10 20"},
	} {
		t.Run("case="+tt.name, func(t *testing.T) {
			out := t.TempDir()
			for _, step := range strings.Fields(tt.there) {
				step, damaged := strings.CutSuffix(step, "*")
				dir := filepath.Join(out, checkpointPrefix+step)
				err := checkpoint.WriteDir(dir,
					func(tmp string) error { return os.WriteFile(filepath.Join(tmp, "a"), []byte("x"), 0o666) })
				if err == nil && damaged {
					err = os.WriteFile(filepath.Join(dir, "a"), []byte("y"), 0o666)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			// A name that only resembles that of a checkpoint is ignored.
			if err := os.Mkdir(filepath.Join(out, "checkpoint-007"), 0o777); err != nil {
				t.Fatal(err)
			}
			c := &config.Config{Train: config.Train{BatchSize: 1, KeepCheckpoints: tt.keep, SaveEvery: tt.everySteps}}
			r := &run{timetable: newTimetable(c, 10), out: out, session: &Session{Config: c}, verified: map[int]bool{}}
			r.state.Step, r.state.Best.Step = tt.now, tt.best
			if err := r.prune(); err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for _, step := range strings.Fields(tt.want) {
				want = append(want, checkpointPrefix+strings.TrimSuffix(step, "*"))
			}
			want = append(want, "checkpoint-007")
			entries, err := os.ReadDir(out)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				got = append(got, e.Name())
			}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("left %v; want %v", got, want)
			}
		})
	}
}
