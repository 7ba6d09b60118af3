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
	f.Format, f.Rows = Text, []Row{{Line: 1, Output: string(data)}}
	return nil
}

// parseArray reads a JSON array of rows.
func (f *File) parseArray(ctx context.Context, data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return f.syntax(data, 0, err)
	}
	line, counted := 1, 0 // the line of data[counted]
	for dec.More() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return f.syntax(data, 0, err)
		}
		start := int(dec.InputOffset()) - len(raw)
		line += bytes.Count(data[counted:start], []byte("\n"))
		counted = start
		if err := f.add(raw, line); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return f.syntax(data, 0, err)
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
		if err := f.add(line, number); err != nil {
			return err
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

// add adds the row that begins on a line.
func (f *File) add(raw []byte, line int) error {
	row, format, err := parseRow(raw, f.Format)
	if err != nil {
		var at *strictjson.Error
		if errors.As(err, &at) {
			return fmt.Errorf("instruct: read %s:%d:%d: %s; want a JSON array of objects, or one object on each line",
				f.Path, line+max(at.Position.Line, 1)-1, at.Position.Column, at.What)
		}
		return fmt.Errorf("instruct: read %s:%d: %w", f.Path, line, err)
	}
	row.Line, f.Format = line, format
	f.Rows = append(f.Rows, row)
	return nil
}

// syntax returns an error of encoding/json with its place.
func (f *File) syntax(data []byte, base int, err error) error {
	at, what, ok := place.JSON(err)
	if !ok {
		at = len(data)
	}
	return fmt.Errorf("instruct: read %s:%s: %s; want a JSON array of objects, or one object on each line", f.Path,
		place.At(data, base+at), what)
}
