package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// sentenceLayout describes where the tokens and tags of a sentence are.
type sentenceLayout struct {
	text, label string   // numbers of columns, or keys; empty means the default
	labels      []string // names of tags that a file has as numbers; nil if they are not known
	needTags    bool     // every sentence must have tags
	noTags      bool     // tags are not read, and a text that is no list is divided at blanks
	keep        []string // keys of a JSONL file that rows have
}

func isJSONL(path string) bool { return strings.EqualFold(filepath.Ext(path), jsonlExtension) }

// openSentences returns the sentences of a file.
func openSentences(path string, r io.Reader, jsonl bool, l sentenceLayout) rows {
	in := linesOf(path, r)
	if jsonl {
		return &jsonlRows{lines: in, parse: l.sentence}
	}
	c := &conllRows{lines: in, sentenceLayout: l, token: 0, tag: -1}
	if n, err := strconv.Atoi(l.text); err == nil {
		c.token = n - 1
	}
	if n, err := strconv.Atoi(l.label); err == nil {
		c.tag = n - 1
	}
	return c
}

// readSentences reads a file of sentences. Sentences without a token are left out.
func readSentences(path string, r io.Reader, l sentenceLayout) (t table, err error) {
	if err := t.fill(openSentences(path, r, isJSONL(path), l), false); err != nil {
		return t, err
	}
	var empty use
	t.rows = slices.DeleteFunc(t.rows, func(r row) bool {
		if len(r.words) > 0 {
			return false
		}
		if empty.count++; empty.count == 1 {
			empty.line = r.line
		}
		return true
	})
	if len(t.rows) == 0 {
		return t, fmt.Errorf("dataset: read %s: the file has no sentence with a token; want at least one", path)
	}
	if empty.count > 0 {
		t.findings = append(t.findings, Finding{Kind: "empty", Path: path, Line: empty.line, Count: empty.count,
			Text: fmt.Sprintf("%s without a token %s left out", place.Count(empty.count, "sentence", "sentences"),
				singular(empty.count, "was", "were"))})
	}
	return t, nil
}

// conllRows reads sentences in the format of CoNLL-2003: a line with columns for each token, and an empty line between
// sentences (Tjong Kim Sang and De Meulder 2003). Columns are separated by tabs if the first line has one, and else by
// blanks. Lines that begin with -DOCSTART- are skipped.
type conllRows struct {
	lines
	sentenceLayout
	token, tag int // columns, from 0; a tag of -1 is the last column
	width      int // number of columns; 0 before the first line
	first      int // line of the first columns
	tabs       bool
	id         int // of the next row
}

const docstart = "-DOCSTART-"

// next implements rows.
func (c *conllRows) next() (row, error) {
	r, size := row{id: c.id}, 0
	for {
		line, err := c.any()
		var bad *BadRow
		switch {
		case errors.As(err, &bad):
			c.id++
			c.skip()
			return row{id: r.id}, err
		case err == io.EOF && len(r.words) == 0:
			return row{}, io.EOF
		case err != nil && err != io.EOF:
			return row{}, err
		}
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, docstart) {
			if len(r.words) == 0 {
				continue
			}
			c.id++
			r.a = strings.Join(r.words, " ")
			r.hasLabel = r.tags != nil
			return r, nil
		}
		word, tag, err := c.columns(line)
		if size += len(word) + 1; err == nil && size > maxText {
			err = badRow("dataset: read %s:%d: a sentence of more than %d bytes; want an empty line after every sentence",
				c.path, c.n, maxText)
		}
		if err != nil {
			c.id++
			c.skip()
			return row{id: r.id}, err
		}
		if len(r.words) == 0 {
			r.line = c.n
		}
		r.words = append(r.words, strings.Clone(word))
		if tag != "" {
			r.tags = append(r.tags, strings.Clone(tag))
		}
	}
}

// skip reads to the end of a sentence.
func (c *conllRows) skip() {
	for {
		line, err := c.any()
		if err == io.EOF || err == nil && strings.TrimSpace(line) == "" {
			return
		}
		if err != nil && !isBad(err) {
			return // the next call of next returns it again
		}
	}
}

// columns returns the token and the tag of a line. The tag is empty if the file has none.
func (c *conllRows) columns(line string) (word, tag string, err error) {
	if c.width == 0 {
		c.tabs = strings.Contains(line, "\t")
	}
	fields := strings.Fields(line)
	if c.tabs {
		fields = strings.Split(line, "\t")
	}
	if c.width == 0 {
		if err := c.locate(len(fields)); err != nil {
			return "", "", err
		}
	}
	if len(fields) != c.width {
		return "", "", badRow("dataset: read %s:%d: the line has %s, and line %d has %d; want as many in every line, and an "+
			"empty line between sentences", c.path, c.n, place.Count(len(fields), "column", "columns"), c.first, c.width)
	}
	if word = fields[c.token]; strings.TrimSpace(word) == "" {
		return "", "", badRow("dataset: read %s:%d: column %d, the token, is empty; want a token", c.path, c.n, c.token+1)
	}
	if c.tag < 0 {
		return word, "", nil
	}
	if tag = strings.TrimSpace(fields[c.tag]); tag == "" {
		return "", "", badRow("dataset: read %s:%d: column %d, the tag, is empty; want a tag for each token", c.path,
			c.n, c.tag+1)
	}
	return word, tag, nil
}

