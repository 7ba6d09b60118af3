package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
)

// lossy is a device that is lost at its nth update or download. Later downloads
// return nothing.
type lossy struct {
	compute.Device
	updates, downloads int
	err                error
}

func (d *lossy) count(left *int) {
	if *left--; *left == 0 && d.err == nil {
		d.err = errors.New("card: it fell off the bus")
	}
}

func (d *lossy) AdamW(p, w, m, v, g, state tensor, o compute.AdamWOpts) {
	if d.count(&d.updates); d.err == nil {
		d.Device.AdamW(p, w, m, v, g, state, o)
	}
}

func (d *lossy) Download(dst []float32, src tensor) {
	if d.count(&d.downloads); d.err == nil {
		d.Device.Download(dst, src)
	}
}

func (d *lossy) Err() error  { return d.err }
func (d *lossy) Sync() error { return d.err }

// TestLostDevice: whenever a device is lost, the run ends with one line that
// names the checkpoint to continue from. The continued run has the bytes of an
// uninterrupted one.
func TestLostDevice(t *testing.T) {
	dir := t.TempDir()
	c := demoConfig(t, dir, 24)
	c.Schedule.Timing, c.Schedule.MaxMerges, c.Schedule.WhatIf, c.Schedule.Until = "steps", 1, 8, 1
	c.Resolve()
	all := &lossy{Device: cpu.Open[float32](2)}
	o := quiet(2)
	o.Device = all
	if _, err := Run(context.Background(), c, o); err != nil {
		t.Fatal(err)
	}
	want := contents(t, c.Out)
	for _, p := range []struct {
		what string
		of   int
		set  func(d *lossy, n int)
	}{
		{"update", -all.updates, func(d *lossy, n int) { d.updates = n }},
		{"download", -all.downloads, func(d *lossy, n int) { d.downloads = n }},
	} {
		for _, part := range []int{0, 3, 7, 10} {
			n := max(1, p.of*part/10)
			t.Run(fmt.Sprintf("%s=%d", p.what, n), func(t *testing.T) {
				onlyLong(t, part != 3)
				c := *c
				c.Out = filepath.Join(dir, fmt.Sprint(p.what, n))
				d := &lossy{Device: cpu.Open[float32](2)}
				p.set(d, n)
				o := quiet(2)
				o.Device = d
				_, err := Run(context.Background(), &c, o)
				if !errors.Is(err, ErrDevice) || !errors.Is(err, d.err) {
					t.Fatalf("error %v; want one that wraps ErrDevice and the failure", err)
				}
				latest, _, none := checkpoint.Latest(c.Out, checkpointPrefix)
				goesOn := "there is no checkpoint yet"
				if none == nil {
					goesOn = "continues from " + latest
				} else if p.what == "download" && n == 1 {
					goesOn = "train: build " + c.Out
				}
				if s := err.Error(); strings.Contains(s, "\n") ||
					!strings.Contains(s, "the device failed: card: it fell off the bus") || !strings.Contains(s, goesOn) {
					t.Errorf("error %q; want the failure and %q in one line", s, goesOn)
				}
				paths, _ := filepath.Glob(filepath.Join(c.Out, checkpointPrefix+"*"))
				for _, path := range paths {
					if err := checkpoint.VerifyDir(path); err != nil {
						t.Error(err)
					}
				}
				if _, err := Run(context.Background(), &c, quiet(2)); err != nil {
					t.Fatal(err)
				}
				sameFiles(t, contents(t, c.Out), want)
			})
		}
	}
}

// TestStepStops: a step returns a failure as soon as it is known.
func TestStepStops(t *testing.T) {
	d := &lossy{Device: cpu.Open[float32](1), updates: 3} // the adapter and the head have one update each
	g := goldens(t)["roberta_lor2c"]
	s, batch := g.stepper(t, d), []model.Batch{g.batch(t)}
	for step, want := range []bool{false, true, true} {
		if err := s.Step(step+1, batch, 1); (err != nil) != want || want && err != d.err {
			t.Errorf("step %d returned %v; want a failure: %v", step+1, err, want)
		}
	}
}
