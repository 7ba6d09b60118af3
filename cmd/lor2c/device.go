package main

import (
	"errors"
	"fmt"
	"regexp"

	"lor2c/internal/compute"
	"lor2c/internal/config"
	"lor2c/internal/cpu"
)

// errNoDevice is wrapped when the device asked for cannot be had.
var errNoDevice = errors.New("no usable device")

var cudaName = regexp.MustCompile(`^cuda(:\d+)?$`)

// openDevice opens auto, cpu, cuda or cuda:N to work in a precision of package
// config.
func openDevice(name, precision string) (compute.Device, error) {
	switch {
	case name == "auto" || name == "cpu":
		if precision != config.Float32 {
			return nil, fmt.Errorf("lor2c: open device %s: train.precision is %s, and the CPU works in float32; add --set train.precision=float32: %w", name, precision, errNoDevice)
		}
		return cpu.Open[float32](0), nil
	case cudaName.MatchString(name):
		return nil, fmt.Errorf("lor2c: open device %s: this build has the CPU device alone; use --device cpu: %w", name, errNoDevice)
	}
	return nil, usageError{fmt.Errorf("lor2c: open device: --device is %q; want auto, cpu, cuda or cuda:N", name)}
}
