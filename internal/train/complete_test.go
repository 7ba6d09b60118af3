package train

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/cpu"
)

// TestElsewhere continues a checkpoint in another directory, which must have
// the same files at the end as a run that was never moved. It also continues a
// checkpoint without its run, where the log and the best epoch start again.
func TestElsewhere(t *testing.T) {
	onlyLong(t, true)
	original := shortRun(t, t.TempDir())
	if to, err := os.Readlink(filepath.Join(original.Out, "best")); to != "checkpoint-2" {
		t.Fatalf("best leads to %s, %v; this test needs a best checkpoint before the one that it continues", to, err)
	}
	want := contents(t, original.Out)
	run := *original
	o := quiet(1)

	o.Resume = filepath.Join(original.Out, "checkpoint-3")
	run.Out = filepath.Join(t.TempDir(), "whole")
	for _, again := range []string{"first", "second"} { // the same command continues
		if _, err := Run(context.Background(), &run, o); err != nil {
			t.Fatalf("the %s time: %v", again, err)
		}
		sameFiles(t, contents(t, run.Out), want)
	}

	for _, lack := range []string{"the whole run", "best", "log"} {
		t.Run("without="+lack, func(t *testing.T) {
			from := filepath.Join(t.TempDir(), "from")
			if err := os.CopyFS(from, os.DirFS(original.Out)); err != nil {
				t.Fatal(err)
			}
			o.Resume = filepath.Join(from, "checkpoint-3")
			switch lack {
			case "best":
				os.RemoveAll(filepath.Join(from, "checkpoint-2"))
			case "log":
				os.Remove(filepath.Join(from, "metrics.jsonl"))
			default:
				alone := filepath.Join(t.TempDir(), "checkpoint-3")
				if err := os.Rename(o.Resume, alone); err != nil {
					t.Fatal(err)
				}
				o.Resume = alone
			}
			var said strings.Builder
			o.Stderr = &said
			run.Out = filepath.Join(t.TempDir(), "new")
			got, err := Run(context.Background(), &run, o)
			if err != nil {
				t.Fatal(err)
			}
			if want := "the log and the best epoch of " + filepath.Dir(o.Resume) +
				" were not copied: "; !strings.Contains(said.String(), want) {
				t.Errorf("the run said %q; want %q", said.String(), want)
			}
			files := contents(t, run.Out)
			if got.BestStep != 4 || files["best"] != "-> checkpoint-4" ||
				files["final/adapter_model.safetensors"] != want["final/adapter_model.safetensors"] {
				t.Errorf("best is step %d, the link %s; want step 4, and the final adapter of the whole run", got.BestStep,
					files["best"])
			}
			e, err := Evaluate(context.Background(), &run, cpu.Open[float32](1), filepath.Join(run.Out, "best"), "dev", nil)
			if err != nil || e.Loss != got.Dev.Loss {
				t.Errorf("the best epoch scores %v, %v; the run said %v", e, err, got.Dev.Loss)
			}
			if strings.Contains(files["checkpoint-3/trainer_state.json"], "checkpoint-2") {
				t.Error("trainer_state.json names a checkpoint that does not exist")
			}
			if _, err := Run(context.Background(), &run, quiet(1)); err != nil {
				t.Errorf("the same directory again: %v", err)
			}
		})
	}
}

// TestRewind continues a checkpoint in a directory that also has later ones.
func TestRewind(t *testing.T) {
	run := shortRun(t, t.TempDir())
	want := contents(t, run.Out)
	o := quiet(1)
	o.Resume = filepath.Join(run.Out, "checkpoint-2")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o.Began = cancel
	if _, err := Run(ctx, run, o); err == nil { // after one step
		t.Fatal("the run was not interrupted")
	}
	if exists(filepath.Join(run.Out, "checkpoint-4")) {
		t.Error("there is a checkpoint with a later step than the end of the log")
	}
	if _, err := Run(context.Background(), run, quiet(1)); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, contents(t, run.Out), want)
}

// TestBest checks what a run does, when it is started again, with a `best` that
// is not a link to the best checkpoint.
func TestBest(t *testing.T) {
	original := shortRun(t, t.TempDir())
	for name, c := range map[string]struct {
		change func(t *testing.T, out string)
		want   string // part of the error; "" if best is repaired
	}{
		"link gone": {func(t *testing.T, out string) { os.Remove(filepath.Join(out, "best")) }, ""},
		"copied": {func(t *testing.T, out string) {
			os.Remove(filepath.Join(out, "best"))
			if err := os.CopyFS(filepath.Join(out, "best"), os.DirFS(filepath.Join(out, "checkpoint-2"))); err != nil {
				t.Fatal(err)
			}
		}, ""},
		"the only copy": {func(t *testing.T, out string) {
			os.Remove(filepath.Join(out, "best"))
			if err := os.Rename(filepath.Join(out, "checkpoint-2"), filepath.Join(out, "best")); err != nil {
				t.Fatal(err)
			}
		}, ""},
		"another directory": {func(t *testing.T, out string) {
			os.Remove(filepath.Join(out, "best"))
			if err := os.CopyFS(filepath.Join(out, "best"), os.DirFS(filepath.Join(out, "checkpoint-3"))); err != nil {
				t.Fatal(err)
			}
		}, ""},
		"checkpoint gone": {func(t *testing.T, out string) { os.RemoveAll(filepath.Join(out, "checkpoint-2")) },
			"the checkpoint of the best epoch, "},
	} {
		t.Run("best="+name, func(t *testing.T) {
			run := copied(t, original)
			before := contents(t, run.Out)
			c.change(t, run.Out)
			_, err := Run(context.Background(), run, quiet(1))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error is %v; want one with %q", err, c.want)
				}
				if files := contents(t, run.Out); files["all_results.json"] != before["all_results.json"] {
					t.Error("the results were overwritten")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			after := contents(t, run.Out)
			if after["best"] != "-> checkpoint-2" || after["checkpoint-2/state.json"] != before["checkpoint-2/state.json"] {
				t.Errorf("best is %.40q; want a link to checkpoint-2, which is as it was", after["best"])
			}
		})
	}
}
