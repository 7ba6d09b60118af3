package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/infile"
)

// Tail reads the records of a run while it is written. It reads each part of metrics.jsonl once.
type Tail struct {
	Dir     string
	Records []Record

	info os.FileInfo // of the file that was read last
	at   int64       // the end of the last complete line
	line int         // its number
}

// Read adds the records that were written since the last call. A last line without a newline is left for the next
// call. If the file was replaced or became shorter, because the run was started again or continues from an earlier
// step, Read begins again. A file that does not exist has no records. An error names a line that is not a record; the
// lines before it have been read.
func (t *Tail) Read() error {
	path := filepath.Join(t.Dir, MetricsFile)
	f, err := infile.Open(path) // which does not wait for the writer of a pipe
	if errors.Is(err, fs.ErrNotExist) {
		t.Records, t.info, t.at, t.line = nil, nil, 0, 0
		return nil
	}
	if err != nil {
		return fmt.Errorf("runlog: read metrics: %s: %w", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("runlog: read metrics: %w", err)
	}
	if t.info == nil || !os.SameFile(t.info, info) || info.Size() < t.at {
		t.Records, t.at, t.line = nil, 0, 0
	}
	t.info = info
	data, err := io.ReadAll(io.NewSectionReader(f, t.at, info.Size()-t.at))
	if err != nil {
		return fmt.Errorf("runlog: read metrics: %w", err)
	}
	for {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return nil
		}
		record, err := parse(line)
		if err != nil {
			return fmt.Errorf("runlog: read metrics: %s:%d: %w", f.Name(), t.line+1, err)
		}
		t.Records, t.at, t.line, data = append(t.Records, record), t.at+int64(len(line))+1, t.line+1, rest
	}
}

// Written returns when the file was last written; it is nil before the file exists.
func (t *Tail) Written() os.FileInfo { return t.info }
