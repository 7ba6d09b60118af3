// Command gpu-check proves the CUDA device on the machine it runs on. It stands
// in the folder that `make gpu-bundle` fills and needs a driver and a card, but
// no Go, no CUDA toolkit and no network.
//
// Each check is a process of its own, so that a fault in one leaves the others
// alone. The outcome goes to gpu-check.json and, as a row for docs/hardware.md,
// to gpu-check.md.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Outcome of one check.
type Outcome struct {
	Name    string             `json:"name"`
	Status  string             `json:"status"` // pass, fail or skip
	Seconds float64            `json:"seconds"`
	Detail  string             `json:"detail,omitempty"`
	Figures map[string]float64 `json:"figures,omitempty"`
}

// Result is the file gpu-check.json.
type Result struct {
	Version  string    `json:"version"`
	Date     string    `json:"date"`
	Card     string    `json:"card"`
	Driver   string    `json:"driver"`
	Outcomes []Outcome `json:"outcomes"`
}

// bundle is the folder that the program stands in, and where it writes.
type bundle struct {
	dir, out string
	result   Result
}

// check is one proof. It returns what to report beside pass; an error fails it.
type check struct {
	name string
	run  func(b *bundle) (detail string, figures map[string]float64, err error)
}

// checks in the order in which a fault is cheapest to find.
var checks = []check{
	{"doctor", (*bundle).doctor},
	{"driver", (*bundle).driver},
	{"conformance", (*bundle).conformance},
	{"replay", (*bundle).replay},
	{"goldens", (*bundle).goldens},
	{"fine-tune", (*bundle).fineTune},
	{"repeat", (*bundle).repeat},
	{"resume", (*bundle).resume},
	{"operations", (*bundle).operations},
	{"steps", (*bundle).steps},
	{"memcheck", sanitizer("memcheck")},
	{"racecheck", sanitizer("racecheck")},
	{"initcheck", sanitizer("initcheck")},
}

func main() {
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	only := flag.String("only", strings.Join(names, ","), "the checks to run")
	out := flag.String("out", ".", "where to write gpu-check.json, gpu-check.md and the runs")
	flag.Parse()
	failed, err := run(strings.Split(*only, ","), names, *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func run(only, names []string, out string) (failed bool, err error) {
	for _, name := range only {
		if !slices.Contains(names, name) {
			return false, fmt.Errorf("gpu-check: --only: %q is no check; want some of %s", name, strings.Join(names, ","))
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return false, err
	}
	out, err = filepath.Abs(out)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return false, fmt.Errorf("gpu-check: --out: %w", err)
	}
	b := &bundle{dir: filepath.Dir(exe), out: out, result: Result{Date: time.Now().UTC().Format(time.DateOnly)}}
	for _, c := range checks {
		if !slices.Contains(only, c.name) {
			continue
		}
		start := time.Now()
		o := Outcome{Name: c.name, Status: "pass"}
		o.Detail, o.Figures, err = c.run(b)
		o.Seconds = time.Since(start).Seconds()
		switch {
		case isSkip(err):
			o.Status, o.Detail = "skip", err.Error()
		case err != nil:
			o.Status, o.Detail, failed = "fail", err.Error(), true
		}
		b.result.Outcomes = append(b.result.Outcomes, o)
		fmt.Printf("%-12s %-4s %6.1f s  %s\n", o.Name, o.Status, o.Seconds, firstLine(o.Detail))
		// After each, so that a machine that goes away leaves what is known.
		if err := b.write(); err != nil {
			return true, err
		}
	}
	return failed, nil
}

func (b *bundle) write() error {
	raw, err := json.MarshalIndent(b.result, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.out, "gpu-check.json"), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.out, "gpu-check.md"), []byte(b.result.markdown()), 0o644)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
