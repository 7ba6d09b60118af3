package evaluate

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/place"
)

// FuzzContinue changes a file of an evaluation that is half done. It must be refused with its path, or be read as
// answers that have all scores.
func FuzzContinue(f *testing.F) {
	m := Model{MaxTokens: 512, Identity: map[string]string{"weights": "w"}}
	set, err := benchmark.Load("bbh", "../../demo/benchmarks", benchmark.Options{Protocol: benchmark.LMEval, Shots: -1,
		Own: true})
	if err != nil {
		f.Fatal(err)
	}
	open := func(dir string) (*Evaluation, error) {
		return Benchmark(set, m, Settings{Decode: Greedy, Samples: 1, Batch: 1, Out: dir})
	}
	dir := f.TempDir()
	e, err := open(dir)
	if err != nil {
		f.Fatal(err)
	}
	if err := e.On("cpu"); err != nil {
		f.Fatal(err)
	}
	first := e.questions[0]
	var lines []line
	for _, q := range e.questions {
		if q.task == first.task {
			lines = append(lines, e.benchmarkLine(q.task, q.item, asked{prompt: "p"}, replies{texts: []string{q.item.Label}}))
		}
	}
	if err := e.files.append(first.task, lines); err != nil {
		f.Fatal(err)
	}
	samples, settings := filepath.Base(e.files.samples(first.task)), filepath.Base(e.settingsPath())
	e.Close()
	files := map[string][]byte{}
	for _, name := range []string{samples, settings} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(true, files[samples])
	f.Add(true, bytes.ReplaceAll(files[samples], []byte(`"metrics":[`), []byte(`"metrics":[],"x":[`)))
	f.Add(false, files[settings])
	f.Fuzz(func(t *testing.T, answers bool, changed []byte) {
		dir := t.TempDir()
		for name, content := range files {
			if answers == (name == samples) {
				content = changed
			}
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		e, err := open(dir)
		if err != nil {
			if !place.IsMistake(err) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\x1b") ||
				answers && strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
			return
		}
		defer e.Close()
		for i, l := range e.scored {
			if l.DocID != e.questions[i].row || l.task != e.questions[i].task {
				t.Errorf("line %d is the answer to row %d of %s", i+1, l.DocID, l.task)
			}
			for _, name := range e.metrics() {
				if score, known := l.scores[name]; !known || math.IsNaN(score) {
					t.Errorf("line %d has no score %s", i+1, name)
				}
			}
		}
	})
}
