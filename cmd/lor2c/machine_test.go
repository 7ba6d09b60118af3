package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMemory reads what Linux writes, with and without a container's limit.
func TestMemory(t *testing.T) {
	table := filepath.Join(t.TempDir(), "meminfo")
	const text = "MemTotal:       16000 kB\nMemFree:         1000 kB\nMemAvailable:    9000 kB\nHugePages_Total:       0\n"
	if err := os.WriteFile(table, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		limit, used string
		total, free int64 // KiB
	}{
		{"", "", 16000, 9000},
		{"max\n", "5000000\n", 16000, 9000},
		{"8192000\n", "1024000\n", 8000, 7000},
		{"8192000\n", "9000000\n", 8000, 0},
		{"16384000000\n", "1024\n", 16000, 9000}, // more than there is
	} {
		group := t.TempDir()
		for name, text := range map[string]string{"memory.max": c.limit, "memory.current": c.used} {
			if text != "" {
				if err := os.WriteFile(filepath.Join(group, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if total, free, ok := memoryOf(table, group); total != c.total<<10 || free != c.free<<10 || !ok {
			t.Errorf("limit %q: %d, %d, %t; want %d and %d KiB", c.limit, total, free, ok, c.total, c.free)
		}
	}
	if _, _, ok := memoryOf(filepath.Join(t.TempDir(), "none"), t.TempDir()); ok {
		t.Error("a system without the table has memory")
	}
}

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
		// The first differs from one call to the next, the second has the home of each.
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
