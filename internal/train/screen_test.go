package train

import (
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/terminal/terminaltest"
)

// viewer is a terminal that remembers its last rows.
type viewer struct {
	*terminaltest.Screen
	t    *testing.T
	last []string
}

// Write implements io.Writer. It compares every state of the screen with its
// width; only a path may be wider.
func (w *viewer) Write(p []byte) (int, error) {
	n, err := w.Screen.Write(p)
	for _, line := range w.Broken() {
		if strings.Contains(strings.TrimSpace(line), " ") {
			w.t.Errorf("a line is too wide: %q", line)
		}
	}
	rows := strings.Split(strings.TrimSpace(w.String()), "\n")
	w.last = append(w.last, rows[len(rows)-1])
	return n, err
}

// TestScreen: the output of a run with merges fits terminals of 40 cells and
// more, and the status line shows the present activity. If the run is started
// again, the output says that it is finished.
func TestScreen(t *testing.T) {
	for _, width := range []int{40, 80} {
		c := demoConfig(t, t.TempDir(), 32)
		c.Schedule.MaxMerges, c.Schedule.WhatIf, c.Train.EvalBatchSize = 1, 4, 8
		c.Resolve()
		train := func() *viewer {
			tty := &viewer{Screen: terminaltest.New(width), t: t}
			o := quiet(1)
			o.Stderr, o.Terminal = tty, tty.Terminal()
			if _, err := Run(t.Context(), c, o); err != nil {
				t.Fatal(err)
			}
			return tty
		}
		tty := train()
		for _, want := range []string{"evaluating 0/3  ", "evaluating 3/3  ", "what-if 1/", "what-if 4/4  ", "8/8  "} {
			found := false
			for _, row := range tty.last {
				found = found || strings.HasPrefix(row, want)
			}
			if !found {
				t.Errorf("%d cells: no status line begins with %q", width, want)
			}
		}
		if got := tty.Styled(terminal.Heading); len(got) < 3 || got[0] != "epoch" || got[len(got)-1] == "epoch" {
			t.Errorf("%d cells: headings %q", width, got)
		}
		if text := tty.String(); strings.Count(text, "best\n") == 0 ||
			!strings.HasPrefix(text, "data: custom, 32 train, 24 dev") ||
			!strings.Contains(text, "\nmethod: lor2c on cpu") || !strings.Contains(text, "\nmemory: weights ") {
			t.Errorf("%d cells: seen is\n%s", width, text)
		}
		again := train().String()
		if !strings.Contains(again, "the run is finished: 8 of 8 steps are") || strings.Contains(again, "resuming") {
			t.Errorf("%d cells, again:\n%s", width, again)
		}
	}
}
