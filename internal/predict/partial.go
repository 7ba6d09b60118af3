package predict

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/outfile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// partial is an output that is not complete yet, and a journal that says how far it is.
type partial struct {
	target, path string
	encoding
	columns []column
	file    *os.File
	journal journal
	saved   int // Rows of the journal on the disk
}

// journal is the content of path.partial.json.
type journal struct {
	Identity map[string]string `json:"identity"`
	Rows     int               `json:"rows"`    // of the input that were read
	Content  string            `json:"content"` // hash of these
	Bytes    int64             `json:"bytes"`   // of the partial output
}

// saveRows is the number of rows after which the journal is written. A crash loses at most this number of rows.
const saveRows = 1024

// openPartial opens the partial output of target and its journal, or creates them.
func openPartial(target string, e encoding, columns []column, identity map[string]string, restart bool) (
	*partial, error) {
	p := &partial{target: target, path: target + ".partial", encoding: e, columns: columns}
	f, err := os.OpenFile(p.path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("predict: write %s: %w", p.path, place.WithoutPath(err))
	}
	p.file = f
	p.journal.Identity = identity
	if err = p.lock(); err == nil {
		err = p.resume(restart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

// lock keeps other processes from writing the partial output.
func (p *partial) lock() error {
	// An output on a file system without locks is not refused.
	if err := checkpoint.Lock(p.file); errors.Is(err, checkpoint.ErrLocked) {
		return place.Mistake(fmt.Errorf("predict: write %s: another process is writing it; wait for it, or name "+
			"another file with --out", p.path))
	}
	// Between the open and the lock, another process may have renamed the file to the output, which must stay as it is.
	ours, err := p.file.Stat()
	if err != nil {
		return fmt.Errorf("predict: write %s: %w", p.path, place.WithoutPath(err))
	}
	if now, err := os.Stat(p.path); err != nil || !os.SameFile(ours, now) {
		return place.Mistake(fmt.Errorf("predict: write %s: another process has just finished it; look at %s before you "+
			"give the command again", p.path, p.target))
	}
	return nil
}

// resume reads the journal of an interrupted run, and puts the partial output into the state that it describes.
func (p *partial) resume(restart bool) error {
	raw, err := infile.Read(p.journalPath(), infile.Log)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && restart:
		return p.begin()
	case err != nil:
		return fmt.Errorf("predict: read %s: %w", p.journalPath(), err)
	}
	var was journal
	if err := strictjson.UnmarshalKnown(raw, &was); err != nil {
		return place.Mistake(fmt.Errorf("predict: read %s:%w; begin again with --restart", p.journalPath(), err))
	}
	info, err := p.file.Stat()
	if err != nil {
		return fmt.Errorf("predict: read %s: %w", p.path, place.WithoutPath(err))
	}
	if was.Bytes < 0 || info.Size() < was.Bytes || was.Rows < 1 {
		return p.begin() // the output was removed, or a power cut lost its end
	}
	if differences := identity.CompareMaps(was.Identity, p.journal.Identity); differences != nil {
		headline := fmt.Sprintf("predict: continue %s: an interrupted command left it, which had other inputs; give that "+
			"command again, or begin again with --restart:", p.path)
		return place.Mistake(errors.New(identity.List(headline, "interrupted command", differences)))
	}
	p.journal, p.saved = was, was.Rows
	return p.truncate()
}

// begin discards what is there and writes the header.
func (p *partial) begin() error {
	if err := os.Remove(p.journalPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("predict: write %s: %w", p.journalPath(), place.WithoutPath(err))
	}
	if err := p.truncate(); err != nil {
		return err
	}
	return p.write(p.header(p.columns))
}

// truncate cuts the partial output to the bytes that the journal counts.
func (p *partial) truncate() error {
	err := p.file.Truncate(p.journal.Bytes)
	if err == nil {
		_, err = p.file.Seek(p.journal.Bytes, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("predict: write %s: %w", p.path, place.WithoutPath(err))
	}
	return nil
}

func (p *partial) write(b []byte) error {
	if _, err := p.file.Write(b); err != nil {
		return fmt.Errorf("predict: write %s: %w", p.path, place.WithoutPath(err))
	}
	p.journal.Bytes += int64(len(b))
	return nil
}

func (p *partial) journalPath() string { return p.path + ".json" }

func (p *partial) done() int { return p.journal.Rows }

func (p *partial) check(sum string) error {
	if sum == p.journal.Content {
		return nil
	}
	return place.Mistake(fmt.Errorf("predict: continue %s: the input does not begin with the %s of the "+
		"interrupted command; give the same input, or begin again with --restart", p.path,
		place.Count(p.journal.Rows, "row", "rows")))
}

func (p *partial) rows(all [][]cell, read int, sum string) error {
	var b []byte
	for _, cells := range all {
		b = p.row(b, p.columns, cells)
	}
	if err := p.write(b); err != nil {
		return err
	}
	p.journal.Rows, p.journal.Content = read, sum
	if p.journal.Rows-p.saved < saveRows {
		return nil
	}
	return p.save()
}

// save writes the journal, after the rows that it counts.
func (p *partial) save() error {
	if p.journal.Rows == p.saved {
		return nil
	}
	if err := p.file.Sync(); err != nil {
		return fmt.Errorf("predict: write %s: %w", p.path, place.WithoutPath(err))
	}
	if err := outfile.WriteJSON(p.journalPath(), p.journal); err != nil {
		return err
	}
	p.saved = p.journal.Rows
	return nil
}

// close closes the partial output. If it has no rows, it is removed.
func (p *partial) close() {
	if p.file == nil {
		return
	}
	if p.saved == 0 {
		p.ready()
		os.Remove(p.path)
	}
	p.file.Close()
}

// ready makes the partial output ready to be renamed or removed, which Windows refuses for an open file. Elsewhere the
// file stays open, because the lock must be held until it has no longer the name of a partial output.
func (p *partial) ready() {
	if runtime.GOOS == "windows" {
		p.file.Close()
	}
}

// finish puts the output in its place: the partial one, or a parquet file with its rows.
func (p *partial) finish(parquet bool) error {
	if err := p.file.Sync(); err != nil {
		return fmt.Errorf("predict: write %s: %w", p.path, place.WithoutPath(err))
	}
	var err error
	if parquet {
		if err = checkpoint.WriteFile(p.target, p.convert); err == nil {
			p.ready()
			err = os.Remove(p.path)
		}
	} else {
		if info, missing := os.Lstat(p.target); missing == nil {
			_ = p.file.Chmod(info.Mode().Perm()) // the output is complete with other permissions too
		}
		p.ready()
		err = os.Rename(p.path, p.target)
	}
	if err != nil {
		return fmt.Errorf("predict: write %s: %w", p.target, place.WithoutPath(err))
	}
	p.file.Close()
	p.file = nil
	if err := os.Remove(p.journalPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("predict: remove %s: %w", p.journalPath(), place.WithoutPath(err))
	}
	return checkpoint.SyncDir(filepath.Dir(p.target))
}

// convert writes the rows of the partial output as a parquet file.
func (p *partial) convert(w io.Writer) error {
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	out := newParquetWriter(w, p.columns)
	in := json.NewDecoder(bufio.NewReaderSize(p.file, 1<<16))
	for row := 1; ; row++ {
		var values []json.RawMessage
		err := in.Decode(&values)
		if err == io.EOF {
			return out.close()
		}
		var system *fs.PathError
		if errors.As(err, &system) {
			return err
		}
		if err != nil || len(values) != len(p.columns) {
			return p.damaged(row)
		}
		cells := make([]cell, len(values))
		for i, v := range values {
			if cells[i], err = parseCell(v, p.columns[i].kind); err != nil {
				return p.damaged(row)
			}
		}
		if err := out.row(cells); err != nil {
			return err
		}
	}
}

// damaged returns the error for a row of the partial output that jsonCell did not write.
func (p *partial) damaged(row int) error {
	return fmt.Errorf("row %d of %s is damaged; begin again with --restart", row, p.path)
}

// parseCell reads what jsonCell wrote.
func parseCell(raw json.RawMessage, k kind) (c cell, err error) {
	switch {
	case k == number:
		err = json.Unmarshal(raw, &c.number)
	case k == list:
		err = json.Unmarshal(raw, &c.list)
	case k == real:
		err = json.Unmarshal(raw, &c.real)
	case raw[0] == '"':
		err = json.Unmarshal(raw, &c.text)
	default:
		c.text = string(raw)
	}
	return c, err
}
