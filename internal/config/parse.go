package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/lor2c/lor2c/internal/infile"
)

// maxSize is the largest size of a run file. A weights file that is given by
// mistake is far larger.
const maxSize = 64 << 10

// readFile returns the content of a run file. A pipe is read once, like any
// other file.
func readFile(ctx context.Context, file string) ([]byte, *Fault) {
	refuse := func(cause error, what string) ([]byte, *Fault) {
		return nil, &Fault{origin: origin{where: file}, text: what, cause: cause}
	}
	if err := CheckPath(file); err != nil {
		return refuse(err, err.Error())
	}
	text, err := infile.ReadStream(ctx, file, maxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse(err, "there is no such file; want a run file in YAML")
	case err != nil:
		return refuse(err, err.Error()+"; want a run file in YAML")
	}
	return text, nil
}

// parseFile returns the settings of a run file in the order of the file, or its
// faults.
func (s *schema) parseFile(file string, text []byte) ([]given, []*Fault) {
	refuse := func(line int, what string) ([]given, []*Fault) {
		from := origin{where: file, line: line}
		if line > 0 {
			from.where = fmt.Sprintf("%s:%d", file, line)
		}
		return nil, []*Fault{{origin: from, text: what}}
	}
	docs, err := documents(text)
	switch {
	case err != nil:
		line, what := locate(text, err)
		return refuse(line, what)
	case len(docs) == 0 || len(docs) == 1 && isNull(docs[0].Content[0]):
		return refuse(0, "is empty; want the keys "+strings.Join(s.sections[""], ", "))
	case len(docs) > 1:
		return refuse(docs[1].Line, "a second YAML document begins; want one run to a file")
	}
	// A fault of the whole file is reported at the start of its content.
	w := walker{schema: s, file: file}
	w.section("", docs[0].Content[0], docs[0].Content[0])
	return w.settings, w.faults
}

// documents parses all YAML documents in text.
func documents(text []byte) (docs []*yaml.Node, err error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		if err := d.Decode(&n); err == io.EOF {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, &n)
	}
}

var yamlError = regexp.MustCompile(`^yaml: (line \d+: )?`)

// locate returns the line of a syntax error: the first line for which the file
// up to it does not parse, and no longer part of the file does. The parser's
// own number is missing for some errors, and one too small or that of an
// enclosing block for others. It is used (line is 0) if the search, which is
// quadratic in the number of lines, would take too long.
func locate(text []byte, err error) (line int, what string) {
	const tries = 200 // several times the lines of a run file
	lines := bytes.SplitAfter(text, []byte("\n"))
	end := len(text)
	for line = len(lines); line > 1; line-- {
		if len(lines)-line == tries {
			return 0, "is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")
		}
		end -= len(lines[line-1])
		if _, err := documents(text[:end]); err == nil {
			break
		}
	}
	at := lines[line-1]
	if indent := at[:len(at)-len(bytes.TrimLeft(at, " \t"))]; bytes.ContainsRune(indent, '\t') {
		return line, "is not YAML: the line is indented with a tab; want spaces"
	}
	return line, "is not YAML: " + yamlError.ReplaceAllString(err.Error(), "")
}

// parseText parses a value of the environment or of --set. If the field is a
// string, the text is used unchanged unless it is in quotes, because a path may
// contain what YAML reads as a comment, a number or an anchor. The same holds
// for each part of a list without brackets, which a shell would interpret as a
// pattern.
func (l leaf) parseText(text string, from origin) (given, *Fault) {
	refuse := func(what string) (given, *Fault) {
		return given{}, &Fault{origin: from, text: what}
	}
	if !utf8.ValidString(text) {
		return refuse("is not UTF-8")
	}
	if l.typ.Kind() == reflect.Slice && l.typ.Elem().Kind() == reflect.String && text != "" && text != "null" &&
		!strings.ContainsAny(text[:1], `[{"'~`) {
		list := reflect.New(l.typ).Elem()
		for _, part := range strings.Split(text, ",") {
			list = reflect.Append(list, reflect.ValueOf(strings.TrimSpace(part)).Convert(l.typ.Elem()))
		}
		return given{l, list, from}, nil
	}
	if l.typ == reflect.TypeFor[[]int]() && strings.Contains(text, ",") && !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if want(l.typ) != "a string" || strings.HasPrefix(text, `"`) || strings.HasPrefix(text, `'`) {
		docs, err := documents([]byte(text))
		switch {
		case err != nil:
			return refuse("is not YAML: " + yamlError.ReplaceAllString(err.Error(), ""))
		case len(docs) > 1:
			return refuse("is more than one YAML document; want " + want(l.typ))
		case len(docs) == 0:
			n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
		default:
			n = docs[0].Content[0]
		}
	}
	var wrong *Fault
	v := l.convert(n, func(_ *yaml.Node, element, what string) {
		if element != "" {
			what = "element " + element + " " + what
		}
		_, wrong = refuse(what)
	})
	return given{l, v, from}, wrong
}
