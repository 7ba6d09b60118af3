package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFullDisk: every command that prints results fails if they cannot be
// written.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, args := range []string{"version", "--version", "doctor", "--help", "train --help", "help config",
		"completion bash", "show -c configs/demo.yaml"} {
		t.Run("command="+args, func(t *testing.T) {
			c := command(t, strings.Fields(args)...)
			var stderr bytes.Buffer
			c.Stdout, c.Stderr = full, &stderr
			c.Run()
			const want = "lor2c: write to standard output: no space left on device\n"
			if code := c.ProcessState.ExitCode(); code != exitFailure || !strings.HasSuffix(stderr.String(), want) {
				t.Errorf("exit code %d, stderr %q; want %d, %q", code, stderr.String(), exitFailure, want)
			}
		})
	}
}

// TestClosedPipe: a command ends without a message if the reader of its output
// has exited.
func TestClosedPipe(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	defer write.Close()
	c := command(t, "help", "config")
	var stderr bytes.Buffer
	c.Stdout, c.Stderr = write, &stderr
	if err := c.Run(); err == nil || err.Error() != "signal: broken pipe" || stderr.Len() > 0 {
		t.Errorf("%v, stderr %q; want an end by SIGPIPE, as that of cat", err, stderr.String())
	}
}

// TestOneStandardOutput: no command prints past the writer that main flushes
// and checks. Commands may ask whether standard output is a terminal, and the
// line editor of a chat echoes keys, which cannot wait for a flush.
func TestOneStandardOutput(t *testing.T) {
	past := regexp.MustCompile(`os\.Stdout|fmt\.Print(f|ln)?\(`)
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(raw), "terminal.Of(os.Stdout)", "")
		if found := past.FindAllString(text, -1); !strings.HasSuffix(file, "_test.go") && len(found) > 0 &&
			file != "main.go" && file != "chat_lines.go" {
			t.Errorf("%s has %q; want c.OutOrStdout()", file, found)
		}
	}
}

// TestOutputs writes predictions to the kinds of places that a user may name.
func TestOutputs(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	if r := run(t, short(t, out)...); r.code != 0 {
		t.Fatal(r)
	}
	file := filepath.Join(t.TempDir(), "p.tsv")
	want := run(t, "eval", "--run", out, "--predictions", file)
	raw, err := os.ReadFile(file)
	if want.code != 0 || err != nil {
		t.Fatal(want, err)
	}
	for _, path := range []string{"-", "/dev/stdout"} {
		r := run(t, "eval", "--run", out, "--predictions", path)
		if r.code != 0 || r.stdout != string(raw) || !strings.HasSuffix(r.stderr, want.stdout) {
			t.Errorf("--predictions %s: %+v; want the predictions on standard output and the scores on the other", path, r)
		}
	}
	r := run(t, "merge-report", out, "--format", "csv", "--out", "-")
	if r.code != 0 || !strings.Contains(r.stdout, ",") || r.stderr != "" {
		t.Errorf("merge-report --out -: %+v", r)
	}
	for _, own := range []string{"metrics.jsonl", "config.resolved.yaml", "best/adapter_model.safetensors"} {
		path := filepath.Join(out, own)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"eval", "--run", out, "--predictions", path}, {"merge-report", out, "--out", path}} {
			if r := run(t, args...); r.code != exitUsage ||
				!strings.Contains(r.stderr, "is a file that a run needs; name another file") {
				t.Errorf("%q: %+v", args, r)
			}
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s was changed, %v", path, err)
		}
	}
	// A file that a user put there is not changed.
	own := filepath.Join(out, "predictions.tsv")
	for range 2 {
		if r := run(t, "eval", "--run", out, "--predictions", own); r.code != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// TestOutputsOverInputs: no command overwrites the data of a run or writes into
// one of its checkpoints.
func TestOutputsOverInputs(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	args := short(t, out)
	if r := run(t, args...); r.code != 0 {
		t.Fatal(r)
	}
	var files []string
	for _, arg := range args {
		if path, ok := strings.CutPrefix(arg, "data.train="); ok {
			files = append(files, path)
		}
		if path, ok := strings.CutPrefix(arg, "data.dev="); ok {
			files = append(files, path)
		}
	}
	if len(files) != 2 {
		t.Fatal(args)
	}
	for _, path := range append(files, filepath.Join(out, "best", "p.tsv")) {
		before, _ := os.ReadFile(path)
		for _, args := range [][]string{{"eval", "--run", out, "--predictions", path}, {"merge-report", out, "--out", path}} {
			if r := run(t, args...); r.code != exitUsage || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("%q: %+v; want exit code %d and one line", args, r, exitUsage)
			}
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", path)
		}
	}
}
