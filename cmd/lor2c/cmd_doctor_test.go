package main

import (
	"encoding/json"
	"strings"
	"testing"
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
