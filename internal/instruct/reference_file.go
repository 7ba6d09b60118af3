package instruct

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// referenceKinds are the files that AddPath reads, also if .gz follows.
var referenceKinds = []string{".json", ".jsonl", ".csv", ".tsv", ".txt"}

// AddPath adds the texts of a file, or of all files below a directory whose names end in one of referenceKinds. Every
// object of a JSON file, every record of a CSV or TSV file and every line of a text file is a text.
func (r *Reference) AddPath(ctx context.Context, path string) error {
	found := false
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir(), name != path && !slices.Contains(referenceKinds, kind(name)):
			return nil
		}
		found = true
		return r.addFile(ctx, name)
	})
	if err == nil && !found {
		err = errors.New("there is no such file in it")
	}
	if err != nil {
		return place.Mistake(fmt.Errorf("instruct: read %s: %w; want a file of %s, or a directory of such files", path, err,
			strings.Join(referenceKinds, ", ")))
	}
	return nil
}

// brokenValue returns the error for a file in which no JSON value follows an offset.
func brokenValue(name string, data []byte, offset int) error {
	var at *strictjson.Error
	if !errors.As(strictjson.Syntax(data[offset:]), &at) {
		return fmt.Errorf("%s:%s: it is not JSON", name, place.At(data, offset))
	}
	return fmt.Errorf("%s:%s: it is not JSON: %s", name, place.At(data, offset+at.Offset), at.What)
}

// kind returns the extension of a name without .gz, in lower case.
func kind(name string) string {
	return strings.ToLower(filepath.Ext(strings.TrimSuffix(name, ".gz")))
}

// mostReference is the most bytes of a file of texts.
const mostReference = 1 << 30

func (r *Reference) addFile(ctx context.Context, name string) error {
	data, err := infile.ReadStream(ctx, name, infile.Stream)
	if err != nil {
		return err
	}
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if data, err = io.ReadAll(io.LimitReader(z, mostReference)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	switch kind(name) {
	case ".json", ".jsonl":
		dec := json.NewDecoder(bytes.NewReader(data))
		for n := 1; ; n++ {
			var v any
			if err := dec.Decode(&v); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return brokenValue(name, data, int(dec.InputOffset()))
			}
			at := 0
			objects(v, func(text string) { at++; r.Add(text, fmt.Sprintf("%s, value %d", name, max(n, at))) })
		}
	case ".csv", ".tsv":
		records := csv.NewReader(bytes.NewReader(data))
		records.FieldsPerRecord, records.LazyQuotes = -1, true
		if kind(name) == ".tsv" {
			records.Comma = '\t'
		}
		for {
			fields, err := records.Read()
			if errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			line, _ := records.FieldPos(0)
			r.Add(strings.Join(fields, " "), fmt.Sprintf("%s:%d", name, line))
		}
	case ".txt":
		line := 0
		for text := range bytes.Lines(data) {
			line++
			r.Add(string(text), fmt.Sprintf("%s:%d", name, line))
		}
		return nil
	}
	return fmt.Errorf("%s is not a file of texts", name)
}

// objects calls f with the strings of each object in a JSON value, joined in the order of their keys.
func objects(v any, f func(text string)) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			objects(x, f)
		}
	case string:
		f(v)
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			switch x := v[key].(type) {
			case string:
				parts = append(parts, x)
			case map[string]any, []any:
				objects(x, f)
			}
		}
		if parts != nil {
			f(strings.Join(parts, " "))
		}
	}
}
