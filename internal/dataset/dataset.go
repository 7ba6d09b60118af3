// Package dataset reads labelled text, orders it and turns it into token ids.
//
// Three sources are known: the GLUE benchmark as tab-separated files, GLUE as
// the parquet files of the Hugging Face hub, and a user's own CSV, TSV or JSONL
// files. Open finds what a configuration names, Set.Load reads one split of it,
// Encode tokenises a split (with a cache on disk) and Order shuffles it.
//
// Every fault in a file is reported with its file and line. Nothing is guessed:
// a label outside the task's list, a missing column or a broken row stops the
// reading, except that the malformed rows QQP is known for are skipped and
// counted. What is allowed and yet seldom meant is a Finding; Task.Lint collects
// those of a split and Task.Profile describes it in numbers.
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
	HasLabel bool    // false where the label is withheld, as in GLUE's test files
}

// Split is one part of a data set, in file order.
type Split struct {
	Path     string // file read; for several parquet shards the first of them
	Files    []File // every file read, in order
	Examples []Example
	Skipped  int       // malformed rows left out; only QQP leaves any out
	Findings []Finding // what was noticed while reading
}

// File is a data file as it was read.
type File struct {
	Path   string
	SHA256 string // of its bytes, in hexadecimal
}

// Task says what is predicted and how it is judged.
type Task struct {
	Name    string   // cola, sst2, mrpc, stsb, rte, qnli, mnli, qqp, wnli or custom
	Labels  []string // class names, the class index being the position; nil in regression
	Metrics []string // names known to package metric
	Select  string   // the one of Metrics that picks the best epoch
}

// Outputs is the width of the model's last layer: one per class, 1 in regression.
func (t Task) Outputs() int {
	if t.Labels == nil {
		return 1
	}
	return len(t.Labels)
}

// key tells examples of different texts apart. White space at the ends of a text
// is no difference.
func (x Example) key() string {
	a := strings.TrimSpace(x.TextA)
	if x.TextB == nil {
		return a
	}
	return strconv.Itoa(len(a)) + ":" + a + strings.TrimSpace(*x.TextB)
}
