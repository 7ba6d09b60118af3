package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/gpu"
	"github.com/lor2c/lor2c/internal/processor"
	"github.com/lor2c/lor2c/internal/sandbox"
)

func newDoctorCommand() *cobra.Command {
	var asJSON bool
	var device string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine offers",
		Long: wrap("Doctor prints the devices that this build can use here, why others cannot be used, and where it keeps "+
			"files. A machine without a card is not a failure, unless --device asks for one. LOR2C_CPU=avx2, avx512 (the "+
			"default) or amx names the newest instruction set that the CPU uses; doctor says what it changes.", ""),
		Example: "  lor2c doctor\n" +
			"  lor2c doctor --json | jq -r .device\n" +
			"  lor2c doctor --device cuda && lor2c train -c run.yaml --device cuda",
		Annotations: exits(exitDevice),
		Args:        noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cpu.CheckInstructions(); err != nil {
				return usageError{fmt.Errorf("lor2c: doctor: %w", err)}
			}
			rows := doctorRows(c.Context(), gpu.Probe())
			if err := printRows(c, rows, asJSON); err != nil || device == "" {
				return err
			}
			dev, err := openDevice(device, config.Float32)
			if err != nil {
				return err
			}
			dev.Close()
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with _ for the blanks of the names")
	c.Flags().StringVar(&device, "device", "", "also open device `NAME`, and end with code 3 where that fails")
	return c
}

// row is a line of what doctor prints: a name and a value.
type row struct{ name, value string }

func printRows(c *cobra.Command, rows []row, asJSON bool) error {
	if !asJSON {
		for _, r := range rows {
			fmt.Fprintf(c.OutOrStdout(), "%-16s %s\n", r.name, r.value)
		}
		return nil
	}
	object := map[string]string{}
	for _, r := range rows {
		object[strings.ReplaceAll(r.name, " ", "_")] = r.value
	}
	return json.NewEncoder(c.OutOrStdout()).Encode(object)
}

// doctorRows returns what doctor prints. Where something could not be found out, the
// value of the row is the reason.
func doctorRows(ctx context.Context, cuda gpu.Report) []row {
	cache := "none: no cache directory for this user"
	if dir, err := os.UserCacheDir(); err == nil {
		cache = filepath.Join(dir, "lor2c")
	}
	products, device := hostProducts()
	if cuda.Usable {
		device = "cuda:0 " + cuda.Cards[0].Name
	}
	rows := []row{
		{"lor2c", versionString()},
		{"platform", runtime.GOOS + "/" + runtime.GOARCH},
		{"device", device},
		{"cores", fmt.Sprintf("%d, %d used", runtime.NumCPU(), runtime.GOMAXPROCS(0))},
		{"vectors", cpuFeatures()},
	}
	if m, ok := cpu.ReadMemory(); ok {
		rows = append(rows, row{"memory", fmt.Sprintf("%.1f of %.1f GiB free", gib(m.Free), gib(m.Total))})
	}
	programs := "not possible: "
	if box, err := sandbox.Open(ctx, sandbox.Kernel); err != nil {
		programs += err.Error()
	} else {
		programs = box.Layers()
	}
	rows = append(rows, row{"code sandbox", programs})
	rows = append(rows, row{"matrix products", products}, row{"token cache", cache}, row{"driver", cuda.Driver})
	if advice := adviceOn(cuda); advice != "" {
		rows = append(rows, row{"for a card", advice})
	}
	if len(cuda.Targets) > 0 {
		rows = append(rows, row{"kernels for", strings.Join(cuda.Targets, " ")})
	}
	if len(cuda.Missing) > 0 {
		rows = append(rows, row{"missing", strings.Join(cuda.Missing, " ")})
	}
	for i, c := range cuda.Cards {
		checks := os.Getenv("LOR2C_SELF_CHECK") != "0"
		found := gpu.Inspect(i, c.Usable && checks)
		memory := fmt.Sprintf("%.1f GiB", gib(c.Bytes))
		if found.MemoryErr != nil {
			memory += ", " + found.MemoryErr.Error()
		} else {
			memory = fmt.Sprintf("%.1f of %s free", gib(found.Free), memory)
		}
		rows = append(rows,
			row{fmt.Sprintf("cuda:%d", i), fmt.Sprintf("%s, compute capability %s, %d multiprocessors, %s, %s, code object %s",
				c.Name, c.Capability, c.Multiprocessors, memory, c.UUID, c.Code)})
		if c.Usable {
			rows = append(rows, row{fmt.Sprintf("self-check:%d", i), selfCheck(found, checks)})
		}
	}
	return rows
}

// hostProducts returns what multiplies matrices on the CPU, and the name of the CPU as a device that trains.
func hostProducts() (products, device string) {
	d := cpu.Open[float32](0)
	products, device = cpu.BLAS(), d.Name()
	tiles := d.UseTiles()
	switch {
	case tiles && processor.Allows(processor.AMX):
		device = d.Name()
		products = fmt.Sprintf("%s in the linear layers of train, sweep, predict and eval without --task, %s elsewhere",
			d.Products(), products)
	case tiles && processor.Newest() == "":
		return fmt.Sprintf("%s; %s=%s trains on the tile unit", products, processor.Variable, processor.AMX), device
	}
	if processor.Newest() != "" {
		products += fmt.Sprintf(", because %s is %s", processor.Variable, processor.Newest())
	}
	return products, device
}

// selfCheck returns the result of the self-check of a card's kernels.
func selfCheck(found gpu.Inspection, ran bool) string {
	switch {
	case !ran:
		return "omitted, because LOR2C_SELF_CHECK is 0"
	case found.CheckErr != nil:
		return found.CheckErr.Error()
	case len(found.Refused) > 0:
		return "wrong results, so slower kernels are used instead: " + strings.Join(found.Refused, " ")
	}
	return "passed"
}

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }

// adviceOn returns what would make a card usable, or "" if one is usable.
func adviceOn(cuda gpu.Report) string {
	switch {
	case cuda.Usable:
		return ""
	case !gpu.Built:
		return "run make build; it needs a C compiler, and a CUDA compiler or pip to fetch one"
	case len(cuda.Missing) > 0:
		return "update NVIDIA's driver, which lacks the functions listed as missing"
	case len(cuda.Cards) > 0:
		return "run make kernels for the compute capability of the card and build again, or update the driver"
	case strings.HasPrefix(cuda.Driver, "no driver"):
		return "install NVIDIA's driver (libcuda.so.1); in a container, start it with --gpus all"
	}
	return "check the output of nvidia-smi, and whether CUDA_VISIBLE_DEVICES hides the card"
}
