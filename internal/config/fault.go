package config

import (
	"errors"
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

// ErrUnknownKey is wrapped by every [Fault] of a key that no run file has.
var ErrUnknownKey = errors.New("unknown key")

// origin is the place that a value was read from.
type origin struct {
	where     string // "runs/x.yaml:3:5", "LOR2C_SEED" or "--set seed=1"
	line, col int    // of the key in the file, 1-based; 0 elsewhere
	set       string // the value of --set, such as "seed=1"; "" elsewhere
}

// Fault is one line of an Error.
type Fault struct {
	origin
	text  string // without the value of --set that has the fault
	cause error  // nil, an error of the system or ErrUnknownKey
}

// Set returns the value of --set that has the fault, such as "seed=x", or "" for
// a fault from elsewhere.
func (f *Fault) Set() string { return f.set }

// Text returns what is wrong and what would be right, as one line, without the
// place and without the value of --set that has the fault.
func (f *Fault) Text() string { return oneLine.Replace(f.text) }

// oneLine escapes the line breaks of values, which are the user's.
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
