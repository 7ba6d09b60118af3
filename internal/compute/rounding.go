package compute

import "regexp"

// incidental is what the name of a device has and no result depends on: the index of the card among equal ones, and the
// number of workers.
var incidental = regexp.MustCompile(`^(cuda):\d+|, \d+ workers?`)

// Rounding returns the part of a device's name that decides how the device rounds: the model of the card or the kernels
// of the CPU, and the precision.
func Rounding(name string) string { return incidental.ReplaceAllString(name, "$1") }
