package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// checkRead checks the guarantees of every reader: it returns an error that
// names the file, or rows of valid text in file order.
func checkRead(t *testing.T, rows []row, err error, input string) {
	t.Helper()
	if err != nil {
		if !strings.HasPrefix(err.Error(), "dataset: read f") || strings.Contains(err.Error(), "\n") {
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
		if !utf8.ValidString(r.a) || r.b == nil || !utf8.ValidString(*r.b) || !utf8.ValidString(r.label) ||
			r.hasLabel != (strings.TrimSpace(r.label) != "") {
			t.Fatalf("row %+v", r)
		}
		last = r
	}
}

var fuzzLayout = layout{text: []string{"a", "b"}, label: "y", needLabel: true}

func FuzzTSV(f *testing.F) {
	for _, s := range []string{"a\tb\ty\n1\t2\t3\n", "\ufeffa\ty\tb\r\n\"x\t0\tz\r\n\r\nq\t\tr", "a\tb\ty\n1\t2\n", "",
		"a\tb\ty", "a\tb\ty\n\xff\t2\t3"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, skipBad bool) {
		l := fuzzLayout
		l.skipBad, l.quotes = skipBad, !skipBad
		got, err := readTSV("f", strings.NewReader(s), l)
		checkRead(t, got.rows, err, s)
		if got.skipped > 0 && !skipBad {
			t.Fatalf("%d rows were skipped, but skipBad is not set", got.skipped)
		}
		if err != nil {
			return
		}
		for _, r := range got.rows {
			// The text of each row must be in the line of the file that the row names.
			line := strings.Split(s, "\n")[r.line-1]
			if l.quotes && strings.Contains(line, `"`) {
				continue // TestQuotedTSV checks these
			}
			if !strings.Contains(line, r.a) || !strings.Contains(line, *r.b) || !strings.Contains(line, r.label) ||
				strings.Contains(r.a+*r.b, "\t") {
				t.Fatalf("row %+v is not in line %q", r, line)
			}
		}
	})
}

func FuzzJSONL(f *testing.F) {
	for _, s := range []string{`{"a":"x","b":"","y":1}`,
		"{\"a\":\"\\ud800\",\"b\":\"é\",\"y\":true}\r\n \n{\"b\":\"1\",\"a\":\"2\",\"y\":null}",
		`{"a":"x","b":"z","y":1e999}`, `{"a":"x","a":"w","b":"z","y":-0.0}`, `[]`, `null`, `{"a":1`, "",
		`{"a":"x","b":"z","y":"s"} {}`, `{"a":"x","b":"z","y":[{}]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := readJSONL("f", strings.NewReader(s), fuzzLayout)
		checkRead(t, got.rows, err, s)
	})
}

// FuzzCSV compares the reader with encoding/csv, which accepts more and reads
// the same fields except for a CR LF inside quotes.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b,y\n1,2,3\n", "\ufeffa,y,b\r\n\"x\"\"\",0,z\r\n\r\n\"q\r\nw\",,r", "a,b,y\n\"1,2\n", "",
		"a,b,y", "a,b,y\n\"1\"2,3,4", "a,b,y\r1,2,3\r",
		"a,b,y\n\"1\n2,3,4\n2,3,4\n2,3,4\n\",5,6\n", "a;b;y\n1;2;3", "a,b,y\n\"\",\"\",1\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := readCSV("f", strings.NewReader(s), fuzzLayout)
		checkRead(t, got.rows, err, s)
		if err != nil {
			return
		}
		records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(s, byteOrderMark))).ReadAll()
		if err != nil || len(records) != len(got.rows)+1 {
			t.Fatalf("%d rows; encoding/csv has %d records, error %v", len(got.rows), len(records), err)
		}
		at, err := fuzzLayout.locate("f", records[0])
		if err != nil {
			t.Fatal(err)
		}
		unix := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
		for i, r := range got.rows {
			want := at.row(r.id, r.line, records[i+1])
			if unix(r.a) != want.a || unix(*r.b) != *want.b || unix(r.label) != want.label {
				t.Fatalf("row %+v; encoding/csv reads %q", r, records[i+1])
			}
		}
	})
}

// FuzzCache: any cache file, with a right or a wrong checksum, is ignored or is
// a split with the right number of examples.
func FuzzCache(f *testing.F) {
	dir := f.TempDir()
	key := cacheKey([32]byte{1}, sample().Examples, 5)
	if err := writeCache(dir, key, sampleEncoded); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(cachePath(dir, key))
	if err != nil {
		f.Fatal(err)
	}
	body := good[:len(good)-sha256.Size]
	f.Add(body)
	f.Add(body[:cacheHeader])
	huge := bytes.Clone(body[:cacheHeader+8*5])
	binary.LittleEndian.PutUint64(huge[cacheHeader-16:], 1<<61)
	f.Add(huge)
	f.Fuzz(func(t *testing.T, body []byte) {
		dir := t.TempDir()
		sum := sha256.Sum256(body)
		if err := os.WriteFile(cachePath(dir, key), append(bytes.Clone(body), sum[:]...), 0o600); err != nil {
			t.Fatal(err)
		}
		e, ok := readCache(dir, key, 4)
		if !ok {
			return
		}
		for i := range 4 {
			if ids, types := e.At(i); len(ids) != len(types) {
				t.Fatalf("example %d: %d ids, %d types", i, len(ids), len(types))
			}
		}
		if e.Len() != 4 || e.Cu[4] != int64(len(e.IDs)) {
			t.Fatalf("%d examples, %d tokens of %d", e.Len(), e.Cu[4], len(e.IDs))
		}
	})
}

// FuzzSentences: every file of sentences is refused with its name, or has a tag for each token.
func FuzzSentences(f *testing.F) {
	for _, s := range []string{
		"a x O\nb x B-X\n\nc x O\n", "-DOCSTART- O\n\na\tO\r\nb\tI-X\r\n", "a O\nb O O\n", "a\n", "",
	} {
		f.Add(s, false, false)
		f.Add(s, false, true)
	}
	for _, s := range []string{
		`{"tokens":["a","b"],"tags":["O","B-X"]}`, `{"tokens":["a"],"tags":[1]}`, `{"tokens":"a b"}`,
	} {
		f.Add(s, true, false)
		f.Add(s, true, true)
	}
	f.Fuzz(func(t *testing.T, s string, jsonl, noTags bool) {
		name := "f.conll"
		if jsonl {
			name = "f.jsonl"
		}
		got, err := readSentences(name, strings.NewReader(s), sentenceLayout{labels: []string{"O", "B-X"}, needTags: !noTags,
			noTags: noTags})
		if err != nil {
			if !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q", err)
			}
			return
		}
		for _, r := range got.rows {
			if len(r.words) == 0 || !noTags && len(r.tags) != len(r.words) {
				t.Fatalf("%d tags for %d tokens", len(r.tags), len(r.words))
			}
		}
	})
}
