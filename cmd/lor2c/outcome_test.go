package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/terminal/terminaltest"
	"github.com/lor2c/lor2c/internal/train"
)

// TestPrintOutcome: train ends with the score, the score of the most frequent
// class, and a command that a shell accepts.
func TestPrintOutcome(t *testing.T) {
	classes := &train.Outcome{
		Out: "runs/a", BestEpoch: 2, Select: "accuracy",
		Dev: train.Evaluation{Loss: 0.5, Scores: metric.Scores{"accuracy": 0.75, "f1": 0.5},
			Intervals: map[string]*metric.Interval{
				"accuracy": {Low: 0.7, High: 0.8}, "f1": {Low: 0.1, High: 0.2}}},
		Baseline: runlog.Baseline{Label: "it's so", Scores: metric.Scores{"accuracy": 0.6, "f1": 0}},
	}
	numbers := &train.Outcome{
		Out: "my runs/it's", BestEpoch: 0.25, Select: "pearson",
		Dev: train.Evaluation{Loss: 2, Scores: metric.Scores{"pearson": 0.5}},
	}
	for _, c := range []struct {
		got  *train.Outcome
		test bool
		want string
	}{
		{classes, true, `best epoch 2: loss 0.5000  accuracy 0.7500  f1 0.5000
95 % interval of accuracy 0.7000 to 0.8000; always predicting "it's so" has 0.6000
adapter: runs/a/best
evaluate: lor2c eval --run runs/a --split test
`},
		{numbers, false, `best epoch 0.25: loss 2.0000  pearson 0.5000
adapter: my runs/it's/best
evaluate: lor2c eval --run 'my runs/it'\''s'
`},
	} {
		var b bytes.Buffer
		printOutcome(terminal.Open(&b, terminal.Terminal{}, nil), c.got, c.test)
		if d := cmp.Diff(c.want, b.String()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

// TestEvaluating: eval shows its progress on a terminal, and nothing elsewhere.
func TestEvaluating(t *testing.T) {
	clock := time.Unix(0, 0)
	now := func() time.Time { return clock }
	tty := terminaltest.New(40)
	var file bytes.Buffer
	for _, screen := range []*terminal.Screen{terminal.Open(tty, tty.Terminal(), now),
		terminal.Open(&file, terminal.Terminal{}, now)} {
		watch := evaluating(screen, now)
		clock = clock.Add(time.Minute) // time that loading takes
		for done, want := range []string{"evaluating 0/4  [--------------------]\n",
			"evaluating 1/4  [=>---------]  eta 15s\n",
			"evaluating 2/4  [====>------]  eta 10s\n", "evaluating 3/4  [========>---]  eta 5s\n",
			"evaluating 4/4  [============]  eta 0s\n"} {
			watch(done, 4)
			if screen.Live && tty.String() != want {
				t.Errorf("%q, want %q", tty.String(), want)
			}
			clock = clock.Add(5 * time.Second)
		}
		screen.Close()
	}
	if tty.String() != "\n" || file.Len() > 0 {
		t.Errorf("the screen shows %q and %q", tty.String(), file.String())
	}
}
