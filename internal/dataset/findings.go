package dataset

import "fmt"

// Finding is something in the data that is allowed and yet seldom meant.
type Finding struct {
	Kind  string // a word for programs: empty, doubled, spanning, ...
	Path  string // the file
	Line  int    // the first line, or row of parquet, that has it; 0 where it is the file's
	Count int    // how many have it
	Text  string // what it is, in words, without the place
}

// String is the finding as one line, with its place.
func (f Finding) String() string {
	if f.Line == 0 {
		return f.Path + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Text)
}

// counted writes a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
