package dataset

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// readCSV reads RFC 4180 records under a header; a quoted field may span lines.
func readCSV(path string, r io.Reader, l layout) ([]row, error) {
	in := bufio.NewReader(r)
	// encoding/csv would make the mark part of the first column's name.
	if mark, _ := in.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		in.Discard(len(byteOrderMark))
	}
	records := csv.NewReader(in)
	var rows []row
	var at columns
	width := 0
	for {
		fields, err := records.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, csvError(path, err, len(fields), width)
		}
		for i, field := range fields {
			if bad := invalidUTF8(field); bad >= 0 {
				line, _ := records.FieldPos(i)
				line += strings.Count(field[:bad], "\n")
				return nil, fmt.Errorf("dataset: read %s:%d: byte 0x%02x is not UTF-8; want a file encoded as UTF-8", path, line, field[bad])
			}
		}
		if width == 0 {
			width = len(fields)
			if at, err = l.locate(path, fields); err != nil {
				return nil, err
			}
			continue
		}
		line, _ := records.FieldPos(0)
		rows = append(rows, at.row(len(rows), line, fields))
	}
	if width == 0 {
		return nil, errEmpty(path)
	}
	if len(rows) == 0 {
		return nil, errNoRows(path)
	}
	return rows, nil
}

func csvError(path string, err error, got, want int) error {
	var at *csv.ParseError
	switch {
	case !errors.As(err, &at):
		return fmt.Errorf("dataset: read %s: %w", path, err)
	case errors.Is(err, csv.ErrFieldCount):
		return fmt.Errorf("dataset: read %s:%d: %d columns; want %d separated by commas", path, at.StartLine, got, want)
	}
	from := ""
	if at.StartLine != at.Line {
		from = fmt.Sprintf(" in the record that starts on line %d", at.StartLine)
	}
	return fmt.Errorf("dataset: read %s:%d:%d: %w%s; want a field with a comma, quote or line break in quotes and quotes inside it doubled", path, at.Line, at.Column, at.Err, from)
}
