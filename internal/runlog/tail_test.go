package runlog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTail follows a file that grows in the middle of a line, is cut back, is replaced and is damaged.
func TestTail(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, MetricsFile)
	tail := &Tail{Dir: dir}
	line := func(step string) string {
		return `{"kind":"train","step":` + step + `,"epoch":0.5,"loss":1,"learning_rate":1e-3,"grad_norm":2}` + "\n"
	}
	write := func(text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	steps := func(when string, want ...int) {
		t.Helper()
		if err := tail.Read(); err != nil || len(tail.Records) != len(want) {
			t.Fatalf("%s: %d records, %v; want %v", when, len(tail.Records), err, want)
		}
		for i, r := range tail.Records {
			if r.At() != want[i] {
				t.Errorf("%s: record %d has step %d; want %d", when, i, r.At(), want[i])
			}
		}
	}
	steps("no file")
	write(line("1") + line("2")[:20])
	steps("an incomplete line", 1)
	write(line("2")[20:] + line("3"))
	steps("the rest", 1, 2, 3)
	steps("nothing new", 1, 2, 3)
	if err := os.Truncate(path, int64(len(line("1")))); err != nil {
		t.Fatal(err)
	}
	steps("cut back", 1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	steps("removed")
	write(line("5"))
	steps("replaced", 5)
	write("{}\n" + line("6"))
	if err := tail.Read(); err == nil || !strings.Contains(err.Error(), MetricsFile+":2: ") || len(tail.Records) != 1 {
		t.Errorf("damaged: %v, %d records", err, len(tail.Records))
	}
}
