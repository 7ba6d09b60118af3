package main

import (
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
)

// TestMethods: lor2c methods prints every method of the registry, with what it is, within the width of a terminal.
func TestMethods(t *testing.T) {
	r := run(t, "methods")
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("%+v", r)
	}
	text := strings.Join(strings.Fields(r.stdout), " ")
	for _, name := range adapter.Names() {
		if !strings.Contains(text, name+" "+adapter.About(name)) {
			t.Errorf("%s is not in\n%s", name, r.stdout)
		}
	}
	for line := range strings.Lines(r.stdout) {
		if len([]rune(line)) > columns+1 {
			t.Errorf("a line has %d characters: %s", len([]rune(line)), line)
		}
	}
}
