package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"lor2c/internal/cpu"
	"lor2c/internal/gpu"
)

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine offers",
		Long:  "Doctor prints the devices that this build can use here, and where it keeps files.\n" + exitHelp,
		Args:  noArgs,
		Run: func(*cobra.Command, []string) {
			for _, r := range doctorRows(gpu.Probe()) {
				fmt.Printf("%-16s %s\n", r[0], r[1])
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
		rows = append(rows, [2]string{fmt.Sprintf("cuda:%d", i), fmt.Sprintf(
			"%s, compute capability %s, %d multiprocessors, %.1f of %.1f GiB free, %s, code object %s",
			c.Name, c.Capability, c.Multiprocessors, float64(c.FreeBytes)/gib, float64(c.AllBytes)/gib, c.UUID, c.Code)})
	}
	return rows
}
