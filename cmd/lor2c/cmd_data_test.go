package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDataCheck: a clean file has exit code 0; findings are listed and have a code of their own; mistakes of the
// command line and files that cannot be read are refused.
func TestDataCheck(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	row := `{"prompt": "Once upon a time", "completion": " there was a dog."}` + "\n"
	clean, twice := write("clean.jsonl", row), write("twice.jsonl", row+row)
	r := run(t, "data", "check", clean, "--model", demoDecoder)
	if r.code != 0 || r.stderr != "" || !strings.Contains(r.stdout, "clean.jsonl: 1 row of the format completion\n") ||
		!strings.Contains(r.stdout, "end token: 1 of 1 rows (100.0 %)\n") || strings.Contains(r.stdout, "finding") {
		t.Errorf("%+v", r)
	}
	r = run(t, "data", "check", twice, "--dev", clean, "--against", dir)
	if r.code != exitFindings || !strings.Contains(r.stdout, "rows that repeat an earlier row: 1, in row 2\n") ||
		!strings.Contains(r.stdout, "overlap with dev: 2 rows\n") || !strings.HasSuffix(r.stderr, ": 3 findings\n") {
		t.Errorf("%+v", r)
	}
	var got struct {
		Rows     int
		Tokens   struct{ EOS int }
		Findings []string
	}
	r = run(t, "data", "check", twice, "--model", demoDecoder, "--json")
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Rows != 2 || got.Tokens.EOS != 2 ||
		len(got.Findings) != 1 || r.code != exitFindings {
		t.Errorf("%+v is %+v, %v", r, got, err)
	}
	for want, args := range map[string][]string{
		"0 files are named; want one":              nil,
		"--format is csv; want one of auto":        {clean, "--format", "csv"},
		"--template is x; want one of none":        {clean, "--template", "x"},
		"--max-length is 1; want at least 2":       {clean, "--max-length", "1"},
		"nothing.json":                             {filepath.Join(dir, "nothing.json")},
		"the row has the keys text_a; want":        {write("keys.jsonl", `{"text_a": "x"}`)},
		"there is no command chek; did you mean":   {"chek"},
		"want a file of .json":                     {clean, "--against", filepath.Join(dir, "missing")},
		"template alpaca does not fit rows of the": {clean, "--model", demoDecoder, "--template", "alpaca"},
	} {
		command := []string{"data", "check"}
		if strings.Contains(want, "no command") {
			command = command[:1]
		}
		r := run(t, append(command, args...)...)
		stderr := strings.ReplaceAll(strings.Join(strings.Fields(r.stderr), " "), `"`, "")
		if r.code != exitUsage || !strings.Contains(stderr, want) || r.stdout != "" {
			t.Errorf("%v: %+v; want %q", args, r, want)
		}
	}
}