// locate finds the columns in the first line, which has the given number of them.
func (c *conllRows) locate(width int) error {
	c.width, c.first = width, c.n
	if c.token >= width {
		return fmt.Errorf("dataset: read %s:%d: data.text is column %d, and the line has %s; want a column that it has",
			c.path, c.n, c.token+1, place.Count(width, "column", "columns"))
	}
	switch {
	case c.noTags:
		c.tag = -1
	case c.tag >= width && c.needTags:
		return fmt.Errorf("dataset: read %s:%d: data.label is column %d, and the line has %s; want a column that it has",
			c.path, c.n, c.tag+1, place.Count(width, "column", "columns"))
	case c.tag >= width:
		c.tag = -1
	case c.tag < 0 && width-1 != c.token:
		c.tag = width - 1
	case c.tag < 0 && c.needTags:
		return fmt.Errorf("dataset: read %s:%d: the line has no column after the token; want the tag in the last column, or "+
			"the number of its column in data.label", c.path, c.n)
	}
	return nil
}

// sentence reads the tokens and the tags of a JSON object, which are lists.
func (s sentenceLayout) sentence(line string) (r row, err error) {
	object, keys, err := jsonObject(line)
	if err != nil {
		return r, err
	}
	names := tokenKeys
	if s.noTags {
		names = slices.Concat(tokenKeys, textKeys)
	}
	name, raw := pick(s.text, names, object)
	if raw == nil {
		return r, fmt.Errorf("no key %q with the tokens; the line has %s", name, oneOf(name, keys))
	}
	if s.noTags && jsonKind(raw) == "string" {
		if err = json.Unmarshal(raw, &r.a); err != nil {
			return r, err
		}
		if err := checkText(r.a); err != nil {
			return r, fmt.Errorf("%q %w", name, err)
		}
	} else if err := json.Unmarshal(raw, &r.words); err != nil || r.words == nil || bytes.Contains(raw, []byte("null")) &&
		slices.Contains(r.words, "") {
		return r, fmt.Errorf("%q holds %s; want a list of strings", name, place.List([]string{string(raw)}))
	}
	for i, word := range r.words {
		if err := checkText(word); err != nil {
			return r, fmt.Errorf("%q, token %d, %w", name, i+1, err)
		}
	}
	if r.words != nil {
		r.a = strings.Join(r.words, " ")
	}
	if err := r.readKept(object, keys, s.keep); err != nil {
		return r, err
	}
	if s.noTags {
		return r, nil
	}
	tags, raw := pick(s.label, tagKeys, object)
	if raw == nil || string(raw) == "null" {
		if s.needTags {
			return r, fmt.Errorf("no key %q with the tags; the line has %s", tags, oneOf(tags, keys))
		}
		return r, nil
	}
	if r.tags, err = s.readTags(tags, raw); err == nil && len(r.tags) != len(r.words) {
		err = fmt.Errorf("%q has %s, and %q has %s; want one tag for each token", tags,
			place.Count(len(r.tags), "entry", "entries"), name, place.Count(len(r.words), "entry", "entries"))
	}
	r.hasLabel = true
	return r, err
}

// pick returns the key that is named, or else the first of those that the object has, and its value; nil if there is
// none.
func pick(named string, names []string, object map[string]json.RawMessage) (string, json.RawMessage) {
	if named != "" {
		return named, object[named]
	}
	for _, name := range names {
		if raw, ok := object[name]; ok {
			return name, raw
		}
	}
	return names[0], nil
}

// readTags reads a list of tags, which are names or indices of labels. It does not return nil.
func (s sentenceLayout) readTags(name string, raw json.RawMessage) ([]string, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, fmt.Errorf("%q holds %s; want a list with a tag for each token", name, place.List([]string{string(raw)}))
	}
	tags := make([]string, len(items))
	for i, item := range items {
		switch jsonKind(item) {
		case "string":
			if err := json.Unmarshal(item, &tags[i]); err != nil {
				return nil, err
			}
			if err := checkLabel(tags[i]); err != nil || strings.TrimSpace(tags[i]) == "" {
				return nil, fmt.Errorf("%q, entry %d, is %s; want the name of a tag", name, i+1, place.Quote(tags[i]))
			}
		case "number":
			n, err := strconv.Atoi(string(item))
			switch {
			case s.labels == nil:
				return nil, fmt.Errorf("%q, entry %d, is the number %s, and the names of the tags are not known; want them in "+
					"data.labels, in the order of the numbers", name, i+1, item)
			case err != nil || n < 0 || n >= len(s.labels):
				return nil, fmt.Errorf("%q, entry %d, is the number %s, and data.labels has %d names; want 0 to %d", name, i+1,
					item, len(s.labels), len(s.labels)-1)
			}
			tags[i] = s.labels[n]
		default:
			return nil, fmt.Errorf("%q, entry %d, is %s; want the name of a tag or its number", name, i+1,
				place.List([]string{string(item)}))
		}
	}
	return tags, nil
}

// jsonObject returns the values of an object and its keys in order.
func jsonObject(line string) (object map[string]json.RawMessage, keys []string, err error) {
	var any json.RawMessage
	if err := strictjson.Unmarshal([]byte(line), &any); err != nil {
		return nil, nil, err
	}
	if kind := jsonKind(any); kind != "object" {
		return nil, nil, fmt.Errorf("the line is a JSON %s; want one JSON object per line", kind)
	}
	if err := json.Unmarshal(any, &object); err != nil {
		return nil, nil, err
	}
	return object, slices.Sorted(maps.Keys(object)), nil
}
