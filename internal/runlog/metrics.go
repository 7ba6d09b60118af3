package runlog

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// ReadMetrics returns the records of dir/metrics.jsonl, or none if the file
// does not exist. It ignores a last line without a newline, because the run was
// killed while writing it. It returns an error that names file and line if any
// other line is not a record, or has a smaller step than the line before. null
// is read as NaN.
func ReadMetrics(dir string) ([]Record, error) {
	records, _, tail, err := scan(filepath.Join(dir, MetricsFile), math.MaxInt)
	if err = cmp.Or(err, tail); err != nil {
		return nil, fmt.Errorf("runlog: read metrics: %w", err)
	}
	return records, nil
}

// scan returns the records with a step of at most upTo, and the length in bytes of the
// file up to the end of the last of them. It returns an error for a damaged line only if
// a wanted record follows it. Otherwise the damage is returned as tail, because after a
// power failure the bytes after the last fsync are undefined.
func scan(path string, upTo int) (records []Record, keep int64, tail, err error) {
	data, err := infile.Read(path, infile.Log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil, nil
	}
	if err != nil {
		return nil, 0, nil, err
	}
	last, end := math.MinInt, int64(0)
	for n := 1; ; n++ {
		size := bytes.IndexByte(data, '\n') + 1
		if size == 0 {
			return records, keep, tail, nil
		}
		record, err := parse(data[:size-1])
		data, end = data[size:], end+int64(size)
		if err == nil && record.At() < last {
			err = fmt.Errorf("step %d follows step %d", record.At(), last)
		}
		switch {
		case err != nil && tail == nil:
			tail = fmt.Errorf("%s:%d: %w; restore the line or remove it with all that follow", path, n, err)
		case err != nil:
		case record.At() > upTo:
			return records, keep, nil, nil
		case tail != nil:
			return nil, 0, nil, tail
		default:
			records, keep, last = append(records, record), end, record.At()
		}
	}
}

// parse reads a line that jsonLine wrote, without its newline.
func parse(line []byte) (Record, error) {
	var m map[string]json.RawMessage
	if err := strictjson.WithoutPlace(strictjson.Unmarshal(line, &m)); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	const number, whole = "a number or null", "a whole number"
	var first error
	take := func(name, want string, to any) {
		raw, ok := m[name]
		delete(m, name)
		var err error
		if !ok {
			err = fmt.Errorf("field %q is missing", name)
		} else if e := json.Unmarshal(raw, to); e != nil || want != number && string(raw) == "null" {
			err = fmt.Errorf("field %s is %s, want %s", place.Quote(name), place.Escape(fmt.Sprintf("%.60s", raw)), want)
		}
		if first == nil {
			first = err
		}
	}
	var kind string
	take("kind", "text", &kind)
	switch kind {
	case "train":
		var t Train
		take("step", whole, &t.Step)
		take("epoch", number, (*metric.Number)(&t.Epoch))
		take("loss", number, (*metric.Number)(&t.Loss))
		take("learning_rate", number, (*metric.Number)(&t.LearningRate))
		take("grad_norm", number, (*metric.Number)(&t.GradNorm))
		if first == nil && len(m) > 0 {
			first = fmt.Errorf("field %q is unknown", slices.Min(slices.Collect(maps.Keys(m))))
		}
		return t, first
	case "eval":
		e := Eval{Scores: map[string]float64{}}
		take("step", whole, &e.Step)
		take("epoch", number, (*metric.Number)(&e.Epoch))
		take("split", "text", &e.Split)
		take("loss", number, (*metric.Number)(&e.Loss))
		take("best", "true or false", &e.Best)
		if _, ok := m[intervalField]; ok {
			take(intervalField, "intervals by score", &e.Intervals)
		}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			var v metric.Number
			take(name, number, &v)
			e.Scores[name] = float64(v)
		}
		return e, first
	}
	if read, ok := kinds[kind]; ok {
		return read(m)
	}
	if first == nil {
		first = fmt.Errorf("kind is %q, want train, eval, baseline, plan, spectrum, event or gradient", kind)
	}
	return nil, first
}

// Rewind removes the records of all steps after the given one from metrics.jsonl and
// metrics.csv, and an incomplete last line, and marks them as superseded for
// TensorBoard. A step of -1 removes all records. If the run then continues, the files
// become those of a run that was never interrupted, provided that all records of the
// checkpoint's step were written, and Sync was called, before the checkpoint was
// published. metrics.csv is written again from metrics.jsonl.
//
// Rewind returns an error that names file and line, and changes nothing, if a line
// before the step is damaged or a score has no column.
func (r *Run) Rewind(step int) error {
	path := filepath.Join(r.dir, MetricsFile)
	records, keep, _, err := scan(path, step)
	table := csvLine(header(r.o.Scores))
	for n, record := range records {
		if e, ok := record.(Eval); ok && err == nil {
			if bad := e.known(r.o.Scores); bad != nil {
				err = fmt.Errorf("%s:%d: %w", path, n+1, bad)
				break
			}
		}
		if rec, ok := record.(row); ok {
			table = append(table, csvLine(csvRow(rec.fields(r.o.Scores), header(r.o.Scores)))...)
		}
	}
	if err == nil {
		err = r.metrics.Truncate(keep)
	}
	r.records, r.sum = records, sha256.New()
	if err == nil && keep > 0 {
		err = copyHead(r.sum, path, keep)
	}
	if err == nil {
		err = r.table.Truncate(0)
	}
	if err == nil {
		_, err = r.table.Write(table)
	}
	if err != nil {
		return fmt.Errorf("runlog: rewind to step %d: %w", step, err)
	}
	r.clock.rewind(step)
	r.put(r.events, restartEvent(r.o.Now(), step+1))
	return r.err
}
