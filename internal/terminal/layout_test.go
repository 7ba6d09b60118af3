package terminal_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/terminal"
)

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		line          string
		width, indent int
		want          []string
	}{
		{"", 10, 2, []string{""}},
		{"one two three", 13, 2, []string{"one two three"}},
		{"one two three", 12, 2, []string{"one two", "  three"}},
		{"one two three four", 9, 2, []string{"one two", "  three", "  four"}},
		{"a runs/a-path-that-is-long b", 10, 2, []string{"a", "  runs/a-path-that-is-long", "  b"}},
		{"runs/a-path-that-is-long b", 10, 2, []string{"runs/a-path-that-is-long", "  b"}},
		{"  in two  cells", 10, 2, []string{"  in two ", "  cells"}},
		{"名前 名前 名前", 9, 0, []string{"名前 名前", "名前"}}, // each character takes two cells
		{"one two", 4, 2, []string{"one", "two"}},   // too narrow for the indentation
	} {
		if d := cmp.Diff(c.want, terminal.Wrap(c.line, c.width, c.indent)); d != "" {
			t.Errorf("%q in %d cells (-want +got):\n%s", c.line, c.width, d)
		}
	}
}

// TestStatusLine: parts are selected by rank, the bar takes the remaining room,
// and two cells remain empty at every width.
func TestStatusLine(t *testing.T) {
	parts := []terminal.Part{{Text: "58/174"}, {Text: "epoch 1/3", Rank: 3}, {Text: "loss 0.6123", Rank: 2},
		{Text: "accuracy 0.8800", Rank: 4}, {Text: "32.0 ex/s", Rank: 5}, {}, {Text: "eta 1m7s", Rank: 1}}
	for width, want := range map[int]string{
		120: "58/174  [============>---------------------------]  epoch 1/3  loss 0.6123  accuracy 0.8800  32.0 ex/s  " +
			"eta 1m7s",
		90: "58/174  [====>-----------]  epoch 1/3  loss 0.6123  accuracy 0.8800  32.0 ex/s  eta 1m7s",
		80: "58/174  epoch 1/3  loss 0.6123  accuracy 0.8800  32.0 ex/s  eta 1m7s",
		40: "58/174  loss 0.6123  eta 1m7s",
		20: "58/174  eta 1m7s",
		5:  "",
	} {
		if got := terminal.StatusLine(width, 58, 174, parts); got != want {
			t.Errorf("%d cells:\n%q, want\n%q", width, got, want)
		}
	}
	for width := range 200 {
		if got := terminal.Cells(terminal.StatusLine(width, 58, 174, parts)); got > max(width-2, 0) {
			t.Errorf("%d cells in a terminal of %d", got, width)
		}
	}
	for done, want := range []string{"[----------]", "[==>-------]", "[=====>----]", "[==========]"} {
		if got, _ := strings.CutPrefix(terminal.StatusLine(17, done, 3, []terminal.Part{{Text: "x"}}), "x  "); got != want {
			t.Errorf("%d of 3: %q, want %q", done, got, want)
		}
	}
}

func TestTableRow(t *testing.T) {
	columns := []terminal.Column{{Name: "epoch", Width: 3, Rank: 1}, {Name: "step", Width: 5, Rank: 4},
		{Name: "accuracy*", Rank: 0}, {Name: "f1", Width: 6, Rank: 3}, {Width: 4, Rank: 2}}
	texts := []string{"1/3", "9/99", "0.8800", "0.9123", "best"}
	for width, want := range map[int][]string{
		80: {"epoch   step  accuracy*      f1", "  1/3   9/99     0.8800  0.9123  best"},
		36: {"epoch  accuracy*      f1", "  1/3     0.8800  0.9123  best"},
		27: {"epoch  accuracy*", "  1/3     0.8800  best"},
		17: {"epoch  accuracy*", "  1/3     0.8800"},
	} {
		tty := terminal.Terminal{Width: func() int { return width }}
		if d := cmp.Diff(want, []string{tty.TableRow(columns, nil), tty.TableRow(columns, texts)}); d != "" {
			t.Errorf("%d cells (-want +got):\n%s", width, d)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1499 * time.Millisecond: "1s", 67 * time.Second: "1m7s", 3599 * time.Second: "59m59s", time.Hour: "1h00m",
		103*time.Minute + 29*time.Second: "1h43m", 26*time.Hour + 30*time.Second: "26h01m",
	} {
		if got := terminal.Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
