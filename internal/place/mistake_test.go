package place_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/lor2c/lor2c/internal/place"
)

func TestMistake(t *testing.T) {
	cause := fmt.Errorf("no file x: %w", fs.ErrNotExist)
	marked := fmt.Errorf("dataset: open: %w", place.Mistake(cause))
	if !place.IsMistake(marked) || !errors.Is(marked, fs.ErrNotExist) || marked.Error() != "dataset: open: no file x: file does not exist" {
		t.Errorf("%v is no mistake, or has lost its cause", marked)
	}
	if place.IsMistake(cause) || place.IsMistake(nil) {
		t.Error("an error that nothing marked is a mistake")
	}
}
