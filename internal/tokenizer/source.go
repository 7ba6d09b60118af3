package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// source is the text of a file with the path that errors show.
type source struct {
	path string
	data []byte
}

// folder is the directory of a tokenizer with the files that were read from it.
type folder struct {
	path  string
	files map[string][]byte   // the text files, and those that a caller of readBinary added
	seen  map[string]seenFile // all files that were looked for
}

// seenFile is what a file contained when it was looked for.
type seenFile struct {
	data    []byte
	missing bool
}

// unchanged reports whether the files that were looked for are as they were.
func (d *folder) unchanged() bool {
	for name, was := range d.seen {
		data, err := infile.ReadIn(d.path, name, infile.Tokenizer)
		if missing := errors.Is(err, fs.ErrNotExist); missing != was.missing || err != nil && !missing ||
			!bytes.Equal(data, was.data) {
			return false
		}
	}
	return true
}

// read reads a text file of the tokenizer. The error wraps fs.ErrNotExist if
// the file does not exist.
func (d *folder) read(name string) (*source, error) {
	s, err := d.readBinary(name)
	if err != nil {
		return nil, err
	}
	if what := infile.Describe(s.data[:min(len(s.data), 64)]); what != "" {
		return nil, s.errorf("it is not a tokenizer's file but %s", what)
	}
	if err := s.checkUTF8(); err != nil {
		return nil, err
	}
	d.files[name] = s.data
	return s, nil
}

// readBinary does what read does for a file that need not be text. The caller
// adds it to the files that were read.
func (d *folder) readBinary(name string) (*source, error) {
	s := &source{path: filepath.Join(d.path, name)}
	var err error
	s.data, err = infile.ReadIn(d.path, name, infile.Tokenizer)
	d.seen[name] = seenFile{s.data, errors.Is(err, fs.ErrNotExist)}
	if err != nil {
		return nil, s.errorf("%w", err)
	}
	return s, nil
}

// optional does what read does for a file that need not be there. It returns nil if the file does not exist.
func (d *folder) optional(name string) (*source, error) {
	s, err := d.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return s, err
}

// errorAt returns an error for a fault at a byte offset of the file, with
// path:line:column.
func (s *source) errorAt(offset int64, format string, args ...any) error {
	return fmt.Errorf("tokenizer: load %s:%s: %s", s.path, place.At(s.data, int(offset)), fmt.Sprintf(format, args...))
}

// errorf returns an error for a fault of the whole file.
func (s *source) errorf(format string, args ...any) error {
	return fmt.Errorf("tokenizer: load %s: %w", s.path, fmt.Errorf(format, args...))
}

func (s *source) checkUTF8() error {
	for i := 0; i < len(s.data); {
		r, size := utf8.DecodeRune(s.data[i:])
		if r == utf8.RuneError && size == 1 {
			return s.errorAt(int64(i), "byte 0x%02x is not UTF-8; tokenizer files are UTF-8 text", s.data[i])
		}
		i += size
	}
	return nil
}

// unmarshal decodes the whole file as one JSON value.
func (s *source) unmarshal(into any) error {
	return s.strictError(strictjson.Unmarshal(s.data, into))
}

// strictError returns an error of package strictjson with its place in the
// file.
func (s *source) strictError(err error) error {
	var fault *strictjson.Error
	switch {
	case !errors.As(err, &fault):
		return nil
	case fault.Position == place.Position{}:
		return s.errorf("%s", fault.What)
	}
	return s.errorAt(int64(fault.Offset), "%s; want the JSON that transformers writes", fault.What)
}

// maxAdded is the most added tokens of a tokenizer, because every text is
// searched for each of them. Published tokenizers have a few thousand at most.
const maxAdded = 10_000

func (s *source) checkAdded(n int) error {
	if n > maxAdded {
		return s.errorf("there are %d added tokens; at most %d are supported", n, maxAdded)
	}
	return nil
}

// jsonError returns an error of encoding/json with its place in the file.
func (s *source) jsonError(err error) error {
	at, what, ok := place.JSON(s.data, err)
	if !ok {
		return s.errorf("%s", what)
	}
	return s.errorAt(int64(at), "%s; want the JSON that transformers writes", what)
}

// excerpt returns the start of a JSON value as one line.
func excerpt(raw []byte) string {
	line := strings.Join(strings.Fields(string(raw)), " ")
	if len(line) > 60 {
		line = strings.ToValidUTF8(line[:60], "") + "..."
	}
	return line
}

// descend returns a decoder that is positioned before the value at the given
// keys, or nil if a key is missing. The vocabulary is streamed and not decoded
// into a map, so that faults have a place and duplicates are found.
func (s *source) descend(keys ...string) (*json.Decoder, error) {
	dec := json.NewDecoder(bytes.NewReader(s.data))
	dec.UseNumber()
	for _, key := range keys {
		if t, err := dec.Token(); err != nil {
			return nil, s.jsonError(err)
		} else if t != json.Delim('{') {
			return nil, nil
		}
		found := false
		for dec.More() && !found {
			t, err := dec.Token()
			if err != nil {
				return nil, s.jsonError(err)
			}
			if found = t == key; found {
				break
			}
			var skipped json.RawMessage
			if err := dec.Decode(&skipped); err != nil {
				return nil, s.jsonError(err)
			}
		}
		if !found {
			return nil, nil
		}
	}
	return dec, nil
}
