package predict

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strconv"
	"strings"
)

// These are the formats of the output.
const (
	TSV     = "tsv"
	CSV     = "csv"
	JSONL   = "jsonl"
	Parquet = "parquet"
	CoNLL   = "conll" // a line for each word with its tags, and an empty line after each sentence
)

// Formats lists the formats of the output.
var Formats = []string{TSV, CSV, JSONL, Parquet, CoNLL}

// encoding turns rows into the bytes of a format that is written row by row.
type encoding struct {
	header func(columns []column) []byte
	row    func(b []byte, columns []column, cells []cell) []byte
}

var encodings = map[string]encoding{
	TSV:   {header: func(c []column) []byte { return tsvLine(nil, names(c)) }, row: tsvRow},
	CSV:   {header: func(c []column) []byte { return csvLine(nil, names(c)) }, row: csvRow},
	JSONL: {header: func([]column) []byte { return nil }, row: jsonRow},
	// Parquet has an end that no row can follow, so that an interrupted run keeps its rows as JSON arrays.
	Parquet: {header: func([]column) []byte { return nil }, row: arrayRow},
	CoNLL:   {header: func([]column) []byte { return nil }, row: conllRows},
}

func names(columns []column) []string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.name
	}
	return list
}

// String returns the value as text. Numbers have as many digits as it takes to read the same float32 again.
func (c cell) string(in column) string {
	switch in.kind {
	case number:
		return strconv.FormatInt(c.number, 10)
	case real:
		return strconv.FormatFloat(float64(c.real), 'g', -1, 32)
	case list:
		return strings.Join(c.list, in.separator)
	}
	return c.text
}

func fields(columns []column, cells []cell) []string {
	list := make([]string, len(cells))
	for i, c := range cells {
		list[i] = c.string(columns[i])
	}
	return list
}

// unprintable has the characters that would end a field of a TSV line, and the backslash that marks them.
var unprintable = strings.NewReplacer("\t", `\t`, "\n", `\n`, "\r", `\r`, `\`, `\\`)

func tsvLine(b []byte, fields []string) []byte {
	for i, f := range fields {
		if i > 0 {
			b = append(b, '\t')
		}
		b = append(b, unprintable.Replace(f)...)
	}
	return append(b, '\n')
}

func tsvRow(b []byte, columns []column, cells []cell) []byte {
	return tsvLine(b, fields(columns, cells))
}

func csvLine(b []byte, fields []string) []byte {
	out := bytes.NewBuffer(b)
	w := csv.NewWriter(out)
	_ = w.Write(fields) // fails only where out does
	w.Flush()
	return out.Bytes()
}

func csvRow(b []byte, columns []column, cells []cell) []byte {
	return csvLine(b, fields(columns, cells))
}

// jsonCell appends a value as JSON.
func jsonCell(b []byte, in column, c cell) []byte {
	switch {
	case in.kind == list:
		return jsonValue(b, c.list)
	case in.kind != text || c.json:
		return append(b, c.string(in)...)
	}
	return jsonValue(b, c.text)
}

// jsonValue appends a text or a list of texts, which can always be encoded.
func jsonValue(b []byte, v any) []byte {
	out := bytes.NewBuffer(b)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func jsonRow(b []byte, columns []column, cells []cell) []byte {
	for i, c := range cells {
		b = append(b, "{,"[min(i, 1)])
		b = append(jsonValue(b, columns[i].name), ':')
		b = jsonCell(b, columns[i], c)
	}
	return append(b, "}\n"...)
}

func arrayRow(b []byte, columns []column, cells []cell) []byte {
	for i, c := range cells {
		b = append(b, "[,"[min(i, 1)])
		b = jsonCell(b, columns[i], c)
	}
	return append(b, "]\n"...)
}

// conllRows appends a line for each word of a sentence, with the tags of every adapter, and an empty line.
func conllRows(b []byte, columns []column, cells []cell) []byte {
	var lists [][]string
	for i, c := range columns {
		if c.words || lists != nil && c.kind == list {
			lists = append(lists, cells[i].list)
		}
	}
	for word := range lists[0] {
		line := make([]string, len(lists))
		for i, l := range lists {
			line[i] = l[word]
		}
		b = tsvLine(b, line)
	}
	return append(b, '\n')
}
