package config

import (
	"fmt"
	"strings"
)

// maxFaults is how many faults an Error shows.
const maxFaults = 20

// Error holds every fault that Load found, those of the file first and in its
// order. Its text has one line for each of the first 20, and says how many more
// there are.
type Error struct{ Faults []error }

func (e *Error) Error() string {
	var lines []string
	for _, f := range e.Faults[:min(len(e.Faults), maxFaults)] {
		lines = append(lines, f.Error())
	}
	if more := len(e.Faults) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("config: and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is find the cause of a file that cannot be read.
func (e *Error) Unwrap() []error { return e.Faults }

// origin is the place that a value was read from.
type origin struct {
	where     string // "runs/x.yaml:3:5", "LOR2C_SEED" or "--set seed=1"
	line, col int    // of the key in the file, 1-based; 0 elsewhere
}

// fault is one line of an Error.
type fault struct {
	origin
	text  string
	cause error // nil unless the system refused something
}

func (f *fault) Error() string {
	line := "config: " + f.text
	if f.where != "" {
		line = "config: " + f.where + ": " + f.text
	}
	// Values are the user's and may hold line breaks; a fault is one line.
	return strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(line)
}

func (f *fault) Unwrap() error { return f.cause }
