package place_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/lor2c/lor2c/internal/place"
)

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
