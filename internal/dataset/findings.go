package dataset

import "fmt"

// Finding is something in the data that is allowed but probably a mistake.
type Finding struct {
	Kind  string // a word for programs: empty, doubled, spanning, ...
	Path  string // the file
	Line  int    // the first line, or row of parquet, that has it; 0 if it concerns the whole file
	Count int    // number of rows or fields that have it
	Text  string // description without the place
}

// String returns the finding as one line with its place.
func (f Finding) String() string {
	if f.Line == 0 {
		return f.Path + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Text)
}

// singular returns the form of a verb for n of several examples.
func singular(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
