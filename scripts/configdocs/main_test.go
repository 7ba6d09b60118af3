package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
)

// TestUpToDate: the committed files are those that the command writes.
func TestUpToDate(t *testing.T) {
	for name, want := range files("../..") {
		got, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is out of date; run `make docs`", name)
		}
	}
}

// TestProse: the section of every method says what it trains, the number of its
// parameters, its source and its divergences, and no file is of a method that
// does not exist.
func TestProse(t *testing.T) {
	for _, name := range adapter.Names() {
		for _, heading := range headings {
			if !strings.Contains(proseOf(name), heading) {
				t.Errorf("scripts/configdocs/methods/%s.txt has no %s", name, heading)
			}
		}
	}
	entries, err := prose.ReadDir("methods")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name, _ := strings.CutSuffix(e.Name(), ".txt"); !slices.Contains(adapter.Names(), name) {
			t.Errorf("scripts/configdocs/methods/%s is of no method", e.Name())
		}
	}
}
