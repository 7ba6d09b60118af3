package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/identity"
)

// shortRun returns a finished run of two epochs of two steps on a copy of the
// demo's model. All its files are below dir. The name of the model's folder would
// be a malformed pattern.
func shortRun(t *testing.T, dir string) *config.Config {
	t.Helper()
	c := demoConfig(t, dir, 16)
	c.Train.SaveEvery = 1
	c.Model = filepath.Join(dir, "model [v1")
	if err := os.CopyFS(c.Model, os.DirFS(filepath.Join(demoDir, "model"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	return c
}

// copied returns a copy of the run of shortRun in another directory.
func copied(t *testing.T, c *config.Config) *config.Config {
	t.Helper()
	from, to := filepath.Dir(c.Out), t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	own := *c
	own.Data.Labels = slices.Clone(c.Data.Labels)
	for _, path := range []*string{&own.Model, &own.Out, &own.Data.Train, (*string)(&own.Data.Dev)} {
		*path = filepath.Join(to, strings.TrimPrefix(*path, from))
	}
	return &own
}

// edit replaces a text in a file, which must contain it.
func edit(t *testing.T, path, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), from, to, 1)
	if text == string(raw) {
		t.Fatalf("%s does not contain %q", path, from)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rewrite changes the files of a checkpoint directory and updates their
// checksums, as another program might.
func rewrite(t *testing.T, dir string, change func(files map[string]string)) {
	t.Helper()
	files := contents(t, dir)
	change(files)
	err := checkpoint.WriteDir(dir, func(tmp string) error {
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(tmp, name), []byte(text), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestOtherInput: a run continues from a checkpoint only with the inputs that
// the checkpoint was made from, and otherwise the error lists the differences.
// An adapter is evaluated only on its own base model.
func TestOtherInput(t *testing.T) {
	original := shortRun(t, t.TempDir())
	for name, c := range map[string]struct {
		change func(t *testing.T, c *config.Config)
		want   string // "" if there is no error
		base   bool   // the evaluation is refused too
	}{
		"train text": {func(t *testing.T, c *config.Config) { edit(t, c.Data.Train, "\n", "\nx ") },
			"data train: 16 examples", false},
		"train row": {func(t *testing.T, c *config.Config) { head(t, demoDir+"/data/train.tsv", c.Data.Train, 16) }, "now",
			false},
		"dev row": {func(t *testing.T, c *config.Config) { head(t, demoDir+"/data/dev.tsv", string(c.Data.Dev), 24) },
			"data dev: 24 examples", false},
		"labels": {func(_ *testing.T, c *config.Config) { l := c.Data.Labels; l[0], l[1] = l[1], l[0] },
			`label of class 0: "act" in the run, "animal" now`, false},
		"seed": {func(_ *testing.T, c *config.Config) { c.Seed = 3 }, "seed: 17 in the run, 3 now", false},
		"lr":   {func(_ *testing.T, c *config.Config) { c.Optim.LR = 1 }, "optim.lr: 0.003 in the run, 1 now", false},
		"alpha": {func(_ *testing.T, c *config.Config) { c.Method = c.Method.With(adapter.Values{"alpha": 99}) },
			"method.alpha: 16 in the run, 99 now", false},
		"max_length": {func(_ *testing.T, c *config.Config) { c.Data.MaxLength = 16 },
			"data.max_length: 32 in the run, 16 now", false},
		"batch_size": {func(_ *testing.T, c *config.Config) { c.Train.BatchSize, c.Train.MicroBatchSize = 16, 8 },
			"train.batch_size: 8 in the run, 16 now", false},
		"epochs": {func(_ *testing.T, c *config.Config) { c.Train.Epochs = 3 }, "train.epochs: 2 in the run, 3 now",
			false},
		"metric": {func(_ *testing.T, c *config.Config) { c.Data.Metric = "matthews" },
			"data.metric: accuracy in the run, matthews now", false},
		"own metric": {func(_ *testing.T, c *config.Config) { c.Data.Metric = "accuracy" }, "", false},
		"heads": {func(t *testing.T, c *config.Config) {
			edit(t, c.Model+"/config.json", `"num_attention_heads": 4`, `"num_attention_heads": 8`)
		}, "config.json: num_attention_heads: 4 in the run, 8 now", true},
		"tokenizer": {func(t *testing.T, c *config.Config) {
			edit(t, c.Model+"/tokenizer_config.json", `"add_prefix_space": false`, `"add_prefix_space": true`)
		}, "tokenizer: SHA-256", true},
		"weights": {func(t *testing.T, c *config.Config) { flip(t, c.Model+"/model.safetensors") }, "weights: SHA-256", true},
		"spelling": {func(_ *testing.T, c *config.Config) {
			c.Model, c.Data.Train = c.Model+"/", filepath.Dir(c.Model)+"/./train.tsv"
		}, "", false},
		"other place": {func(t *testing.T, c *config.Config) { c.Model = moved(t, c.Model) }, "", false},
		"line ends": {func(t *testing.T, c *config.Config) {
			raw, err := os.ReadFile(c.Data.Train)
			if err != nil {
				t.Fatal(err)
			}
			c.Data.Train = filepath.Join(t.TempDir(), "t.tsv")
			if err := os.WriteFile(c.Data.Train, []byte(strings.ReplaceAll(string(raw), "\n", "\r\n")), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "", false},
		"log_every": {func(_ *testing.T, c *config.Config) {
			c.Train.LogEvery, c.Train.KeepCheckpoints, c.Data.Test = 7, 1, string(c.Data.Dev)
		}, "", false},
	} {
		t.Run("change="+name, func(t *testing.T) {
			onlyLong(t, !slices.Contains([]string{"train row", "labels", "weights", "spelling"}, name))
			run := copied(t, original)
			from := filepath.Join(copied(t, original).Out, "checkpoint-3")
			c.change(t, run)
			named := quiet(1)
			named.Resume = from
			elsewhere := *run
			elsewhere.Out = filepath.Join(t.TempDir(), "elsewhere")
			for way, err := range map[string]error{
				"same directory":  second(Run(context.Background(), run, quiet(1))),
				"other directory": second(Run(context.Background(), &elsewhere, named)),
			} {
				if c.want == "" {
					if err != nil {
						t.Errorf("%s: %v", way, err)
					}
					continue
				}
				kind := ErrOtherRun
				if c.base {
					kind = adapter.ErrMismatch
				}
				if !errors.Is(err, kind) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: error is %v; want one of %v with %q", way, err, kind, c.want)
				}
			}
			run.Data.MaxLength = 32
			_, err := Evaluate(context.Background(), run, cpu.Open[float32](1), filepath.Join(run.Out, "best"), "dev", nil)
			if c.base != (errors.Is(err, adapter.ErrMismatch) && strings.Contains(err.Error(), c.want)) && name != "labels" {
				t.Errorf("evaluate: %v", err)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// flip changes the last bit of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

// moved renames a directory.
func moved(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		t.Fatal(err)
	}
	return dir + "-moved"
}

// TestOlderDirectory: checkpoints from before there were manifests can be
// loaded. The run says what it could not check, and checks what they do
// contain.
func TestOlderDirectory(t *testing.T) {
	onlyLong(t, true)
	run := shortRun(t, t.TempDir())
	for _, step := range []string{"3", "4"} {
		rewrite(t, filepath.Join(run.Out, checkpointPrefix+step),
			func(files map[string]string) { delete(files, identity.File) })
	}
	var said strings.Builder
	o := quiet(1)
	o.Stderr = &said
	if _, err := Run(context.Background(), run, o); err != nil {
		t.Fatal(err)
	}
	if want := "checkpoint-4 was written by an older lor2c, which did not record all inputs: tokenizer, config.json, " +
		"data could not be checked"; !strings.Contains(said.String(), want) {
		t.Errorf("the run said %q; want %q in it", said.String(), want)
	}
	for name, c := range map[string]struct {
		change func(c *config.Config)
		want   string
	}{
		"lr": {func(c *config.Config) { c.Optim.LR = 1 }, "optim.lr: 0.003 in the run, 1 now"},
		"alpha": {func(c *config.Config) { c.Method = c.Method.With(adapter.Values{"alpha": 99}) },
			"method.alpha: 16 in the run, 99 now"},
		"labels": {func(c *config.Config) {
			c.Data.Labels = slices.Clone(c.Data.Labels)
			slices.Reverse(c.Data.Labels)
		}, `label of class 0: "act" in the run, "substance" now`},
	} {
		t.Run("change="+name, func(t *testing.T) {
			other := *run
			c.change(&other)
			for _, alone := range []bool{false, true} {
				o := quiet(1)
				o.Resume = filepath.Join(run.Out, "checkpoint-3")
				if alone { // without the run file beside it
					o.Resume = filepath.Join(t.TempDir(), "checkpoint-3")
					if err := os.CopyFS(o.Resume, os.DirFS(filepath.Join(run.Out, "checkpoint-3"))); err != nil {
						t.Fatal(err)
					}
				}
				other.Out = filepath.Join(t.TempDir(), "new")
				_, err := Run(context.Background(), &other, o)
				if refused := err != nil && strings.Contains(err.Error(), c.want); refused == (alone && name == "lr") {
					t.Errorf("alone %v: error is %v; want %q", alone, err, c.want)
				}
			}
		})
	}
}

// TestDamagedCheckpoints: a run whose checkpoints are all damaged stops with an
// error, and starts again only if --resume says so.
func TestDamagedCheckpoints(t *testing.T) {
	run := shortRun(t, t.TempDir())
	want := contents(t, run.Out)
	for _, step := range []string{"2", "3", "4"} {
		if path := filepath.Join(run.Out, checkpointPrefix+step, stateFile); exists(path) {
			flip(t, path)
		}
	}
	_, err := Run(context.Background(), run, quiet(1))
	if err == nil ||
		!strings.Contains(err.Error(),
			"checkpoints (3) is valid; the newest: checkpoint: verify "+run.Out+"/checkpoint-4: state.json is corrupt") {
		t.Errorf("error is %v", err)
	}
	o := quiet(1)
	o.Resume = ResumeRestart
	if _, err := Run(context.Background(), run, o); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, contents(t, run.Out), want)
}

// TestSealedAdapter: an evaluation refuses a directory whose files do not match
// its checksums.
func TestSealedAdapter(t *testing.T) {
	run := shortRun(t, t.TempDir())
	best, err := filepath.EvalSymlinks(filepath.Join(run.Out, "best"))
	if err != nil {
		t.Fatal(err)
	}
	flip(t, filepath.Join(best, "adapter_model.safetensors"))
	_, err = Evaluate(context.Background(), run, cpu.Open[float32](1), filepath.Join(run.Out, "best"), "dev", nil)
	if !errors.Is(err, checkpoint.ErrCorrupt) {
		t.Errorf("evaluate: %v; want an error that the adapter is corrupt", err)
	}
	if _, err := Scalars(run.Out); !errors.Is(err, checkpoint.ErrCorrupt) {
		t.Errorf("count the adapter: %v; want an error that it is corrupt", err)
	}
}

// TestLostLog: a run does not write results without the log from which they are
// computed.
func TestLostLog(t *testing.T) {
	onlyLong(t, true)
	original := shortRun(t, t.TempDir())
	for name, change := range map[string]func(t *testing.T, path string){
		"lost":   func(t *testing.T, path string) { os.Remove(path) },
		"edited": func(t *testing.T, path string) { edit(t, path, `"best":true`, `"best":false`) },
		"cut":    func(t *testing.T, path string) { os.Truncate(path, 20) },
	} {
		t.Run("log="+name, func(t *testing.T) {
			run := copied(t, original)
			change(t, filepath.Join(run.Out, "metrics.jsonl"))
			before := contents(t, run.Out)
			_, err := Run(context.Background(), run, quiet(1))
			if want := "when the checkpoint was saved"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v; want one with %q", err, want)
			}
			sameFiles(t, contents(t, run.Out), before)
			o := quiet(1)
			o.Resume = ResumeRestart
			if _, err := Run(context.Background(), run, o); err != nil {
				t.Error(err)
			}
			// The other files contain the path of the model.
			got, want := contents(t, run.Out), contents(t, original.Out)
			for _, name := range []string{"metrics.jsonl", "all_results.json", "final/adapter_model.safetensors",
				"checkpoint-4/state.json"} {
				if got[name] != want[name] || want[name] == "" {
					t.Errorf("%s differs", name)
				}
			}
		})
	}
}

// TestOtherState: a checkpoint with a correct checksum and a state that cannot
// belong to the run is refused; the error names the key and the value.
func TestOtherState(t *testing.T) {
	original := shortRun(t, t.TempDir())
	const at = "checkpoint-3"
	for i, c := range []struct{ from, to, want string }{
		{`"step": 3,`, `"step": -5,`, "step is -5; the run has the steps 1 to 4"},
		{`"step": 3,`, `"step": 60,`, "step is 60; the run has the steps 1 to 4"},
		{`"step": 3,`, `"step": 2,`, `step is 2 in a directory named "checkpoint-3"`},
		{`"step": 3,`, `"Step": 3,`, `state.json:3:8: the key "Step" is "step" in another case`},
		{`"seed": 17`, `"seed": 4`, "seed is 4; the run's is 17"},
		{`"epoch": 1,`, `"epoch": 0,`, "epoch and index are 0 and 8; step 3 ends at 1 and 8"},
		{`"index": 8`, `"index": 9`, "epoch and index are 1 and 9"},
		{`"best": {
    "step": 2`, `"best": {
    "step": 7`, "best.step is 7; want 0 to 3"},
		{`"score": `, `"score": 9`, "best has the score 9"},
		{`"window_steps": 0`, `"window_steps": -1`, "window_steps is -1; want 0 to 3"},
		{`"window_loss": 0`, `"window_loss": 1`, "window_loss is 1 over 0 steps"},
		{`"total_loss": `, `"total_loss": -`, "less than window_loss"},
		{`"merges": 0`, `"merges": 2`, "schedule.merges is 2; want 0 to 0"},
		{`"done": 2`, `"done": 9`, "schedule.done is 9"},
		{`"born": {}`, `"born": {"nobody": 2}`, `born has "nobody" after step 2`},
		{`"format": 1,`, `"format": 1, "gradients": [1, 2],`, "there are sums of gradients, and the run logs none"},
	} {
		t.Run("to="+c.to, func(t *testing.T) {
			onlyLong(t, i > 3)
			run := copied(t, original)
			dir := filepath.Join(run.Out, at)
			rewrite(t, dir, func(files map[string]string) {
				text := strings.Replace(files[stateFile], c.from, c.to, 1)
				if text == files[stateFile] {
					t.Fatalf("%q is not in\n%s", c.from, text)
				}
				files[stateFile] = text
			})
			run.Out = filepath.Join(t.TempDir(), "new")
			o := quiet(1)
			o.Resume = dir
			_, err := Run(context.Background(), run, o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v; want one line with %q", err, c.want)
			}
		})
	}
	t.Run("to=null", func(t *testing.T) {
		if _, err := parseState("file", []byte("null")); err == nil || !strings.Contains(err.Error(), "format 0") {
			t.Errorf("error is %v", err)
		}
	})
}

// TestOtherMoments: moments that no optimizer can have are refused.
func TestOtherMoments(t *testing.T) {
	onlyLong(t, true)
	original := shortRun(t, t.TempDir())
	read := func(path string) (tensors []checkpoint.Tensor) {
		f, err := checkpoint.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, name := range f.Names() {
			_, shape, _ := f.Info(name)
			values := make([]float32, compute.Shape(shape).Len())
			if err := f.ReadInto(values, name); err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, checkpoint.Tensor{Name: name, Shape: shape, Data: values})
		}
		return tensors
	}
	for name, c := range map[string]struct {
		change func(tensors []checkpoint.Tensor) []checkpoint.Tensor
		want   string
	}{
		"nan": {func(ts []checkpoint.Tensor) []checkpoint.Tensor {
			ts[1].Data.([]float32)[3] = float32(math.NaN())
			return ts
		}, "is NaN at"},
		"negative square": {func(ts []checkpoint.Tensor) []checkpoint.Tensor {
			ts[len(ts)-1].Data.([]float32)[3] = -1
			return ts
		}, "element 3 of exp_avg_sq."},
		"missing": {func(ts []checkpoint.Tensor) []checkpoint.Tensor { return ts[1:] }, "tensors; want"},
		"foreign": {func(ts []checkpoint.Tensor) []checkpoint.Tensor {
			ts[0].Name = "exp_avg.other"
			return ts
		}, "has shape []; want"},
	} {
		t.Run("moments="+name, func(t *testing.T) {
			run := copied(t, original)
			dir := filepath.Join(run.Out, "checkpoint-3")
			tensors := c.change(read(filepath.Join(dir, optimizerFile)))
			rewrite(t, dir, func(files map[string]string) {
				var file bytes.Buffer
				if err := checkpoint.Write(&file, nil, tensors); err != nil {
					t.Fatal(err)
				}
				files[optimizerFile] = file.String()
			})
			run.Out = filepath.Join(t.TempDir(), "new")
			o := quiet(1)
			o.Resume = dir
			if _, err := Run(context.Background(), run, o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v; want one with %q", err, c.want)
			}
		})
	}
}

// FuzzState: every text is either refused with an error of one line, or is a
// state that can be checked.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"format": 1, "step": 3, "seed": 17, "epoch": 1, "index": 8, "best": {"step": 2, "epoch": 1, "score": 0.5}, "window_loss": 0,
		"window_steps": 0, "total_loss": 1, "schedule": {"merges": 0, "injects": 0, "deferred": 0, "step": 0, "done": 0, "merged": false}, "born": null}`))
	f.Add([]byte(`{"format": 1, "step": -9223372036854775808, "gradients": [1e39, -1], "log": {"records": -1, "sha256": ""}}`))
	f.Add([]byte("null"))
	c := config.Default()
	c.Resolve()
	c.Train.Epochs = 3
	train := data{Encoded: &dataset.Encoded{Cu: make([]int64, 2*c.Train.BatchSize+1)}}
	r := &run{timetable: newTimetable(&c, train.Len()), session: &Session{Config: &c}, train: train}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseState("file", text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has a line break: %q", err)
			}
			return
		}
		if s.faults("checkpoint-3", r) == nil && s.Step != 3 {
			t.Errorf("step %d is accepted in checkpoint-3", s.Step)
		}
	})
}
