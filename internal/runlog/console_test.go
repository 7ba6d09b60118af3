package runlog

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// session logs a run resumed at step 20 of 174 whose steps take half a second,
// and whose evaluation takes ten.
func session(t *testing.T, terminal bool) (dir, stdout, stderr string) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	dir = t.TempDir()
	var out, console bytes.Buffer
	r := open(t, dir, Options{Scores: []string{"accuracy", "f1"}, Steps: 174, Epochs: 3, Resume: true, Step: 20,
		Terminal: terminal, Stdout: &out, Stderr: &console, Now: func() time.Time { return now }})
	run := func(from, to int) {
		for s := from; s <= to; s++ {
			now = now.Add(500 * time.Millisecond)
			r.Advance(s, 16, 206)
		}
	}
	r.Printf("method %s\n", "lor2c")
	run(21, 40)
	r.Train(Train{Step: 40, Epoch: 40. / 58, Loss: 0.61234, LearningRate: 3.2e-4, GradNorm: 1.2149})
	run(41, 58)
	now = now.Add(10 * time.Second)
	r.Eval(Eval{Step: 58, Epoch: 1, Split: "dev", Loss: 0.5, Scores: map[string]float64{"f1": 0.91234, "accuracy": 0.88}, Best: true})
	run(59, 60)
	r.Train(Train{Step: 60, Epoch: 60. / 58, Loss: 0.6, LearningRate: 1e-5, GradNorm: 12345})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, out.String(), console.String()
}

// Times by hand. Step 40: 20 steps in 10 s, 134 left at 0.5 s. Step 60: the
// lap is 20 steps in 10 s without the evaluation, but with it the 40 steps
// took 30 s, so that the 114 left need 85.5 s.
func TestPlainLines(t *testing.T) {
	want := `method lor2c
epoch 1/3 step 40/174 loss 0.6123 lr 3.2e-04 norm 1.21 32.0 ex/s 412 tok/s eta 1m7s
epoch 1/3 step 58/174 dev loss 0.5 accuracy 0.8800 f1 0.9123 (best)
epoch 2/3 step 60/174 loss 0.6 lr 1.0e-05 norm 1.23e+04 32.0 ex/s 412 tok/s eta 1m26s
`
	dir, stdout, stderr := session(t, false)
	if d := cmp.Diff(want, stderr); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if stdout != "" {
		t.Errorf("stdout without JSON is %q", stdout)
	}
	var logged strings.Builder
	for line := range strings.Lines(read(t, dir, "log.txt")) {
		at, text, _ := strings.Cut(line, " ")
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
			t.Error(err)
		}
		logged.WriteString(text)
	}
	if d := cmp.Diff(want, logged.String()); d != "" {
		t.Errorf("log.txt: -want +got\n%s", d)
	}
	wantTiming := `{"step":40,"time":"2026-01-02T03:04:15.000Z","seconds":10,"examples_per_second":32,"tokens_per_second":412}
{"step":60,"time":"2026-01-02T03:04:35.000Z","seconds":30,"examples_per_second":32,"tokens_per_second":412}
`
	if d := cmp.Diff(wantTiming, read(t, dir, "timing.jsonl")); d != "" {
		t.Errorf("timing.jsonl: -want +got\n%s", d)
	}
}

func TestTerminalBar(t *testing.T) {
	dir, stdout, stderr := session(t, true)
	frames := strings.Split(stderr, "\x1b[")
	last := frames[len(frames)-1]
	if len(frames) == 1 {
		last = stderr
	}
	if stdout != "" {
		t.Errorf("stdout is %q", stdout)
	}
	for _, want := range []string{"60/174 [", "loss 0.6 32.0 ex/s 412 tok/s eta 1m26s"} {
		if !strings.Contains(last, want) {
			t.Errorf("the last frame lacks %q:\n%q", want, last)
		}
	}
	for _, want := range []string{"method lor2c\n", "dev loss 0.5 accuracy 0.8800 f1 0.9123 (best)\n"} {
		if strings.Count(stderr, want) != 1 {
			t.Errorf("not once %q in\n%q", want, stderr)
		}
	}
	if strings.Contains(stderr, "norm 1.21") {
		t.Errorf("training lines above the bar:\n%q", stderr)
	}
	// Sequences that end in m set colours.
	for _, f := range frames[1:] {
		if strings.IndexByte(f, 'm') == strings.IndexFunc(f, func(r rune) bool { return r >= 'A' }) {
			t.Errorf("a colour: %q", f)
		}
	}
	if !strings.Contains(read(t, dir, "log.txt"), "norm 1.21") {
		t.Error("log.txt lacks the training lines")
	}
}

func TestTerminal(t *testing.T) {
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminal: ", err)
	}
	defer pty.Close()
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		name string
		f    *os.File
		term string
		want bool
	}{{"xterm", pty, "xterm", true}, {"dumb", pty, "dumb", false}, {"file", file, "xterm", false}} {
		t.Run("term="+c.name, func(t *testing.T) {
			t.Setenv("TERM", c.term)
			if got := Terminal(c.f); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
