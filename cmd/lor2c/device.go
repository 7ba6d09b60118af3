package main

import (
	"errors"
	"fmt"
	"regexp"

	"lor2c/internal/compute"
	"lor2c/internal/cpu"
)

// errNoDevice is wrapped when the device asked for cannot be had.
var errNoDevice = errors.New("no usable device")

var cudaName = regexp.MustCompile(`^cuda(:\d+)?$`)

// openDevice opens auto, cpu, cuda or cuda:N.
func openDevice(name string) (compute.Device, error) {
	switch {
	case name == "auto" || name == "cpu":
		return cpu.Open[float32](0), nil
	case cudaName.MatchString(name):
		return nil, fmt.Errorf("lor2c: open device %s: this build has the CPU device alone; use --device cpu: %w", name, errNoDevice)
	}
	return nil, usageError{fmt.Errorf("lor2c: open device: --device is %q; want auto, cpu, cuda or cuda:N", name)}
}
