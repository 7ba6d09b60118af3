package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/cpu"
)

func TestDoctor(t *testing.T) {
	plain, asJSON := run(t, "doctor"), run(t, "doctor", "--json")
	var object map[string]string
	if err := json.Unmarshal([]byte(asJSON.stdout), &object); err != nil || plain.code != 0 || asJSON.code != 0 {
		t.Fatalf("%v, %+v, %+v", err, plain, asJSON)
	}
	lines := strings.Split(strings.TrimSpace(plain.stdout), "\n")
	if len(lines) != len(object) {
		t.Errorf("%d lines, and %d names in JSON", len(lines), len(object))
	}
	for _, line := range lines {
		name, value := strings.TrimSpace(line[:16]), line[17:]
		// The first value changes between calls, and the second depends on the home
		// directory, which each has of its own.
		if name != "memory" && name != "token cache" && object[strings.ReplaceAll(name, " ", "_")] != value {
			t.Errorf("%s is %q and in JSON %q", name, value, object[strings.ReplaceAll(name, " ", "_")])
		}
	}
	if r := run(t, "doctor", "--device", "cpu"); r.code != 0 {
		t.Errorf("--device cpu: %+v", r)
	}
	if r := run(t, "doctor", "--device", "cuda:99"); r.code != exitDevice || !strings.Contains(r.stdout, "driver") {
		t.Errorf("--device cuda:99: %+v", r)
	}
}

// TestInstructionSet: LOR2C_CPU changes what the device is called. An unknown name ends doctor and training with the
// code of a wrong command line.
func TestInstructionSet(t *testing.T) {
	with := func(set string, args ...string) result {
		c := command(t, args...)
		c.Env = append(c.Env, "LOR2C_CPU="+set)
		return finish(t, c)
	}
	const fault = `cpu: read LOR2C_CPU: it is "AMX"; want the newest instruction set to use, avx2, avx512 or amx`
	for _, args := range [][]string{{"doctor"}, {"train", "-c", "configs/demo.yaml", "--device", "cpu"}} {
		if r := with("AMX", args...); r.code != exitUsage || !strings.Contains(r.stderr, fault) {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if r := with("avx2", "doctor"); r.code != 0 || strings.Contains(r.stdout, "AMX in") ||
		!strings.Contains(r.stdout, "because LOR2C_CPU is avx2") {
		t.Errorf("avx2: %+v", r)
	}
	r := with("amx", "doctor")
	if cpu.Open[float32](1).UseTiles() {
		if r.code != 0 || !strings.Contains(r.stdout, "workers, AMX\n") || !strings.Contains(r.stdout, "AMX in the linear") {
			t.Errorf("amx: %+v", r)
		}
	} else if r.code != exitUsage || !strings.Contains(r.stderr, "leave it unset") {
		t.Errorf("amx where there is none: %+v", r)
	}
}
