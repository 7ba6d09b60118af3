package report

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/checkpoint"
)

// noNotes is a report without notes.
const noNotes = "none"

// TestPartial reads runs in which something is missing and checks what the
// report says about it.
func TestPartial(t *testing.T) {
	tests := []struct {
		name string
		run  func(*synthetic)
		file func(t *testing.T, dir string)
		want string // in the notes
	}{
		{"plain", func(s *synthetic) { s.events = false }, nil, noNotes},
		{"lora", func(s *synthetic) { s.method, s.events = "lora", false }, nil, noNotes},
		{"unlogged", func(s *synthetic) { s.merges, s.events = 1, false }, nil,
			"There are no events, and no schedule was logged"},
		{"too-early", func(s *synthetic) { s.epochs, s.finished = 2, false }, nil, "There are no events so far."},
		{"unfinished", func(s *synthetic) { s.epochs, s.finished = 4, false }, nil,
			"not finished: its last record is of step 232."},
		{"half-line", nil, func(t *testing.T, dir string) { appendTo(t, dir, `{"kind":"train","st`) },
			"the last, is incomplete and was ignored"},
		{"no-metrics", nil, func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "metrics.jsonl"))) },
			"There is no metrics.jsonl"},
		{"no-env", nil, func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "env.json"))) }, ""},
	}
	for _, tt := range tests {
		t.Run("case="+tt.name, func(t *testing.T) {
			s := whole()
			if tt.run != nil {
				tt.run(&s)
			}
			dir := s.write(t, filepath.Join(t.TempDir(), "run"))
			if tt.file != nil {
				tt.file(t, dir)
			}
			r, err := Read([]string{dir})
			must(t, err)
			notes := strings.Join(r.Runs[0].Notes, "\n")
			if tt.want == noNotes && notes != "" || tt.want != noNotes && !strings.Contains(notes, tt.want) {
				t.Errorf("notes %q, want %q", notes, tt.want)
			}
			for _, write := range []func(io.Writer) error{r.HTML, r.JSON, r.Markdown, r.CSV} {
				written(t, write)
			}
			if n := len(r.Runs[0].Events); tt.name == "half-line" && n != len(worked) {
				t.Errorf("%d events, want %d", n, len(worked))
			}
		})
	}
}

// TestBadInput: an error names the file that cannot be read, and the line.
func TestBadInput(t *testing.T) {
	replace := func(from, to string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, "metrics.jsonl")
			raw, err := os.ReadFile(path)
			must(t, err)
			if !strings.Contains(string(raw), from) {
				t.Fatalf("%s does not contain the text to replace", from)
			}
			put(t, dir, "metrics.jsonl", strings.Replace(string(raw), from, to, 1))
		}
	}
	tests := []struct {
		name string
		file func(t *testing.T, dir string)
		want string
	}{
		{"unknown-kind", func(t *testing.T, dir string) { appendTo(t, dir, "{\"kind\":\"surprise\",\"step\":9999}\n") },
			`"surprise"`},
		{"older-format", replace(`"sfs_k":2`, `"k":2`), "metrics.jsonl:2: "},
		{"missing-field", replace(`"winner":8,`, ``), `"winner"`},
		{"winner", replace(`"winner":8,`, `"winner":11,`),
			"event: winner is 11, want the index of one of 11 candidates; restore the line"},
		{"action", replace(`"action":"merge"`, `"action":"split"`), `event: action is "split", want "merge" or "inject"`},
		{"scores", replace(`"scores":[0.52,0.47]`, `"scores":[0.52]`), "candidate 0-1 has 1 scores for 2 members"},
		{"layers", replace(`"layers":12`, `"layers":11`), "layers 11-11 are not a span, want 0 <= first <= last < 11"},
		{"span", replace(`{"first":3,"last":3,"singular"`, `{"first":-1,"last":3,"singular"`), "layers -1-3 are not a span"},
		{"many-layers", replace(`"layers":12`, `"layers":1000000000`),
			"plan: layers is 1000000000, want 1 to 1000; restore the line"},
		{"no-layers", replace(`"layers":12`, `"layers":0`), "plan: layers is 0, want 1 to 1000"},
		{"many-modules",
			replace(`{"first":3,"last":3,"singular"`,
				strings.Repeat(`{"first":3,"last":3,"singular":[1]},`, 12)+`{"first":3,"last":3,"singular"`),
			"modules, want at most one for each of 12 layers"},
		{"many-candidates",
			replace(`"candidates":[`, `"candidates":[`+strings.Repeat(`{"first":0,"last":0,"members":[],"scores":[]},`, 13)),
			"candidates, want at most one for each of 12 layers"},
		{"results", func(t *testing.T, dir string) { put(t, dir, "all_results.json", "{") },
			"all_results.json:1:1: the text ends before its JSON value is complete; restore the file or remove it"},
		{"env", func(t *testing.T, dir string) { put(t, dir, "env.json", "[]") }, "env.json:1:1: "},
		{"config", func(t *testing.T, dir string) { put(t, dir, "config.resolved.yaml", "modle: x\n") },
			"config.resolved.yaml"},
	}
	for _, tt := range tests {
		t.Run("case="+tt.name, func(t *testing.T) {
			s := whole()
			s.epochs = 4
			dir := s.write(t, filepath.Join(t.TempDir(), "run"))
			tt.file(t, dir)
			_, err := Read([]string{dir})
			if err == nil || !strings.HasPrefix(err.Error(), "report: read run "+dir+": ") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want %q in it", err, tt.want)
			}
		})
	}
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := Read([]string{path}); !errors.Is(err, ErrNoRun) ||
			!strings.Contains(err.Error(), "want a directory that lor2c train wrote") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestSavedCount: a run without a schedule logs no number of scalars, so it is
