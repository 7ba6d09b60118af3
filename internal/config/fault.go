package config

import (
	"errors"
	"fmt"
	"strings"
)

// maxFaults is the largest number of faults that an Error shows.
const maxFaults = 20

// Error has every fault that Load found. Those of the file come first, in the
// order of the file. The text has one line for each of the first 20, and the
// number of the others.
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

// Unwrap lets errors.Is find the cause if a file cannot be read.
func (e *Error) Unwrap() []error { return e.Faults }

// ErrUnknownKey is wrapped by every [Fault] for a key that does not exist.
var ErrUnknownKey = errors.New("unknown key")

// origin is the place that a value was read from.
type origin struct {
	where     string // "runs/x.yaml:3:5", "LOR2C_SEED" or "--set seed=1"
	line, col int    // position of the key in the file, 1-based; 0 for other sources
	set       string // the value of --set, such as "seed=1"; "" for other sources
}

// Fault is one line of an Error.
type Fault struct {
	origin
	text  string // without the value of --set that has the fault
	cause error  // nil, an error of the operating system or ErrUnknownKey
}

// Set returns the value of --set that has the fault, such as "seed=x", or "" for
// a fault from elsewhere.
func (f *Fault) Set() string { return f.set }

// Text returns what is wrong and what would be right as one line, without the
// place and without the value of --set that has the fault.
func (f *Fault) Text() string { return oneLine.Replace(f.text) }

// oneLine escapes line breaks in the user's values.
var oneLine = strings.NewReplacer("\n", `\n`, "\r", `\r`)

// Error returns the fault as one line: place, value of --set and text.
func (f *Fault) Error() string {
	if f.where == "" {
		return "config: " + f.Text()
	}
	return oneLine.Replace("config: " + f.where + ": " + f.text)
}

// Unwrap returns the cause, so that errors.Is finds [fs.ErrNotExist] and ErrUnknownKey.
func (f *Fault) Unwrap() error { return f.cause }
