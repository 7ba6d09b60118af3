package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// train runs the demo's configuration. Its run directory has the given name.
func (b *bundle) train(name string, args ...string) error {
	_, err := b.lor2c(b.trainArgs(name, args...)...)
	return err
}

func (b *bundle) trainArgs(name string, args ...string) []string {
	return append([]string{"train", "-c", "configs/demo.yaml", "--out", b.folder(name)}, args...)
}

func (b *bundle) folder(name string) string { return filepath.Join(b.out, "runs", name) }

// imlor2c merges and injects on the device while it trains.
var imlor2c = []string{"--set", "schedule.max_merges=1", "--set", "schedule.max_injects=1", "--set", "train.epochs=6"}

// fineTunes are runs of the demo on the card. Each is compared with a run on
// the CPU that has the same initial values, order of examples and dropout
// masks. In float32 the results differ because sums are computed in another
// order, and in bfloat16 because it has only 8 significant bits.
var fineTunes = []struct {
	name, beside string
	most         float64 // largest relative difference of the losses
	args         []string
}{
	{name: "cpu", args: []string{"--device", "cpu"}},
	{"float32", "cpu", 0.01, []string{"--device", "cuda"}},
	{"bfloat16", "cpu", 0.1, []string{"--device", "cuda", "--set", "train.precision=bfloat16"}},
	{name: "imlor2c-cpu", args: append([]string{"--device", "cpu"}, imlor2c...)},
	{"imlor2c", "imlor2c-cpu", 0.02, append([]string{"--device", "cuda"}, imlor2c...)},
}

// fineTune trains the demo on the CPU and on the card, and compares the losses.
func (b *bundle) fineTune() (string, map[string]float64, error) {
	if err := os.RemoveAll(b.folder("")); err != nil {
		return "", nil, err
	}
	found := map[string]float64{}
	losses := map[string][]float64{}
	for _, r := range fineTunes {
		start := time.Now()
		if err := b.train(r.name, r.args...); err != nil {
			return "", found, err
		}
		found[r.name+" s"] = time.Since(start).Seconds()
		var err error
		if losses[r.name], err = readLosses(filepath.Join(b.folder(r.name), "metrics.jsonl")); err != nil {
			return "", found, err
		}
		if r.beside == "" {
			continue
		}
		off, err := apart(losses[r.name], losses[r.beside])
		if err != nil {
			return "", found, err
		}
		found[r.name+" loss differs by"] = off
		if !(off <= r.most) {
			return "", found, fmt.Errorf("losses of %s and %s differ by %.3g relative to the latter; want at most %g", r.name,
				r.beside, off, r.most)
		}
	}
	return "", found, nil
}

// readLosses returns the training losses of a run in order.
func readLosses(path string) (losses []float64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		n++
		var r struct {
			Kind string
			Loss float64
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("read %s:%d: the line is no record of a run; run the check again", path, n)
		}
		if r.Kind == "train" {
			losses = append(losses, r.Loss)
		}
	}
	return losses, nil
}

// apart returns the largest absolute difference of two curves relative to the
// value of the second.
func apart(a, b []float64) (off float64, err error) {
	if len(a) != len(b) || len(b) == 0 {
		return 0, fmt.Errorf("%d losses against %d", len(a), len(b))
	}
	for i := range b {
		off = math.Max(off, math.Abs(a[i]-b[i])/math.Abs(b[i])) // a NaN is kept
	}
	return off, nil
}

// repeat trains a second time on the card and compares the bytes of both runs.
func (b *bundle) repeat() (string, map[string]float64, error) {
	for _, name := range []string{"first", "second"} {
		if err := os.RemoveAll(b.folder(name)); err != nil {
			return "", nil, err
		}
		if err := b.train(name, "--device", "cuda"); err != nil {
			return "", nil, err
		}
	}
	return "", nil, sameFiles(b.folder("first"), b.folder("second"))
}

// resume kills a run on the card three times, continues it each time, and
// compares it with the uninterrupted run of the check before.
func (b *bundle) resume() (string, map[string]float64, error) {
	if _, err := os.Stat(b.folder("first")); err != nil {
		return "", nil, skip("the check repeat did not run; resume compares with its runs")
	}
	if err := os.RemoveAll(b.folder("killed")); err != nil {
		return "", nil, err
	}
	kills := 0
	for i := range 3 {
		c := exec.Command(filepath.Join(b.dir, "bin", "lor2c"),
			b.trainArgs("killed", "--device", "cuda", "--set", "train.save_every=20")...)
		c.Dir = b.dir
		if err := c.Start(); err != nil {
			return "", nil, err
		}
		time.Sleep(time.Duration(i+2) * time.Second)
		if c.Process.Kill() == nil && c.Wait() != nil {
			kills++
		}
	}
	if err := b.train("killed", "--device", "cuda", "--set", "train.save_every=20"); err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("only %d of 3 processes were killed before they finished", kills), nil,
		sameFiles(filepath.Join(b.folder("first"), "final"), filepath.Join(b.folder("killed"), "final"))
}

// clocked are the names of files that depend on the clock or the machine.
var clocked = []string{"log.txt", "timing", "env", "events.out", "all_results.json", "lock"}

// sameFiles returns an error that names the first file that differs between two
// runs.
func sameFiles(a, b string) error {
	return filepath.WalkDir(a, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		for _, c := range clocked {
			if strings.HasPrefix(e.Name(), c) {
				return nil
			}
		}
		rel, err := filepath.Rel(a, path)
		if err != nil {
			return err
		}
		mine, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		other, err := os.ReadFile(filepath.Join(b, rel))
		if err != nil {
			return err
		}
		if !bytes.Equal(mine, other) {
			return fmt.Errorf("%s differs between %s and %s", rel, a, b)
		}
		return nil
	})
}
