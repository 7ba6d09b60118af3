package runlog

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/checkpoint"
)

// ownFiles are patterns of the names of all files that this package writes.
var ownFiles = []string{
	MetricsFile, tableFile, timingFile, textFile, runtimeFile, evalResults, allResults,
	"env.json", "env-*.json", eventsPrefix + "*",
}

// OwnFile reports whether this package writes a file of the given name into run
// directories.
func OwnFile(name string) bool {
	for _, pattern := range ownFiles {
		if match, _ := filepath.Match(pattern, name); match {
			return true
		}
	}
	return false
}

// openFiles opens all files for appending. An empty metrics file does not count as a run,
// because the process that created it took no step.
func (r *Run) openFiles() (err error) {
	if err = os.MkdirAll(r.dir, 0o777); err != nil {
		return err
	}
	open := func(name string) *os.File {
		var f *os.File
		if err == nil {
			f, err = os.OpenFile(filepath.Join(r.dir, name), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666)
		}
		return f
	}
	r.metrics = open(MetricsFile)
	if err == nil && !r.o.Resume {
		if info, e := r.metrics.Stat(); e == nil && info.Size() > 0 {
			return fmt.Errorf("it already contains a run (%s); resume that run or choose another directory", MetricsFile)
		}
	}
	r.table, r.timing, r.text = open(tableFile), open(timingFile), open(textFile)
	if err == nil {
		err = cmp.Or(dropTorn(r.timing), dropTorn(r.text))
	}
	if err == nil {
		r.events, err = createEvents(r.dir, r.o.Now())
	}
	return err
}

// dropTorn removes an incomplete last line, which is left if the process is
// killed during a write.
func dropTorn(f *os.File) error {
	data, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	for len(data) > 0 && data[len(data)-1] != '\n' {
		data = data[:len(data)-1]
	}
	return f.Truncate(int64(len(data)))
}

func (r *Run) closeFiles() (err error) {
	for _, f := range []*os.File{r.metrics, r.table, r.timing, r.text, r.events} {
		if f != nil {
			err = cmp.Or(err, f.Close())
		}
	}
	return err
}

// record writes a row to metrics.jsonl and metrics.csv and its scalars to
// TensorBoard.
func (r *Run) record(rec row, tags []field) {
	fields := rec.fields(r.o.Scores)
	r.write(rec, jsonLine(fields))
	r.put(r.table, csvLine(csvRow(fields, header(r.o.Scores))))
	r.put(r.events, scalarEvent(r.o.Now(), rec.At(), tags))
}

// write appends the line of a record to metrics.jsonl and, with Options.JSON,
// to Stdout.
func (r *Run) write(rec Record, line []byte) {
	if n := len(r.records); n > 0 && rec.At() < r.records[n-1].At() {
		panic(Misuse{fmt.Sprintf("log step %d: step %d is already logged; rewind first", rec.At(), r.records[n-1].At())})
	}
	r.records = append(r.records, rec)
	r.put(r.metrics, line)
	r.sum.Write(line) // a hash never fails to write
	if r.o.JSON && r.err == nil {
		r.stream(line)
	}
}

// put appends b. It writes nothing after the first error, because Rewind would report a
// line after an incomplete one as damage.
func (r *Run) put(w io.Writer, b []byte) {
	if r.err != nil {
		return
	}
	if _, err := w.Write(b); err != nil {
		r.fail(err)
	}
}

// fail stores the first error. It also prints it immediately, because the next
// Sync may be an hour later.
func (r *Run) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("runlog: log after step %d: %w; logging has stopped; free or repair the disk and resume the run",
			r.clock.step, err)
		r.console.line(r.err.Error())
	}
}

// writeFile replaces path completely or not at all. The temporary file of a killed process
// is removed together with those of checkpoints.
func writeFile(path string, content []byte) error {
	return checkpoint.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// replaced returns an error if the open metrics file is no longer the one in
// the directory, because that was removed or renamed.
func (r *Run) replaced() error {
	for _, f := range []*os.File{r.metrics, r.table} {
		ours, err := f.Stat()
		if err != nil {
			return err
		}
		if found, err := os.Stat(f.Name()); err != nil || !os.SameFile(ours, found) {
			return fmt.Errorf("%s was removed or replaced during the run, so its records are lost", f.Name())
		}
	}
	return nil
}
