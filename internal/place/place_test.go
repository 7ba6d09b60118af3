package place_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lor2c/lor2c/internal/place"
)

func TestAt(t *testing.T) {
	const text = "ab\nüé c\n\n€" // bytes 0-2, 3-9, 10, 11-13
	for _, c := range []struct {
		text   string
		offset int
		want   string
	}{
		{text, 0, "1:1"},
		{text, 2, "1:3"}, // a line feed belongs to the line that it ends
		{text, 3, "2:1"},
		{text, 4, "2:1"}, // second byte of ü
		{text, 5, "2:2"},
		{text, 7, "2:3"},
		{text, 9, "2:5"},
		{text, 10, "3:1"},
		{text, 11, "4:1"},
		{text, 13, "4:1"}, // third byte of the euro sign
		{text, 14, "4:2"},
		{text, 99, "4:2"},
		{text, -1, "1:1"},
		{"", 0, "1:1"},
		// Bytes that are not UTF-8 count as one column each.
		{"a\xff\x80b", 2, "1:3"},
		{"a\xff\x80b", 3, "1:4"},
	} {
		t.Run(fmt.Sprintf("text=%q/offset=%d", c.text, c.offset), func(t *testing.T) {
			if got := place.At([]byte(c.text), c.offset).String(); got != c.want {
				t.Errorf("%s; want %s", got, c.want)
			}
		})
	}
}

// name has an UnmarshalJSON that always fails.
type name struct{}

func (*name) UnmarshalJSON([]byte) error { return errors.New("no such name") }

func TestJSON(t *testing.T) {
	type inner struct {
		Flag *bool `json:"flag"`
	}
	var into struct {
		Width  int            `json:"width"`
		Eps    float32        `json:"eps"`
		Kind   string         `json:"kind"`
		Names  []string       `json:"names"`
		Inner  inner          `json:"inner"`
		Counts map[string]int `json:"counts"`
		Small  uint8          `json:"small"`
		Name   name           `json:"name"`
	}
	for _, c := range []struct {
		text   string
		offset int
		what   string
	}{
		{`{"a":}`, 5, `"}" stands where a value must be`},
		{`{"a":`, 4, "the text ends before its JSON value is complete"},
		{``, 0, "the text ends before its JSON value is complete"},
		{`{} x`, 3, `"x" follows the end of the JSON value`},
		{`{"a":NaN}`, 5, `"NaN" stands where a value must be`},
		{`{"a":tru}`, 5, `"tru" stands where a value must be`},
		{`{"a":nulx}`, 5, `"nulx" stands where a value must be`},
		{`{"a":fälse}`, 5, `"f" stands where a value must be`},
		{`[1,]`, 3, `"]" stands where a value must be`},
		{`{“a”:1}`, 1, `"“" stands where a key in double quotes must be`},
		{`{'a':1}`, 1, `"'" stands where a key in double quotes must be`},
		{`{"a" 1}`, 5, `"1" stands where the colon after a key must be`},
		{`{"a":1 "b":2}`, 7, `"\"" stands where a comma or "}" must be`},
		{`[1 2]`, 3, `"2" stands where a comma or "]" must be`},
		{"[\"a\tb\"]", 3, `a string contains "\t", which must be written as an escape`},
		{`["\q"]`, 3, `a string has "q" after a backslash, which is no escape of JSON`},
		{`["\u12g4"]`, 6, `a string has "g" in an escape of four hexadecimal digits`},
		{`[-x]`, 2, `a number has "x" where a digit must be`},
		{`[1.x]`, 3, `a number has "x" where a digit must be`},
		{`[1e]`, 3, `a number has "]" where a digit must be`},
		{strings.Repeat("[", 10001), 10000, `arrays and objects nest too deep at "["`},
		{`[1]`, 0, "the text holds a JSON array, not an object"},
		{`{"width":"8"}`, 11, "width holds a JSON string, not a whole number"},
		{`{"width":8.5}`, 11, "width holds 8.5, not a whole number in plain digits"},
		{`{"width":1e3}`, 11, "width holds 1e3, not a whole number in plain digits"},
		{`{"width":9223372036854775808}`, 27, "width holds 9223372036854775808, which is out of range"},
		{`{"small":-1}`, 10, "small holds -1, which is out of range"},
		{`{"eps":true}`, 10, "eps holds a JSON bool, not a number"},
		{`{"eps":1e99}`, 10, "eps holds 1e99, which is out of range"},
		{`{"kind":7}`, 8, "kind holds a JSON number, not a string"},
		{`{"names":"a"}`, 11, "names holds a JSON string, not an array"},
		{`{"names":["a",1]}`, 14, "names holds a JSON number, not a string"},
		{`{"counts":{"a":"b"}}`, 17, "counts holds a JSON string, not a whole number"},
		{`{"inner":{"flag":1}}`, 17, "inner.flag holds a JSON number, not true or false"},
		{`{"inner":[]}`, 9, "inner holds a JSON array, not an object"},
		{`{"counts":[]}`, 10, "counts holds a JSON array, not an object"},
	} {
		t.Run(fmt.Sprintf("text=%.40s", c.text), func(t *testing.T) {
			offset, what, ok := place.JSON([]byte(c.text), json.Unmarshal([]byte(c.text), &into))
			if offset != c.offset || what != c.what || !ok {
				t.Errorf("%d, %q, %t; want %d, %q, true", offset, what, ok, c.offset, c.what)
			}
		})
	}
	t.Run("error=other", func(t *testing.T) {
		text := []byte(`{"name":1}`)
		offset, what, ok := place.JSON(text, json.Unmarshal(text, &into))
		if offset != 0 || what != "no such name" || ok {
			t.Errorf("%d, %q, %t; want an error without a place", offset, what, ok)
		}
	})
}

func TestMistake(t *testing.T) {
	cause := fmt.Errorf("no file x: %w", fs.ErrNotExist)
	marked := fmt.Errorf("dataset: open: %w", place.Mistake(cause))
	if !place.IsMistake(marked) || !errors.Is(marked, fs.ErrNotExist) ||
		marked.Error() != "dataset: open: no file x: file does not exist" {
		t.Errorf("%v is not a mistake, or does not wrap its cause", marked)
	}
	if place.IsMistake(cause) || place.IsMistake(nil) {
		t.Error("an error that nothing marked is a mistake")
	}
}

func TestGiven(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("a broken row"), true},
		{fmt.Errorf("read x: %w", fs.ErrNotExist), true},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, true},
		{&fs.PathError{Op: "read", Path: "x", Err: syscall.EISDIR}, true},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, false},
		{&fs.PathError{Op: "read", Path: "x", Err: syscall.EIO}, false},
		{fmt.Errorf("load: %w", context.Canceled), false},
	} {
		if got := place.Given(c.err); place.IsMistake(got) != c.want || !errors.Is(got, c.err) {
			t.Errorf("Given(%v) is a mistake: %v; want %v", c.err, !c.want, c.want)
		}
	}
}

// TestWithoutPath: the errors of package os lose operation and paths, and all other errors stay as they are.
func TestWithoutPath(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, path := os.Stat(missing)
	link := os.Rename(missing, missing+"2")
	for _, err := range []error{path, link} {
		if got := place.WithoutPath(err); got == nil || got.Error() != place.WithoutPath(path).Error() || got == err {
			t.Errorf("%v: got %v", err, got)
		}
	}
	wrapped := fmt.Errorf("row 7: %w", path)
	for _, err := range []error{nil, fs.ErrClosed, wrapped} {
		if got := place.WithoutPath(err); got != err {
			t.Errorf("%v: got %v", err, got)
		}
	}
}
