package main

import (
	"runtime"
	"strings"

	"golang.org/x/sys/cpu"
)

// cpuFeatures returns the names of this processor's vector instructions that matrix
// products can use.
func cpuFeatures() string {
	var names []string
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"AVX2", cpu.X86.HasAVX2}, {"FMA", cpu.X86.HasFMA}, {"AVX-512", cpu.X86.HasAVX512F},
		{"AVX-512 BF16", cpu.X86.HasAVX512BF16},
		{"AMX BF16", cpu.X86.HasAMXBF16}, {"ASIMD", cpu.ARM64.HasASIMD}, {"SVE", cpu.ARM64.HasSVE},
	} {
		if f.has {
			names = append(names, f.name)
		}
	}
	if names == nil {
		return "none known to this program on " + runtime.GOARCH
	}
	return strings.Join(names, ", ")
}
