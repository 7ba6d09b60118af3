package main

import (
	"errors"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestFigures(t *testing.T) {
	got := figures("goos: linux\n" +
		"BenchmarkOp/op=Copy/n=8/dtype=f32-16   \t      50\t    123456 ns/op\t      2500 GB/s\t         0.5 TFLOP/s\n" +
		"BenchmarkOp/op=Act \t 3\t 7 us/op\nPASS\n")
	want := map[string]float64{
		"Op/op=Copy/n=8/dtype=f32 ns/op": 123456, "Op/op=Copy/n=8/dtype=f32 GB/s": 2500,
		"Op/op=Copy/n=8/dtype=f32 TFLOP/s": 0.5, "Op/op=Act us/op": 7,
	}
	if !maps.Equal(got, want) {
		t.Errorf("figures = %v; want %v", got, want)
	}
}

// BenchmarkStepCUDA has the name and the metrics of the benchmark in
// internal/train.
func BenchmarkStepCUDA(b *testing.B) {
	for _, workload := range []string{"full", "mrpc", "long"} {
		b.Run("workload="+workload+"/method=lor2c/dtype=bfloat16", func(b *testing.B) {
			for b.Loop() {
			}
			b.ReportMetric(12.34e6, "ns/op")
			b.ReportMetric(1e6, "tokens/s")
			b.ReportMetric(1500, "planned-MiB")
			b.ReportMetric(1567, "device-MiB")
		})
	}
}

// TestRow compares a row of the table with the output of go test for the same
// benchmark.
func TestRow(t *testing.T) {
	out, err := exec.Command(os.Args[0], "-test.run", "^$", "-test.bench", "^BenchmarkStepCUDA$",
		"-test.benchtime", "1x").Output()
	if err != nil {
		t.Fatal(err)
	}
	r := Result{Card: "card", Outcomes: []Outcome{{Name: "steps", Status: "pass", Figures: figures(string(out))}}}
	if got, want := r.markdown(), "| - | - | 12.34 | 12.34 | 12.34 | 1567 |\n"; !strings.Contains(got, want) {
		t.Errorf("the row is %q; want %q in it, from\n%s", got, want, out)
	}
}

func TestApart(t *testing.T) {
	for name, c := range map[string]struct {
		a, b []float64
		want float64
		err  bool
	}{
		"equal":   {[]float64{1, 2}, []float64{1, 2}, 0, false},
		"second":  {[]float64{1, 2.5}, []float64{1, 2}, 0.25, false},
		"shorter": {[]float64{1}, []float64{1, 2}, 0, true},
		"empty":   {nil, nil, 0, true},
	} {
		t.Run("case="+name, func(t *testing.T) {
			got, err := apart(c.a, c.b)
			if math.Abs(got-c.want) > 1e-12 || (err != nil) != c.err {
				t.Errorf("apart = %v, %v; want %v", got, err, c.want)
			}
		})
	}
	if got, _ := apart([]float64{1, math.NaN()}, []float64{1, 1}); got <= 1 {
		t.Errorf("apart of a NaN = %v, which would pass", got)
	}
}

func TestReadLosses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	write(t, path,
		`{"kind":"plan"}`+"\n"+`{"kind":"train","step":1,"loss":2.5}`+"\n"+`{"kind":"eval","loss":9}`+"\n"+
			`{"kind":"train","step":2,"loss":2}`+"\n")
	got, err := readLosses(path)
	if err != nil || len(got) != 2 || got[0] != 2.5 || got[1] != 2 {
		t.Errorf("readLosses = %v, %v", got, err)
	}
}

func TestSameFiles(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		write(t, filepath.Join(dir, "final", "adapter.safetensors"), "same")
		write(t, filepath.Join(dir, "timing.jsonl"), dir)
	}
	if err := sameFiles(a, b); err != nil {
		t.Errorf("equal runs: %v", err)
	}
	write(t, filepath.Join(b, "final", "adapter.safetensors"), "sane")
	if err := sameFiles(a, b); err == nil || !strings.Contains(err.Error(), "adapter.safetensors differs") {
		t.Errorf("a file differs: %v", err)
	}
	if err := os.Remove(filepath.Join(b, "final", "adapter.safetensors")); err != nil {
		t.Fatal(err)
	}
	if sameFiles(a, b) == nil {
		t.Error("a missing file went unnoticed")
	}
}

