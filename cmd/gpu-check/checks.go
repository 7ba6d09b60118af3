package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// doctor runs lor2c doctor, which must find a card, a driver that has all entry
// points, and no kernel that fails the self-check.
func (b *bundle) doctor() (string, map[string]float64, error) {
	out, err := b.lor2c("doctor")
	if err != nil {
		return "", nil, err
	}
	for _, line := range strings.Split(out, "\n") {
		name, value, _ := strings.Cut(line, " ")
		switch value = strings.TrimSpace(value); name {
		case "lor2c":
			b.result.Version = value
		case "driver":
			b.result.Driver = value
		case "cuda:0":
			b.result.Card = value
		case "missing":
			return out, nil, fmt.Errorf("the driver lacks entry points: %s", value)
		case "self-check:0":
			if value != "passed" {
				return out, nil, fmt.Errorf("the self-check of the kernels failed: %s", value)
			}
		}
	}
	if b.result.Card == "" {
		return out, nil, fmt.Errorf("no card was found:\n%s", out)
	}
	return out, nil, nil
}

// tests runs tests of a package on the card and counts those that passed. It is
// an error if none passed.
func (b *bundle) tests(pkg, which string) (string, map[string]float64, error) {
	out, err := b.test(pkg, "-test.run", which, "-test.v")
	if err != nil {
		return "", nil, err
	}
	n := strings.Count(out, "--- PASS")
	if n == 0 {
		return "", nil, fmt.Errorf("no test passed:\n%s", last(out, 1000))
	}
	return "", map[string]float64{"passed": float64(n), "skipped": float64(strings.Count(out, "--- SKIP"))}, nil
}

// driver runs the tests of package driver, which call every entry point with
// kernels of their own.
func (b *bundle) driver() (string, map[string]float64, error) {
	return b.tests("internal/gpu/driver", "^TestDevice$")
}

// suite selects the tests of compute.Device: every op in both precisions, and
// kernels and launches that the suite's sizes and orders of calls do not reach.
const suite = "^Test(Conformance|Products|SlopeJoinsProduct|AttentionUnaligned|RowFusion|RowFusionEnds)$"

// conformance runs the suite on the card.
func (b *bundle) conformance() (string, map[string]float64, error) {
	return b.tests("internal/gpu", suite)
}

// replay runs steps repeatedly as CUDA graphs.
func (b *bundle) replay() (string, map[string]float64, error) {
	return b.tests("internal/gpu",
		"^Test(Replay|CopiesReplay|ShapesDoNotShare|UploadKeepsItsPlace|LargeUpload|GraphsAreBounded)$")
}

// goldens runs the comparisons with PyTorch on the card.
func (b *bundle) goldens() (string, map[string]float64, error) {
	return b.tests("internal/train", "^TestGolden.*CUDA$")
}

// benchmark matches a result line of `go test -bench`.
var benchmark = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s(.*)$`)

// figures returns the values by benchmark and unit from the output of
// benchmarks.
func figures(out string) map[string]float64 {
	found := map[string]float64{}
	for _, m := range benchmark.FindAllStringSubmatch(out, -1) {
		words := strings.Fields(m[2])
		for i := 0; i+1 < len(words); i += 2 {
			var v float64
			if _, err := fmt.Sscan(words[i], &v); err == nil {
				found[m[1]+" "+words[i+1]] = v
			}
		}
	}
	return found
}

// benchmarks runs benchmarks of a package on the card. It is an error if none
// ran.
func (b *bundle) benchmarks(pkg, which string) (string, map[string]float64, error) {
	out, err := b.test(pkg, "-test.run", "^$", "-test.bench", which, "-test.benchtime", "50x")
	found := figures(out)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no benchmark ran:\n%s", last(out, 1000))
	}
	return "", found, err
}

// operations measures the time of every op.
func (b *bundle) operations() (string, map[string]float64, error) {
	return b.benchmarks("internal/gpu", "^BenchmarkOp$")
}

// steps measures the time of optimizer steps at the shape of RoBERTa-base.
func (b *bundle) steps() (string, map[string]float64, error) {
	return b.benchmarks("internal/train", "^BenchmarkStepCUDA$")
}

// sanitized are the tests that run under compute-sanitizer, each in its own
// process so that each has the whole limit: a few sizes of every op in both
// precisions, and kernels and launches that the suite's sizes do not reach.
var sanitized = []string{
	"^TestConformance$/^dtype=f32$",
	"^TestConformance$/^dtype=bf16$",
	"^Test(Products|SlopeJoinsProduct|AttentionUnaligned|RowFusion|RowFusionEnds)$",
}

// sanitizedSizes is the number of cases of each op. Kernels are up to a hundred
// times slower than without the sanitizer.
const sanitizedSizes = "3"

// sanitizer runs tests under one tool of compute-sanitizer.
func sanitizer(tool string) func(*bundle) (string, map[string]float64, error) {
	return func(b *bundle) (string, map[string]float64, error) {
		program, err := exec.LookPath("compute-sanitizer")
		if err != nil {
			return "", nil, skip("compute-sanitizer is not on PATH")
		}
		env := []string{"LOR2C_REQUIRE_GPU=1", "LOR2C_TEST_SAMPLE=" + sanitizedSizes}
		var detail string
		for _, which := range sanitized {
			out, err := b.process("internal/gpu", env, program, "--tool", tool, "--error-exitcode", "9",
				b.dir+"/bin/gpu.test", "-test.run", which, "-test.short")
			if err != nil {
				return "", nil, err
			}
			detail = last(strings.TrimSpace(out), 200)
		}
		return detail, nil, nil
	}
}
