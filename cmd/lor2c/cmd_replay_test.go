package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/train"
)

// TestReplayAndWatch looks at a run that is finished, as a user would.
func TestReplayAndWatch(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	if r := run(t, append(short(t, out), "--device", "cpu", "--set", "train.log_every=2")...); r.code != 0 {
		t.Fatalf("train: %+v", r)
	}
	r := run(t, "replay", "--run", out, "--step", "3", "--device", "cpu", "-n", "1")
	for _, want := range []string{
		"step 3 of 8, epoch 0.375, from the beginning of the run\n", "batch: 8 examples\n", "  label ", "    <s>",
		"layer    output   largest  parameters  gradient   trained\n", "\nevery tensor of the step is finite\n",
		"mean loss of steps 3 to 4: ", ", equal bit by bit to the recorded one\n",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s%s", want, r.stdout, r.stderr)
		}
	}
	if strings.Count(r.stdout, "<s>") != 1 || r.code != 0 || r.stderr != "" {
		t.Errorf("%+v; want one example", r)
	}
	var p train.Replayed
	r = run(t, "replay", "--run", out, "--step", "3", "--device", "cpu", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &p); err != nil || p.Step != 3 || len(p.Where) != 8 || p.Check == nil ||
		!p.Check.Equal || len(p.Layers) != 5 {
		t.Errorf("--json: %v, %+v", err, r)
	}
	wild := filepath.Join(t.TempDir(), "run")
	run(t, append(short(t, wild), "--device", "cpu", "--set", "optim.lr=1e30", "--set", "train.log_every=1")...)
	for _, more := range [][]string{nil, {"--json"}} {
		r = run(t, append([]string{"replay", "--run", wild, "--step", "2", "--device", "cpu"}, more...)...)
		if r.code != 5 || !strings.Contains(r.stdout, "layer") || strings.Contains(r.stdout, "is finite") ||
			strings.Count(r.stderr, "step 2") != 1 ||
			more != nil && !strings.Contains(r.stdout, `"non_finite":"train: `) {
			t.Errorf("a step that is not finite: %+v", r)
		}
	}
	r = run(t, "watch", out)
	if r.code != 0 || r.stderr != "" || !strings.Contains(r.stdout, "\nfinished\nstep 8/8  [==") ||
		!strings.Contains(r.stdout, "\nSFS       0") || strings.Contains(r.stdout, "\x1b") {
		t.Errorf("watch: %+v", r)
	}
}
