package dataset

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// checkRead holds what any reader promises: an error that names the file, or
// rows that are valid text in file order.
func checkRead(t *testing.T, rows []row, err error, input string) {
	t.Helper()
	if err != nil {
		if rows != nil || !strings.HasPrefix(err.Error(), "dataset: read f") || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%d rows with error %q", len(rows), err)
		}
		return
	}
	if len(rows) == 0 {
		t.Fatal("no rows and no error")
	}
	last := row{id: -1}
	for _, r := range rows {
		if r.id <= last.id || r.line <= last.line || r.line > strings.Count(input, "\n")+1 {
			t.Fatalf("row %+v after %+v", r, last)
		}
		if !utf8.ValidString(r.a) || r.b == nil || !utf8.ValidString(*r.b) || !utf8.ValidString(r.label) || r.hasLabel != (r.label != "") {
			t.Fatalf("row %+v", r)
		}
		last = r
	}
}

var fuzzLayout = layout{text: []string{"a", "b"}, label: "y", needLabel: true}

func FuzzTSV(f *testing.F) {
	for _, s := range []string{"a\tb\ty\n1\t2\t3\n", "\ufeffa\ty\tb\r\n\"x\t0\tz\r\n\r\nq\t\tr", "a\tb\ty\n1\t2\n", "", "a\tb\ty", "a\tb\ty\n\xff\t2\t3"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, skipBad bool) {
		l := fuzzLayout
		l.skipBad = skipBad
		rows, skipped, err := readTSV("f", strings.NewReader(s), l)
		checkRead(t, rows, err, s)
		if skipped > 0 && !skipBad {
			t.Fatalf("%d rows skipped unasked", skipped)
		}
		for _, r := range rows {
			// What was read must stand in the line it claims to be from.
			line := strings.Split(s, "\n")[r.line-1]
			if !strings.Contains(line, r.a) || !strings.Contains(line, *r.b) || !strings.Contains(line, r.label) || strings.Contains(r.a+*r.b, "\t") {
				t.Fatalf("row %+v is not in line %q", r, line)
			}
		}
	})
}

func FuzzJSONL(f *testing.F) {
	for _, s := range []string{`{"a":"x","b":"","y":1}`, "{\"a\":\"\\ud800\",\"b\":\"é\",\"y\":true}\r\n \n{\"b\":\"1\",\"a\":\"2\",\"y\":null}",
		`{"a":"x","b":"z","y":1e999}`, `{"a":"x","a":"w","b":"z","y":-0.0}`, `[]`, `null`, `{"a":1`, "", `{"a":"x","b":"z","y":"s"} {}`, `{"a":"x","b":"z","y":[{}]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rows, err := readJSONL("f", strings.NewReader(s), fuzzLayout)
		checkRead(t, rows, err, s)
	})
}
