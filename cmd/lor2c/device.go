package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/gpu"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/processor"
	"github.com/spf13/cobra"
)

// noDeviceError marks the error of a requested device that cannot be opened.
type noDeviceError struct{ error }

func (e noDeviceError) Unwrap() error { return e.error }

var cudaName = regexp.MustCompile(`^cuda(?::(\d+))?$`)

// openTrainer opens a device like openDevice. On the CPU its linear layers run on the tile unit if LOR2C_CPU is amx.
// Training and evaluation use it. Commands that write texts do not: for one token at a time they wait for the weights
// and not for products, and the prompt must be computed like the tokens after it.
func openTrainer(name, precision string) (compute.Device, error) {
	dev, err := openDevice(name, precision)
	if d, ok := dev.(*cpu.Device[float32]); ok && processor.Allows(processor.AMX) {
		d.UseTiles()
	}
	return dev, err
}

// products names what multiplies matrices on the CPU, for env.json.
func products(dev compute.Device) string {
	name := cpu.BLAS()
	if d, ok := dev.(*cpu.Device[float32]); ok {
		name = d.Products()
	}
	if library := cpu.Library(); library != "" {
		name += ": " + library
	}
	return name
}

// openDevice opens the device named auto, cpu, cuda or cuda:N in a precision of package
// config. auto is the first usable card, or the CPU if there is none.
func openDevice(name, precision string) (compute.Device, error) {
	if err := cpu.CheckInstructions(); err != nil {
		return nil, usageError{fmt.Errorf("lor2c: %w", err)}
	}
	match := cudaName.FindStringSubmatch(name)
	switch {
	case match != nil:
		index, err := strconv.Atoi(match[1])
		if match[1] != "" && err != nil {
			return nil, usageError{fmt.Errorf("lor2c: open device: --device is %q: %w", name, err)}
		}
		return openCard(index, precision)
	case name == "auto" && gpu.Built:
		report := gpu.Probe()
		if report.Usable {
			return openCard(0, precision)
		}
		fmt.Fprintf(os.Stderr, "lor2c: no usable GPU (%s); running on the CPU\n", unusable(report))
		fallthrough
	case name == "auto" || name == "cpu":
		if precision != config.Float32 {
			return nil, noDeviceError{fmt.Errorf("lor2c: open device %s: the precision is %s, and the CPU computes in float32; "+
				"set train.precision, or --precision where there is no run file, to float32", name, precision)}
		}
		return cpu.Open[float32](0), nil
	}
	return nil, usageError{fmt.Errorf("lor2c: open device: --device is %q; want auto, cpu, cuda or cuda:N", name)}
}

// rounding names what decides how a device rounds. Files that have results of one such device are not continued on
// another.
func rounding(dev compute.Device) string { return compute.Rounding(dev.Name()) }

func openCard(index int, precision string) (compute.Device, error) {
	dev, err := gpu.Open(gpu.Options{Index: index, Narrow: precision == config.BFloat16})
	if err == nil {
		if d, ok := dev.(interface{ Refused() []string }); ok && len(d.Refused()) > 0 {
			fmt.Fprintf(os.Stderr, "lor2c: cuda:%d: wrong results in the self-check, so slower kernels are used instead: %s\n",
				index, strings.Join(d.Refused(), " "))
		}
		return dev, nil
	}
	hint := "lor2c doctor lists what it found"
	if errors.Is(err, gpu.ErrNotBuilt) {
		hint = "make build adds the CUDA device if it finds a C compiler, and a CUDA compiler or pip to install one"
	}
	return nil, noDeviceError{fmt.Errorf("lor2c: open device cuda:%d: %w; %s, or use --device cpu", index, err, hint)}
}

// unusable returns a few words about why no card can be used.
func unusable(r gpu.Report) string {
	if len(r.Cards) > 0 {
		return r.Cards[0].Name + ", code object " + r.Cards[0].Code
	}
	return r.Driver
}

// loadDecoder loads a decoder, with memory for a number of texts, of at most length tokens each, that are continued at
// a time. It says so if the device has room for fewer.
func loadDecoder(c *cobra.Command, dev compute.Device, t *generate.Texts, texts, length int, seed uint64) (
	*generate.Generator, error) {
	plan, err := t.Plan(dev, texts, length)
	if err != nil {
		return nil, err
	}
	if plan.Texts < texts {
		fmt.Fprintf(c.ErrOrStderr(), "memory has room for %s of %d tokens at a time, instead of %d\n",
			place.Count(plan.Texts, "text", "texts"), length, texts)
	}
	return t.LoadPlanned(dev, plan, seed)
}
