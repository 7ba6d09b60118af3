package predict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strings"
	"syscall"

	"github.com/lor2c/lor2c/internal/outfile"
	"github.com/lor2c/lor2c/internal/train"
)

// Write predicts all rows and writes them to w in a format of Formats, chunk by chunk.
func (j *Job) Write(ctx context.Context, w io.Writer, format string) (Summary, error) {
	columns, err := j.columns()
	if err != nil {
		return Summary{}, err
	}
	if format == Parquet {
		p := newParquetWriter(w, columns)
		sum, err := j.run(ctx, stream{row: p.row})
		return sum, errors.Join(err, p.close())
	}
	e := encodings[format]
	if header := e.header(columns); header != nil {
		if _, err := w.Write(header); err != nil {
			return Summary{}, err
		}
	}
	return j.run(ctx, stream{all: func(all [][]cell) error {
		var b []byte
		for _, cells := range all {
			b = e.row(b, columns, cells)
		}
		_, err := w.Write(b)
		return err
	}})
}

// WriteFile predicts all rows and writes them to the file at path, which appears when it is complete. If path is not a
// regular file but, for example, a pipe, the rows are written to it as [Job.Write] does.
//
// A run that is interrupted leaves path.partial, which the next call with the same input, Model and identity continues.
// identity has everything besides the input that the output depends on. restart discards what an earlier run left.
func (j *Job) WriteFile(ctx context.Context, path, format string, identity map[string]string, restart bool) (
	sum Summary, err error) {
	columns, err := j.columns()
	if err != nil {
		return sum, err
	}
	all := map[string]string{"columns": strings.Join(names(columns), ", ")}
	maps.Copy(all, identity)
	target, whole, err := outfile.Target(path)
	if err != nil {
		return sum, err
	}
	var f *partial
	if whole {
		f, err = openPartial(target, encodings[format], columns, all, restart)
	}
	if !whole || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		err = outfile.Write(path, func(w io.Writer) error {
			sum, err = j.Write(ctx, w, format)
			return err
		})
		return sum, err
	}
	if err != nil {
		return sum, err
	}
	defer f.close()
	before := f.journal.Rows
	if sum, err = j.run(ctx, f); err == nil {
		err = f.finish(format == Parquet)
	} else if saving := f.save(); saving != nil {
		err = errors.Join(err, saving)
	} else if f.journal.Rows > before || f.journal.Rows > 0 && errors.Is(err, train.ErrInterrupted) {
		// Another error before the first new row, as of another input, would only come again.
		err = fmt.Errorf("%w; %s has the rows so far, and the same command continues", err, f.path)
	}
	return sum, err
}

// stream is a sink that keeps nothing of an interrupted run. One of its functions is set.
type stream struct {
	row func([]cell) error
	all func([][]cell) error
}

func (s stream) done() int { return 0 }

func (s stream) check(string) error { return nil }

func (s stream) rows(cells [][]cell, _ int, _ string) error {
	if s.all != nil {
		return s.all(cells)
	}
	for _, c := range cells {
		if err := s.row(c); err != nil {
			return err
		}
	}
	return nil
}
