package terminal_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/terminal/terminaltest"
)

// status returns a status line that shows 30 of 40 steps.
func status(width int) []string {
	return []string{terminal.StatusLine(width, 30, 40,
		[]terminal.Part{{Text: "30/40"}, {Text: "loss 0.6123", Rank: 2}, {Text: "eta 1m7s", Rank: 1}})}
}

// TestScreen writes lines above a status line, while the width changes and the
// terminal echoes ^C, and removes the status line.
func TestScreen(t *testing.T) {
	clock := time.Unix(0, 0)
	tty := terminaltest.New(60)
	s := terminal.Open(tty, tty.Terminal(), func() time.Time { return clock })
	sees := func(when, want string) {
		t.Helper()
		if d := cmp.Diff(want, tty.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", when, d)
		}
	}
	s.Print(terminal.Warning, "warning: the run has 24 optimizer steps, which is little for small data", 2)
	s.Status(true, status)
	sees("60 cells", `warning: the run has 24 optimizer steps, which is little for
  small data
30/40  [==================>-------]  loss 0.6123  eta 1m7s
`)
	tty.Resize(24)
	s.Print(terminal.Plain, "second line", 2)
	sees("narrower",
		"warning: the run has 24 \noptimizer steps, which i\ns little for\n  small data\nsecond line\n30/40  eta 1m7s\n")
	tty.Resize(50)
	fmt.Fprint(tty, "^C")
	s.Status(true, status)
	sees("wider, after ^C", "warning: the run has 24 optimizer steps, which is \nlittle for\n  small data\nsecond line\n"+
		"30/40  [===========>----]  loss 0.6123  eta 1m7s\n")
	s.Close()
	s.Close()
	sees("closed", "warning: the run has 24 optimizer steps, which is \nlittle for\n  small data\nsecond line\n")
	if got, want := tty.Styled(terminal.Warning), []string{"warning: the run has 24 optimizer steps, which is little for",
		"  small data"}; cmp.Diff(want, got) != "" {
		t.Errorf("in the style of warnings: %q, want %q", got, want)
	}
}

// TestSeveralStatusLines narrows and widens a terminal with several status
// lines.
func TestSeveralStatusLines(t *testing.T) {
	tty := terminaltest.New(20)
	s := terminal.Open(tty, tty.Terminal(), nil)
	s.Status(true, func(int) []string { return []string{"first of 16 cells", "second", "third"} })
	for _, width := range []int{6, 3, 17, 40} {
		tty.Resize(width)
		s.Print(terminal.Plain, "line", 0)
	}
	tty.Resize(60)
	if want := strings.Repeat("line\n", 4) + "first of 16 cells\nsecond\nthird\n"; tty.String() != want {
		t.Errorf("got\n%swant\n%s", tty.String(), want)
	}
}

// TestPause: if only progress has changed, the status lines are drawn at most
// ten times a second.
func TestPause(t *testing.T) {
	clock := time.Unix(0, 0)
	tty := terminaltest.New(60)
	s := terminal.Open(tty, tty.Terminal(), func() time.Time { return clock })
	shows := func(n int) func(int) []string { return func(int) []string { return []string{fmt.Sprint(n)} } }
	for _, step := range []struct {
		wait   time.Duration
		change bool
		want   string
	}{{0, false, "0\n"}, {99 * time.Millisecond, false, "0\n"}, {time.Millisecond, false, "2\n"}, {0, true,
		"3\n"}, {time.Millisecond, false, "3\n"}} {
		clock = clock.Add(step.wait)
		var n int
		fmt.Sscan(step.want, &n)
		if !step.change && step.wait == 99*time.Millisecond || step.wait == time.Millisecond && n == 3 {
			n = 9 // must not be drawn
		}
		s.Status(step.change, shows(n))
		if tty.String() != step.want {
			t.Errorf("after %v: %q, want %q", clock.Sub(time.Unix(0, 0)), tty.String(), step.want)
		}
	}
}

// TestNoTerminal: a file receives only lines.
func TestNoTerminal(t *testing.T) {
	var b bytes.Buffer
	s := terminal.Open(&b, terminal.Terminal{}, nil)
	long := "warning: " + strings.Repeat("long ", 40)
	s.Status(true, status)
	s.Print(terminal.Warning, long, 2)
	s.Close()
	if b.String() != long+"\n" {
		t.Errorf("got %q", b.String())
	}
}

func TestOf(t *testing.T) {
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
		name          string
		f             *os.File
		term, noColor string
		live, colour  bool
	}{
		{"xterm", pty, "xterm", "", true, true}, {"no-color", pty, "xterm", "1", true, false},
		{"dumb", pty, "dumb", "", false, false}, {"file", file, "xterm", "", false, false},
	} {
		t.Run("output="+c.name, func(t *testing.T) {
			t.Setenv("TERM", c.term)
			t.Setenv("NO_COLOR", c.noColor)
			got := terminal.Of(c.f)
			if got.Live != c.live || got.Colour != c.colour {
				t.Errorf("got %+v", got)
			}
			// A new pseudo-terminal reports a width of 0 cells.
			if got.Live && got.Width() != 80 {
				t.Errorf("%d cells", got.Width())
			}
		})
	}
}
