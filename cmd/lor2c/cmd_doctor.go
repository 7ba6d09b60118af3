package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"lor2c/internal/config"
	"lor2c/internal/cpu"
)

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine offers",
		Long:  "Doctor prints the devices that this build can use here, and where it keeps files.\n" + exitHelp,
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			dev, err := openDevice("auto", config.Float32)
			if err != nil {
				return err
			}
			defer dev.Close()
			cache := "none: no cache directory for this user"
			if dir, err := os.UserCacheDir(); err == nil {
				cache = filepath.Join(dir, "lor2c")
			}
			rows := [][2]string{
				{"lor2c", versionString()},
				{"platform", runtime.GOOS + "/" + runtime.GOARCH},
				{"device", dev.Name()},
				{"cores", fmt.Sprintf("%d, %d used", runtime.NumCPU(), runtime.GOMAXPROCS(0))},
				{"matrix products", cpu.BLAS()},
				{"cuda", "not in this build"},
				{"token cache", cache},
			}
			for _, r := range rows {
				fmt.Printf("%-16s %s\n", r[0], r[1])
			}
			return nil
		},
	}
}
