package runlog

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/terminal/terminaltest"
)

// session logs a run that was resumed at step 20 of 174. Its steps take half a
// second, and its evaluation takes ten. It calls `during` before the end.
func session(t *testing.T, console io.Writer, tty terminal.Terminal, during func(r *Run)) (dir, stdout string) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	dir = t.TempDir()
	var out bytes.Buffer
	r := open(t, dir,
		Options{Scores: []string{"accuracy", "f1"}, Select: "accuracy", Steps: 174, StepsPerEpoch: 58, Epochs: 3,
			Resume: true, Step: 20,
			Terminal: tty, Stdout: &out, Stderr: console, Now: func() time.Time { return now }})
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
	r.Eval(Eval{Step: 58, Epoch: 1, Split: "dev", Loss: 0.5, Scores: map[string]float64{"f1": 0.91234, "accuracy": 0.88},
		Best: true})
	run(59, 60)
	r.Train(Train{Step: 60, Epoch: 60. / 58, Loss: 0.6, LearningRate: 1e-5, GradNorm: 12345})
	during(r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, out.String()
}

// plainLines are the lines of the session if stderr is a file or a pipe.
const plainLines = `method lor2c
epoch 1/3 step 40/174 loss 0.6123 lr 3.2e-04 norm 1.21 32.0 ex/s 412 tok/s eta 1m7s
epoch 1/3 step 58/174 dev loss 0.5 accuracy 0.8800 f1 0.9123 (best)
epoch 2/3 step 60/174 loss 0.6 lr 1.0e-05 norm 1.23e+04 32.0 ex/s 412 tok/s eta 1m26s
`

// untimed removes the time from the lines of log.txt.
func untimed(t *testing.T, text string) string {
	t.Helper()
	var lines strings.Builder
	for line := range strings.Lines(text) {
		at, rest, _ := strings.Cut(line, " ")
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
			t.Error(err)
		}
		lines.WriteString(rest)
	}
	return lines.String()
}

// The times were computed by hand. At step 40, 20 steps took 10 s and 134 steps
// are left at 0.5 s each. At step 60, the lap had 20 steps in 10 s without the
// evaluation, but with it the 40 steps took 30 s, so that the 114 left need
// 85.5 s.
func TestPlainLines(t *testing.T) {
	var console bytes.Buffer
	dir, stdout := session(t, &console, terminal.Terminal{}, func(r *Run) { r.Progress("evaluating", 1, 2) })
	if d := cmp.Diff(plainLines, console.String()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if stdout != "" {
		t.Errorf("stdout without JSON is %q", stdout)
	}
	if d := cmp.Diff(plainLines, untimed(t, read(t, dir, "log.txt"))); d != "" {
		t.Errorf("log.txt: -want +got\n%s", d)
	}
	wantTiming := `{"step":40,"time":"2026-01-02T03:04:15.000Z","seconds":10,"examples_per_second":32,"tokens_per_second":412}
{"step":60,"time":"2026-01-02T03:04:35.000Z","seconds":30,"examples_per_second":32,"tokens_per_second":412}
`
	if d := cmp.Diff(wantTiming, read(t, dir, "timing.jsonl")); d != "" {
		t.Errorf("timing.jsonl: -want +got\n%s", d)
	}
}

// seen80 is what a terminal of 80 cells shows of the session.
const seen80 = `method lor2c
 epoch     step  accuracy*     loss       f1
   1/3   58/174     0.8800   0.5000   0.9123  best
60/174  epoch 2/3  loss 0.6000  accuracy 0.8800  32.0 ex/s  eta 1m26s
`

func TestTerminalWidths(t *testing.T) {
	for width, want := range map[int]string{
		120: strings.Replace(seen80, "60/174", "60/174  [============>---------------------------]", 1),
		80:  seen80,
		40: `method lor2c
 epoch  accuracy*     loss
   1/3     0.8800   0.5000  best
60/174  loss 0.6000  eta 1m26s
`,
	} {
		tty := terminaltest.New(width)
		dir, stdout := session(t, tty, tty.Terminal(), func(r *Run) {
			if d := cmp.Diff(want, tty.String()); d != "" {
				t.Errorf("%d cells (-want +got):\n%s", width, d)
			}
		})
		rows := strings.SplitAfter(want, "\n")
		if want := strings.Join(rows[:3], ""); tty.String() != want {
			t.Errorf("%d cells, at the end:\n%swant\n%s", width, tty.String(), want)
		}
		if lines := tty.Broken(); lines != nil {
			t.Errorf("%d cells: too wide: %q", width, lines)
		}
		if got := tty.Styled(terminal.Good); cmp.Diff([]string{"0.8800", "best"}, got) != "" {
			t.Errorf("%d cells: marked are %q", width, got)
		}
		if stdout != "" {
			t.Errorf("stdout is %q", stdout)
		}
		if d := cmp.Diff(plainLines, untimed(t, read(t, dir, "log.txt"))); d != "" {
			t.Errorf("log.txt: -want +got\n%s", d)
		}
	}
}

// TestBetweenSteps: the bar shows the work between steps. If the width of the
// terminal changes between two rows of the table, the heading is repeated.
func TestBetweenSteps(t *testing.T) {
	tty := terminaltest.New(80)
	session(t, tty, tty.Terminal(), func(r *Run) {
		last := func() string {
			rows := strings.Split(strings.TrimSpace(tty.String()), "\n")
			return rows[len(rows)-1]
		}
		r.Progress("evaluating", 0, 12)
		if want := "evaluating 0/12  [------------------------]  epoch 2/3  step 60/174  eta 1m26s"; last() != want {
			t.Errorf("%q, want %q", last(), want)
		}
		tty.Resize(40)
		r.Progress("evaluating", 12, 12)
		if want := "evaluating 12/12  epoch 2/3  eta 1m26s"; last() != want {
			t.Errorf("%q, want %q", last(), want)
		}
		r.Eval(Eval{Step: 116, Epoch: 2, Split: "dev", Loss: 12.34567,
			Scores: map[string]float64{"f1": 1, "accuracy": math.NaN()}})
		want := "method lor2c\n epoch     step  accuracy*     loss     \n  f1\n   1/3   58/174     0.8800   0.5000   " +
			"0.\n9123  best\n" +
			" epoch  accuracy*     loss\n   2/3             12.3457\n60/174  loss 0.6000  eta 1m26s\n"
		if d := cmp.Diff(want, tty.String()); d != "" {
			t.Errorf("-want +got\n%s", d)
		}
	})
}
