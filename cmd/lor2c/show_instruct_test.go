package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// TestShowInstruct shows a row of instruction data; the response and the end token are marked.
func TestShowInstruct(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "rows.jsonl")
	if err := os.WriteFile(data, []byte("{\"prompt\": \"Once there\", \"completion\": \" was a dog.\"}\n{\"prompt\": "+
		"\"a\", \"completion\": \" cat.\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(dir, "run.yaml")
	text := "model: " + filepath.Join("..", "..", "demo", "decoder") + "\ndata: {task: instruct, train: " +
		"" + data + ", dev: 1}\nout: " + filepath.Join(dir, "out") + "\n"
	if err := os.WriteFile(run, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	root := newShowCommand()
	root.SetOut(&out)
	root.SetArgs([]string{"-c", run, "--set", "paths=cwd", "-n", "1", "--split", "dev"})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "+}\n  [1 ") || !strings.Contains(got, "  "+
		"<s>") || !strings.Contains(got, ".</s>+}") {
		t.Errorf("%s", got)
	}
}

// TestMarked: predicted parts are in colour where there is colour.
func TestMarked(t *testing.T) {
	runs := []train.TextRun{{Text: "a\n"}, {Text: "b", Predicted: true}}
	if got := marked(runs, terminal.Terminal{}); got != "a\n{+b+}" {
		t.Errorf("%q", got)
	}
	if got := marked(runs, terminal.Terminal{Colour: true}); got != "a\n\x1b[32mb\x1b[0m" {
		t.Errorf("%q", got)
	}
}