// TestProcessFails runs checks in an empty bundle: each error says what is
// missing, and the result is written nevertheless.
func TestProcessFails(t *testing.T) {
	b := &bundle{dir: t.TempDir(), out: t.TempDir()}
	if _, _, err := b.doctor(); err == nil || !strings.Contains(err.Error(), "lor2c doctor") {
		t.Errorf("doctor in an empty bundle: %v", err)
	}
	if _, _, err := b.conformance(); err == nil || !strings.Contains(err.Error(), "gpu.test") {
		t.Errorf("conformance in an empty bundle: %v", err)
	}
	if _, _, err := b.resume(); !isSkip(err) {
		t.Errorf("resume without runs: %v; want a skip", err)
	}
	b.result.Outcomes = []Outcome{{Name: "doctor", Status: "fail", Detail: "no driver\nmore"}}
	if err := b.write(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(b.out, "gpu-check.md"))
	if err != nil || !strings.Contains(string(raw), "0 of 1") ||
		!strings.Contains(string(raw), "* doctor: fail: no driver\n") {
		t.Errorf("gpu-check.md is %q, %v", raw, err)
	}
}

// TestDoctor: a card passes, and a kernel that fails the self-check or a missing entry point fails the check.
func TestDoctor(t *testing.T) {
	const card = "lor2c v1\ndriver CUDA 12.4\ncuda:0 H200\n"
	for name, c := range map[string]struct{ out, want string }{
		"passed": {card + "self-check:0 passed\n", ""},
		"refused": {card + "self-check:0 wrong results: matmul_nt_bf16\n",
			"the self-check of the kernels failed: wrong results"},
		"missing": {card + "missing cuGraphLaunch\n", "the driver lacks entry points: cuGraphLaunch"},
		"no card": {"lor2c v1\ndriver none\n", "no card"},
	} {
		t.Run("card="+name, func(t *testing.T) {
			b := &bundle{dir: t.TempDir()}
			program := filepath.Join(b.dir, "bin", "lor2c")
			write(t, program, "#!/bin/sh\ncat <<'END'\n"+c.out+"END\n")
			if err := os.Chmod(program, 0o755); err != nil {
				t.Fatal(err)
			}
			_, _, err := b.doctor()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("doctor: %v; want %q", err, c.want)
			}
		})
	}
}

// TestNothingRan: a run without any test or benchmark fails the check.
func TestNothingRan(t *testing.T) {
	b := &bundle{dir: t.TempDir()}
	program := filepath.Join(b.dir, "bin", "gpu.test")
	write(t, program, "#!/bin/sh\necho PASS\n")
	if err := errors.Join(os.Chmod(program, 0o755),
		os.MkdirAll(filepath.Join(b.dir, "internal", "gpu"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.conformance(); err == nil || !strings.HasPrefix(err.Error(), "no test passed") {
		t.Errorf("conformance without tests: %v", err)
	}
	if _, _, err := b.operations(); err == nil || !strings.HasPrefix(err.Error(), "no benchmark ran") {
		t.Errorf("operations without benchmarks: %v", err)
	}
}

// TestSanitizer: each list of tests runs in its own process under the tool, on a few sizes, and a failure of any fails
// the check.
func TestSanitizer(t *testing.T) {
	b := &bundle{dir: t.TempDir()}
	tools, calls := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
	if err := os.MkdirAll(filepath.Join(b.dir, "internal", "gpu"), 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(tools, "compute-sanitizer")
	script := "#!/bin/sh\necho \"$LOR2C_TEST_SAMPLE $*\" >> " + calls + "\n"
	write(t, program, script)
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := sanitizer("racecheck")(b); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(lines) != len(sanitized) {
		t.Fatalf("%d processes; want %d:\n%s", len(lines), len(sanitized), raw)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, sanitizedSizes+" --tool racecheck ") || !strings.Contains(line, sanitized[i]) {
			t.Errorf("process %d: %q; want racecheck of %s on %s sizes", i, line, sanitized[i], sanitizedSizes)
		}
	}
	write(t, program, script+"case \"$*\" in *bf16*) exit 9;; esac\n")
	if _, _, err := sanitizer("racecheck")(b); err == nil || !strings.Contains(err.Error(), "bf16") {
		t.Errorf("a race in the second process: %v; want an error that names the test", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
