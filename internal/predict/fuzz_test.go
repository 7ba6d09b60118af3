package predict

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/place"
)

// FuzzJournal continues from a journal that is damaged. It must be refused with its path, or the output must be that of
// a run that was not interrupted, unless the journal's own counts say that other rows were written.
func FuzzJournal(f *testing.F) {
	first := filepath.Join(f.TempDir(), "out.tsv")
	if _, err := writeFile(f, first, TSV, 30, 20, func(j *Job) { j.Chunk = 10 }); err == nil {
		f.Fatal("the run was not interrupted")
	}
	rows, err := os.ReadFile(first + ".partial")
	if err != nil {
		f.Fatal(err)
	}
	journal, err := os.ReadFile(first + ".partial.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(journal)
	f.Add(bytes.Replace(journal, []byte(`"bytes": `), []byte(`"bytes": -`), 1))
	f.Fuzz(func(t *testing.T, changed []byte) {
		path := filepath.Join(t.TempDir(), "out.tsv")
		for name, content := range map[string][]byte{path + ".partial": rows, path + ".partial.json": changed} {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := writeFile(t, path, TSV, 30, 0, func(j *Job) { j.Chunk = 10 })
		if err != nil {
			if !place.IsMistake(err) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("error %q; want a mistake with the path", err)
			}
			if got, _ := os.ReadFile(path + ".partial"); len(got) < len(rows) && strings.Contains(err.Error(), "continues") {
				t.Errorf("%d of %d bytes are left after %v", len(got), len(rows), err)
			}
			return
		}
		if sum.Rows != 30 {
			t.Errorf("%d rows; want 30", sum.Rows)
		}
	})
}
