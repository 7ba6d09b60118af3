// Command gpu-check tests the CUDA device on the machine that it runs on. It is
// part of the folder that `make gpu-bundle` fills. It needs a driver and a
// card, but not Go, the CUDA toolkit or a network.
//
// Each check runs in its own process, so that a crash in one check does not
// affect the others. The results are written to gpu-check.json and, as a row
// for docs/hardware.md, to gpu-check.md.
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

// Outcome is the result of one check.
type Outcome struct {
	Name    string             `json:"name"`
	Status  string             `json:"status"` // pass, fail or skip
	Seconds float64            `json:"seconds"`
	Detail  string             `json:"detail,omitempty"`
	Figures map[string]float64 `json:"figures,omitempty"`
}

// Result is the content of gpu-check.json.
type Result struct {
	Version  string    `json:"version"`
	Date     string    `json:"date"`
	Card     string    `json:"card"`
	Driver   string    `json:"driver"`
	Outcomes []Outcome `json:"outcomes"`
}

// bundle is the folder that contains the program (dir) and the folder for its
// output (out).
type bundle struct {
	dir, out string
	result   Result
}

// check is one check. run returns an error if the check fails, and otherwise a
// detail and figures to report.
type check struct {
	name string
	run  func(b *bundle) (detail string, figures map[string]float64, err error)
}

// checks are sorted so that the first failure is the one that is easiest to
// diagnose.
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
			return false, fmt.Errorf("gpu-check: --only: %q is not a check; want some of %s", name, strings.Join(names, ","))
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
		// Write after each check, so that a crash of the machine does not lose
		// earlier results.
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
