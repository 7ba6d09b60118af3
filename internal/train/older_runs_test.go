package train

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/config"
)

// TestOlderRuns: runs that an older lor2c began and was interrupted in continue, from their own run files, and end with
// the tensors with which the older one ended. IMLoR2C has merged and injected before the interrupt and merges again
// after it. testdata/older_runs/README.md says where the runs come from.
func TestOlderRuns(t *testing.T) {
	t.Chdir("../../testdata/older_runs") // to which the paths in the run files are relative
	for _, name := range []string{"lora", "full", "head", "imlor2c"} {
		t.Run("run="+name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(out, os.DirFS(filepath.Join(name, "run"))); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("checkpoint-8", filepath.Join(out, "best")); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(filepath.Join(name, "run", ConfigFile), []string{"out=" + out}, nil)
			if err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			o := quiet(2)
			o.Stderr = &said
			if _, err := Run(t.Context(), c, o); err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(after), string(before)) || len(after) == len(before) {
				t.Errorf("the log does not go on where the older run ended:\n%s\nwas\n%s", after, before)
			}
			if events := strings.Count(string(after), `"kind":"event"`); name == "imlor2c" && events != 3 {
				t.Errorf("the run has %d merges and injections; want 3", events)
			}
			sameTensors(t, filepath.Join(out, "final"), filepath.Join(name, "whole.safetensors"))
		})
	}
}

// sameTensors compares the tensors in a directory with those in a file, up to the rounding of products, whose terms the
// CPU adds in another order since the file was written. The loss does not depend on the biases of keys: their gradients
// are rounding errors, which AdamW makes as large as those of other parameters.
func sameTensors(t *testing.T, dir, file string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*model.safetensors"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%s has the files %v: %v", dir, paths, err)
	}
	got, want := tensors(t, paths[0]), tensors(t, file)
	if len(got) != len(want) {
		t.Errorf("%d tensors; want %d", len(got), len(want))
	}
	for name, values := range want {
		if strings.HasSuffix(name, ".key.bias") {
			continue
		}
		if len(got[name]) != len(values) {
			t.Errorf("%s has %d elements; want %d", name, len(got[name]), len(values))
			continue
		}
		worst, largest := 0.0, 0.0
		for i, v := range values {
			worst = math.Max(worst, math.Abs(float64(got[name][i]-v)))
			largest = math.Max(largest, math.Abs(float64(v)))
		}
		if !(worst <= 1e-4*largest) {
			t.Errorf("%s differs by %g; its largest element is %g", name, worst, largest)
		}
	}
}
