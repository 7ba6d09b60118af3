package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/gpu"
)

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:         "doctor",
		Short:       "Say what this machine offers",
		Long:        wrap("Doctor prints the devices that this build can use here, and where it keeps files.", ""),
		Annotations: exits(),
		Args:        noArgs,
		Run: func(c *cobra.Command, _ []string) {
			for _, r := range doctorRows(gpu.Probe()) {
				fmt.Fprintf(c.OutOrStdout(), "%-16s %s\n", r[0], r[1])
			}
		},
	}
}

// doctorRows are names and values. They never fail: what is wrong is a value.
func doctorRows(cuda gpu.Report) [][2]string {
	cache := "none: no cache directory for this user"
	if dir, err := os.UserCacheDir(); err == nil {
		cache = filepath.Join(dir, "lor2c")
	}
	device := cpu.Open[float32](0).Name()
	if cuda.Usable {
		device = "cuda:0 " + cuda.Cards[0].Name
	}
	rows := [][2]string{
		{"lor2c", versionString()},
		{"platform", runtime.GOOS + "/" + runtime.GOARCH},
		{"device", device},
		{"cores", fmt.Sprintf("%d, %d used", runtime.NumCPU(), runtime.GOMAXPROCS(0))},
		{"matrix products", cpu.BLAS()},
		{"token cache", cache},
		{"driver", cuda.Driver},
	}
	if len(cuda.Targets) > 0 {
		rows = append(rows, [2]string{"kernels for", strings.Join(cuda.Targets, " ")})
	}
	if len(cuda.Missing) > 0 {
		rows = append(rows, [2]string{"missing", strings.Join(cuda.Missing, " ")})
	}
	for i, c := range cuda.Cards {
		const gib = 1 << 30
		memory := fmt.Sprintf("%.1f GiB", float64(c.Bytes)/gib)
		if free, err := gpu.FreeMemory(i); err != nil {
			memory += ", " + err.Error()
		} else {
			memory = fmt.Sprintf("%.1f of %s free", float64(free)/gib, memory)
		}
		rows = append(rows, [2]string{fmt.Sprintf("cuda:%d", i), fmt.Sprintf("%s, compute capability %s, %d multiprocessors, %s, %s, code object %s",
			c.Name, c.Capability, c.Multiprocessors, memory, c.UUID, c.Code)})
	}
	return rows
}
