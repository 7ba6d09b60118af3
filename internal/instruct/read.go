package instruct

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// File is what was read from a file of instruction data.
type File struct {
	Path   string
	SHA256 string // of its bytes, in hexadecimal
	Format Format
	Rows   []Row // in the order of the file

	shared bool // several rows begin on one line, so that a line does not tell which one is meant
}

// Place returns where a row is: path and line, or path and number of the row if several rows share a line.
func (f *File) Place(r Row) string {
	if f.shared {
		return fmt.Sprintf("%s, row %d", f.Path, r.Number)
	}
	return fmt.Sprintf("%s:%d", f.Path, r.Line)
}

// CheckResponses returns an error if no row has a response, which is what training and its loss are about.
func (f *File) CheckResponses() error {
	if slices.ContainsFunc(f.Rows, Row.responds) {
		return nil
	}
	where := map[Format]string{Alpaca: "in output", Completion: "in completion", Text: "in text",
		Messages: "as content of messages of the assistant", ShareGPT: "as value of turns from gpt"}[f.Format]
	return place.Mistake(fmt.Errorf("instruct: read %s: the responses of all %s are empty; want text %s", f.Path,
		place.Count(len(f.Rows), "row", "rows"), where))
}

// Read reads a JSON array or JSON lines of one format, or a .txt file, whose
// text is one row. The file may be a pipe. Errors name the file and the line of
// the row, the keys that were found and those that are wanted.
func Read(ctx context.Context, path string, format Format) (*File, error) {
	data, err := infile.ReadStream(ctx, path, infile.Stream)
	if err != nil {
		return nil, place.Given(fmt.Errorf("instruct: read %s: %w", path, err))
	}
	sum := sha256.Sum256(data)
	f := &File{Path: path, SHA256: hex.EncodeToString(sum[:]), Format: format}
	if err := f.parse(ctx, data); err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		return nil, place.Mistake(err)
	}
	return f, nil
}

func (f *File) parse(ctx context.Context, data []byte) error {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if strings.EqualFold(filepath.Ext(f.Path), ".txt") {
		return f.parseText(data)
	}
	if what := infile.Describe(data[:min(len(data), 64)]); what != "" {
		return fmt.Errorf("instruct: read %s: it is not JSON but %s", f.Path, what)
	}
	start := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(start) == 0:
		return fmt.Errorf("instruct: read %s: the file is empty; want rows", f.Path)
	case start[0] == '[':
		return f.parseArray(ctx, data)
	}
	return f.parseLines(ctx, data)
}

// parseText reads the whole file as one row.
func (f *File) parseText(data []byte) error {
	switch {
	case f.Format != Auto && f.Format != Text:
		return fmt.Errorf("instruct: read %s: a .txt file has the format text, not %s; want .json or .jsonl", f.Path,
			f.Format)
	case !utf8.Valid(data):
		return fmt.Errorf("instruct: read %s: it is not UTF-8; want text encoded as UTF-8", f.Path)
	case len(bytes.TrimSpace(data)) == 0:
		return fmt.Errorf("instruct: read %s: the file is empty; want text", f.Path)
	}
	f.Format, f.Rows = Text, []Row{{Number: 1, Line: 1, Output: string(data)}}
	return nil
}

// parseArray reads a JSON array of rows.
func (f *File) parseArray(ctx context.Context, data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return f.syntax(data)
	}
	line, counted := 1, 0 // the line of data[counted]
	for dec.More() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return f.syntax(data)
		}
		start := int(dec.InputOffset()) - len(raw)
		line += bytes.Count(data[counted:start], []byte("\n"))
		counted = start
		offset, err := f.add(raw, line)
		if err != nil {
			return fmt.Errorf("instruct: read %s:%s: %w", f.Path, place.At(data, start+max(offset, 0)), err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return f.syntax(data)
	}
	if rest := bytes.TrimSpace(data[dec.InputOffset():]); len(rest) > 0 {
		return fmt.Errorf("instruct: read %s:%s: text follows the array of rows; want nothing after it", f.Path,
			place.At(data, int(dec.InputOffset())))
	}
	return f.notEmpty()
}

// parseLines reads one JSON object per line.
func (f *File) parseLines(ctx context.Context, data []byte) error {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if offset, err := f.add(line, number); err != nil && offset >= 0 {
			return fmt.Errorf("instruct: read %s:%d:%d: %w", f.Path, number, place.At(line, offset).Column, err)
		} else if err != nil {
			return fmt.Errorf("instruct: read %s:%d: %w", f.Path, number, err)
		}
	}
	return f.notEmpty()
}

func (f *File) notEmpty() error {
	if len(f.Rows) == 0 {
		return fmt.Errorf("instruct: read %s: the file has no rows; want at least one", f.Path)
	}
	return nil
}

// add adds the row that begins on a line. If it returns an error, offset is the place of the fault in raw, or -1 if the
// whole row is meant.
func (f *File) add(raw []byte, line int) (offset int, err error) {
	row, format, err := parseRow(raw, f.Format)
	if err != nil {
		var at *strictjson.Error
		if errors.As(err, &at) {
			return at.Offset, fmt.Errorf("%s; want a JSON array of objects, or one object on each line", at.What)
		}
		return -1, err
	}
	n := len(f.Rows)
	f.shared = f.shared || n > 0 && f.Rows[n-1].Line == line
	row.Number, row.Line, f.Format = n+1, line, format
	f.Rows = append(f.Rows, row)
	return 0, nil
}

// syntax returns the error for an array that is not JSON, with its place.
func (f *File) syntax(data []byte) error {
	return fmt.Errorf("instruct: read %s:%w; want a JSON array of objects, or one object on each line", f.Path,
		strictjson.Syntax(data))
}
