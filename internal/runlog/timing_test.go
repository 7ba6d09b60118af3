package runlog

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestReadTiming reads what a run and its continuation wrote, with a line that was cut off. The time of both counts.
func TestReadTiming(t *testing.T) {
	dir := t.TempDir()
	if all, err := ReadTiming(dir); err != nil || all != nil {
		t.Errorf("no file: %v, %v", all, err)
	}
	lines := `{"step":1,"time":"2026-01-02T03:04:05.000Z","seconds":2,"examples_per_second":null,"tokens_per_second":null}
{"step":2,"time":"2026-01-02T03:04:06.000Z","seconds":3.5,"examples_per_second":8,"tokens_per_second":90.5}
damaged
{"step":2,"time":"2026-01-02T04:04:06.000Z","seconds":1.5,"examples_per_second":8,"tokens_per_second":90.5}
{"step":3,"time":"2026-01-02T04`
	if err := os.WriteFile(filepath.Join(dir, timingFile), []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := ReadTiming(dir)
	if err != nil || len(all) != 3 || !math.IsNaN(float64(all[0].Tokens)) || all[1].Tokens != 90.5 || all[2].Step != 2 ||
		!all[1].Time.Equal(time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)) {
		t.Errorf("%+v, %v", all, err)
	}
	if got := Elapsed(all); got != 5*time.Second {
		t.Errorf("%v of training; want 5s", got)
	}
}
