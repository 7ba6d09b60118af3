package train

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
)

// TestInstructLint: a run on instruction data notes the same likely mistakes as the check of the file, and rows of dev
// that train has too. An evaluation returns those of its split.
func TestInstructLint(t *testing.T) {
	dir := t.TempDir()
	c := instructConfig(t, dir, "lora")
	for name, rows := range map[string][]string{
		"train.jsonl": {
			`{"prompt": "Once upon a time", "completion": " there was a dog."}`,
			`{"prompt": "Once upon a time", "completion": " there was a cat."}`,
			`{"prompt": "The cafÃ©", "completion": " was small."}`,
			"{\"prompt\": \"The \ufffd\", \"completion\": \" was lost.\"}",
			`{"prompt": "He said", "completion": " &quot;no&quot;."}`,
			`{"prompt": "An end </s>", "completion": " is here."}`,
			`{"prompt": "She was quiet", "completion": ""}`,
		},
		"dev.jsonl": {
			`{"prompt": "Once upon a time", "completion": " there was a dog."}`,
			`{"prompt": "One morning", "completion": " tea &amp; milk were gone."}`,
		},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(rows, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.Data.Train, c.Data.Dev = filepath.Join(dir, "train.jsonl"), dataset.Source(filepath.Join(dir, "dev.jsonl"))
	s, err := OpenSession(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var splits []data
	for _, name := range []string{"train", "dev"} {
		d, err := s.load(t.Context(), name, true)
		if err != nil {
			t.Fatal(err)
		}
		splits = append(splits, d)
	}
	lines := s.lint(splits[0], splits[1])
	for _, want := range []string{
		"note: " + c.Data.Train + ": rows with the prompt of an earlier row and another response: 1, in row 2",
		"note: " + c.Data.Train + ": rows without a response, from which the model learns to say nothing: 1, in row 7",
		"note: " + c.Data.Train + ": rows with U+FFFD, which stands for bytes that were not text, such as \"The \ufffd was " +
			"lost.\": 1, in row 4",
		"note: " + c.Data.Train + ": rows with UTF-8 text that a program read as Latin-1 or Windows-1252, such as " +
			"\"The cafÃ© was small\": 1, in row 3",
		"note: " + c.Data.Train + ": rows with escapes or line breaks of HTML, which the model learns as text, such as " +
			"\"He said &quot;no&quot;.\": 1, in row 5",
		"note: " + c.Data.Train + ": rows that spell a special token of the tokenizer, which stays text without " +
			"data.parse_special: 1, in row 6",
		"note: " + string(c.Data.Dev) + ": rows with escapes or line breaks of HTML, which the model learns as text, such " +
			"as \"rning tea &amp; milk were g\": 1, in row 2",
		"note: " + string(c.Data.Dev) + ":1: 1 of 2 examples has texts of the train split, so scores on them are too high",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("the notes are\n%s\nwant\n%s", strings.Join(lines, "\n"), want)
		}
	}
	if _, err := Run(t.Context(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	e, err := Evaluate(t.Context(), c, cpu.Open[float32](1), filepath.Join(c.Out, bestLink), "dev", nil)
	if err != nil || len(e.Findings) != 1 || e.Findings[0].Kind != "html" {
		t.Errorf("an evaluation finds %v, %v", e, err)
	}
}