// taken from the adapter of the best epoch.
func TestSavedCount(t *testing.T) {
	s := whole()
	s.events = false
	dir := s.write(t, filepath.Join(t.TempDir(), "run"))
	must(t, os.Mkdir(filepath.Join(dir, "best"), 0o777))
	var file bytes.Buffer
	must(t, checkpoint.Write(&file, nil, []checkpoint.Tensor{
		{Name: "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight", Shape: []int{2, 8},
			Data: make([]float32, 16)},
		{Name: "base_model.model.bert.encoder.layer.0.attention.self.query.lora_B.weight", Shape: []int{8, 2},
			Data: make([]float32, 16)},
		{Name: "classifier.out_proj.weight", Shape: []int{2, 8}, Data: make([]float32, 16)},
	}))
	put(t, filepath.Join(dir, "best"), "adapter_config.json",
		`{"peft_type":"LORA","task_type":"SEQ_CLS","r":2,"lora_alpha":4,"target_modules":["query"]}`)
	put(t, filepath.Join(dir, "best"), "adapter_model.safetensors", file.String())
	r, err := Read([]string{dir})
	must(t, err)
	if text := string(written(t, r.Markdown)); !strings.Contains(text, "| scalars of the adapter | 32 |") ||
		!strings.Contains(text, "| scalars, end | 32 |") {
		t.Errorf("no count of 32 in\n%s", text)
	}
	put(t, filepath.Join(dir, "best"), "adapter_model.safetensors", "damaged")
	if _, err := Read([]string{dir}); err == nil || !strings.Contains(err.Error(), "adapter_model.safetensors") {
		t.Errorf("a damaged adapter: %v", err)
	}
}

// TestEscaping: names in a path cannot become markup.
func TestEscaping(t *testing.T) {
	r, err := Read([]string{whole().write(t, filepath.Join(t.TempDir(), `<img src=x>|*"&`))})
	must(t, err)
	if page := string(written(t, r.HTML)); strings.Contains(page, "<img") {
		t.Error("a run's name became an element of the page")
	}
	if text := string(written(t, r.Markdown)); !strings.Contains(text, `# Run &lt;img src=x>\|\*"&amp;`) {
		t.Errorf("Markdown begins %q", text[:60])
	}
}

func appendTo(t *testing.T, dir, text string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	must(t, err)
	put(t, dir, "metrics.jsonl", string(raw)+text)
}
