package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"
)

// cpuFeatures names the vector instructions of this processor that matrix
// products use.
func cpuFeatures() string {
	var names []string
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"AVX2", cpu.X86.HasAVX2}, {"FMA", cpu.X86.HasFMA}, {"AVX-512", cpu.X86.HasAVX512F}, {"AVX-512 BF16", cpu.X86.HasAVX512BF16},
		{"AMX BF16", cpu.X86.HasAMXBF16}, {"ASIMD", cpu.ARM64.HasASIMD}, {"SVE", cpu.ARM64.HasSVE},
	} {
		if f.has {
			names = append(names, f.name)
		}
	}
	if names == nil {
		return "none that this program knows on " + runtime.GOARCH
	}
	return strings.Join(names, ", ")
}

// memory returns the bytes of main memory that this process could have, and of
// those the ones that nobody uses. A container's limit counts. ok is false where
// the system does not say.
func memory() (total, free int64, ok bool) { return memoryOf("/proc/meminfo", "/sys/fs/cgroup") }

// memoryOf is memory, from Linux's table and the folder of the control group.
func memoryOf(table, group string) (total, free int64, ok bool) {
	text, err := os.ReadFile(table)
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch {
		case err != nil:
		case name == "MemTotal":
			total = kib << 10
		case name == "MemAvailable":
			free = kib << 10
		}
	}
	number := func(name string) (int64, bool) {
		text, err := os.ReadFile(filepath.Join(group, name))
		n, no := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return n, err == nil && no == nil
	}
	// Without a limit the file says "max".
	if limit, limited := number("memory.max"); limited && limit < total {
		total = limit
		if used, ok := number("memory.current"); ok {
			free = min(free, max(limit-used, 0))
		}
	}
	return total, free, total > 0
}
