package runlog

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/terminal"
)

// TestDiskFull: if the disk is full, the error is printed immediately, the next
// Sync returns it, and Rewind accepts the files.
func TestDiskFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full: ", err)
	}
	dir, console := t.TempDir(), new(bytes.Buffer)
	o := quiet()
	o.Stderr = console
	r := open(t, dir, o)
	steps(r, 1, 4)
	if r.Sync() != nil || r.Err() != nil {
		t.Fatal(r.Err())
	}
	metrics := r.metrics
	r.metrics = full
	r.Advance(5, 1, 1)
	r.Train(Train{Step: 5})
	r.metrics = metrics
	r.Train(Train{Step: 6})
	want := "runlog: log after step 5: write /dev/full: no space left on device; logging has stopped; free or repair " +
		"the disk and resume the run"
	for name, err := range map[string]error{"Err": r.Err(), "Sync": r.Sync(), "Close": r.Close()} {
		if err == nil || err.Error() != want {
			t.Errorf("%s is %v", name, err)
		}
	}
	if n := strings.Count(console.String(), want); n != 1 {
		t.Errorf("the console shows the error %d times", n)
	}
	if records, err := ReadMetrics(dir); err != nil || len(records) != 6 {
		t.Errorf("%d records, %v; want the 6 before the error", len(records), err)
	}
}

func TestBrokenStdoutIsAnErrorAndBrokenStderrIsNot(t *testing.T) {
	for _, c := range []struct {
		name           string
		stdout, stderr io.Writer
		fails          bool
	}{{"stdout", broken{}, io.Discard, true}, {"stderr", io.Discard, broken{}, false}, {"terminal", io.Discard, broken{},
		false}} {
		t.Run("broken="+c.name, func(t *testing.T) {
			o := quiet()
			o.JSON, o.Stdout, o.Stderr, o.Terminal = true, c.stdout, c.stderr, terminal.Terminal{Live: c.name == "terminal",
				Width: func() int { return 80 }}
			r := open(t, t.TempDir(), o)
			steps(r, 1, 2)
			if err := r.Close(); errors.Is(err, io.ErrClosedPipe) != c.fails {
				t.Errorf("error is %v", err)
			}
		})
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
