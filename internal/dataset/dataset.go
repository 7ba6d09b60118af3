// Package dataset reads labelled text, orders it and turns it into token ids.
//
// It reads the GLUE benchmark as tab-separated files, GLUE as the parquet files
// of the Hugging Face hub, and CSV, TSV and JSONL files of users. Open finds
// the files that a configuration names, Set.Load reads one split of it, Encode
// tokenises a split (with a cache on disk) and Order shuffles it.
//
// Every fault in a file is reported with its file and line. A label outside the
// task's list, a missing column or a malformed row is an error, except that the
// malformed rows that QQP is known for are skipped and counted. Data that is
// allowed and yet seldom intended is a Finding; Task.Lint collects the findings
// of a split and Task.Profile describes the split in numbers.
package dataset

import (
	"strconv"
	"strings"
)

// Example is one text, or one pair of texts, with its label.
type Example struct {
	ID       int     // 0-based row in the file, header and blank lines not counted
	Line     int     // 1-based line in the file; for parquet the 1-based row
	TextA    string  // first or only text
	TextB    *string // second text of a pair, else nil
	Label    float32 // class index into Task.Labels, or the regression target
	HasLabel bool    // false if the label is withheld, as in GLUE's test files
	Set      []int32 // multi-label: indices into Task.Labels in ascending order, instead of Label
	// Words are the words of a sentence whose words have tags; TextA has them with blanks between. Tags has the index
	// into Task.Labels of each, instead of Label.
	Words []string
	Tags  []int32
}

// Split is one part of a data set, in file order.
type Split struct {
	Path     string // file that was read; the first of several parquet shards
	Files    []File // all files that were read, in order
	Examples []Example
	Skipped  int       // malformed rows that were left out, which only QQP does
	Findings []Finding // what was noticed while reading
}

// File is a data file that was read.
type File struct {
	Path   string
	SHA256 string // of its bytes, in hexadecimal
}

// Task is what is predicted and how predictions are scored.
type Task struct {
	Name    string   // cola, sst2, mrpc, stsb, rte, qnli, mnli, qqp, wnli or custom
	Labels  []string // class names, the class index being the position; nil in regression
	Metrics []string // names known to package metric
	Select  string   // the metric that selects the best epoch
	Text    []string // names of the one or two text columns
	Kind    string   // MultiLabel, Tokens, or empty: then Labels tells classification from regression

	// Threshold is the probability from which a label is predicted, and Separator is
	// between labels in a text. Both belong to MultiLabel.
	Threshold float64
	Separator string
}

// Outputs returns the width of the model's last layer: the number of classes,
// or 1 in regression.
func (t Task) Outputs() int {
	if t.Labels == nil {
		return 1
	}
	return len(t.Labels)
}

// key returns a text that is equal for examples of equal texts. White space at
// the ends of a text is ignored.
func (x Example) key() string {
	a := strings.TrimSpace(x.TextA)
	if x.TextB == nil {
		return a
	}
	return strconv.Itoa(len(a)) + ":" + a + strings.TrimSpace(*x.TextB)
}
