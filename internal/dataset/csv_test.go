package dataset

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var twoColumns = layout{text: []string{"text"}, label: "label", needLabel: true, quotes: true}

// TestCSV: the reader returns what Python's csv.reader returns for the same
// bytes, opened with newline="".
func TestCSV(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     [][2]string
	}{
		{"windows", "text,label\r\n\"a\r\nb\",x\r\nc,y\r\n", [][2]string{{"a\r\nb", "x"}, {"c", "y"}}},
		{"mixed", "text,label\n\"a\r\nb\nc\rd\",x\r\n", [][2]string{{"a\r\nb\nc\rd", "x"}}},
		{"quotes", "text,label\n\"say \"\"so\"\"\",x\n\"\"\"\",y\n\"\",z",
			[][2]string{{`say "so"`, "x"}, {`"`, "y"}, {"", "z"}}},
		{"blanks", "text,label\n a , b \n", [][2]string{{" a ", " b "}}},
		{"blank_lines", "\n\ntext,label\n\r\na,b\n\n", [][2]string{{"a", "b"}}},
		{"mark", "\ufefftext,label\na,b", [][2]string{{"a", "b"}}},
		{"quoted_header", "\"text\",\"label\"\na,b\r", [][2]string{{"a", "b"}}},
	} {
		t.Run("csv="+c.name, func(t *testing.T) {
			table, err := readCSV("f", strings.NewReader(c.in), twoColumns)
			if err != nil {
				t.Fatal(err)
			}
			var got [][2]string
			for _, r := range table.rows {
				got = append(got, [2]string{r.a, r.label})
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestBadText compares the whole message for files in the wrong format.
func TestBadText(t *testing.T) {
	swallowed := "text,label\na,x\n\"b,x\n" + strings.Repeat("c,x\n", 97) + "d\",x\ne,y\n"
	broken := func(n, bad int) string {
		return "text\tlabel\n" + strings.Repeat("a\tx\n", n) + strings.Repeat("a\n", bad)
	}
	skipping := twoColumns
	skipping.skipBad = true
	csv := func(s string) error { _, err := readCSV("f", strings.NewReader(s), twoColumns); return err }
	tsv := func(s string) error { _, err := readTSV("f", strings.NewReader(s), twoColumns); return err }
	jsonl := func(s string) error { _, err := readJSONL("f", strings.NewReader(s), twoColumns); return err }
	skip := func(s string) error { _, err := readTSV("f", strings.NewReader(s), skipping); return err }
	for _, c := range []struct {
		name string
		read func(string) error
		in   string
		want string
	}{
		{"swallowed", csv, swallowed,
			`f:3:1: the quote that opens here closes on line 101, and 97 of the lines between look like records; want quotes inside a field doubled`},
		{"swallowed_all", csv, swallowed[:len(swallowed)-len("d\",x\ne,y\n")],
			`f:3:1: the quote that opens here is never closed; want quotes inside a field doubled`},
		{"after_quote", csv, "text,label\n\"a\nb\"c,x\n",
			`f:3:3: text follows the quote that closes a field, which opened on line 2; want quotes inside a field doubled`},
		{"old_mac.csv", csv, "text,label\ra,x\rb,y\r",
			`f:1: the line ends are CR (old Mac); want LF or CR LF, as in tr '\r' '\n' <f >NEW`},
		{"old_mac.tsv", tsv, "text\tlabel\ra\tx\rb\ty\r",
			`f:1: the line ends are CR (old Mac); want LF or CR LF, as in tr '\r' '\n' <f >NEW`},
		{"old_mac.jsonl", jsonl, "{}\r{}\r",
			`f:1: the line ends are CR (old Mac); want LF or CR LF, as in tr '\r' '\n' <f >NEW`},
		{"long.tsv", tsv, "text\tlabel\n" + strings.Repeat("a", 3*maxLine) + "\tx\n",
			`f:2: a line of more than 4 MiB; want one example per line`},
		{"long.jsonl", jsonl, strings.Repeat("a", 3*maxLine), `f:1: a line of more than 4 MiB; want one example per line`},
		{"twice.csv", csv, "text,label\r\r\na,x\r\r\n",
			`f:1: the line ends are CR CR LF (converted twice); want LF or CR LF, as in tr -d '\r' <f >NEW`},
		{"twice.tsv", tsv, "text\tlabel\r\r\na\tx\r\r\n",
			`f:1: the line ends are CR CR LF (converted twice); want LF or CR LF, as in tr -d '\r' <f >NEW`},
		{"twice.jsonl", jsonl, "{}\r\r\n{}\r\r\n",
			`f:1: the line ends are CR CR LF (converted twice); want LF or CR LF, as in tr -d '\r' <f >NEW`},
		{"old_mac_semicolons", csv, "text;label\ra;x\rb;y\r",
			`f:1: the line ends are CR (old Mac); want LF or CR LF, as in tr '\r' '\n' <f >NEW`},
		{"one_cr", csv, "text,label\na\rb,x\n",
			`f:2:2: a carriage return outside of quotes that no line feed follows; want line ends LF or CR LF, and the field in quotes`},
		{"semicolons", csv, "text;label\na;x\n",
			`f:1: no column "text"; the file has "text;label"; the columns look separated by semicolons: want commas`},
		{"tabs", csv, "text\tlabel\na\tx\n",
			`f:1: no column "text"; the file has "text\tlabel"; the columns look separated by tabs: want a name in .tsv, or commas`},
		{"commas", tsv, "text,label\na,x\n",
			`f:1: no column "text"; the file has "text,label"; the columns look separated by commas: want a name in .csv, or tabs`},
		{"nul.csv", csv, "text,label\na\x00,x\n", `f:2:1: a NUL byte; want text`},
		{"nul.tsv", tsv, "text\tlabel\na\x00\tx\n", `f:2:2: a NUL byte; want text`},
		{"nul.jsonl", jsonl, `{"text":"a\u0000","label":1}`, `f:1: "text" has a NUL byte; want text`},
		{"long.csv", csv, "text,label\n" + strings.Repeat("a", maxText+1),
			`f:2:1: a field of more than 1048576 bytes; want at most that`},
		{"long_quoted.csv", csv, "text,label\n\"" + strings.Repeat("a", maxText+1),
			`f:2:1: the quote that opens here is not closed within 1048576 bytes; want quotes inside a field doubled`},
		{"long.tsv", tsv, "text\tlabel\n" + strings.Repeat("a", maxLine+1),
			`f:2: a line of more than 4 MiB; want one example per line`},
		{"skipped", skip, broken(100, 11),
			`f:102: 11 of 111 rows do not have 2 columns separated by tabs; this row is the first of them, and at most one row in a hundred may be malformed`},
		{"key_twice", jsonl, `{"text":"a","label":1,"label":2}`,
			`f:1:29: the object has the key "label" twice; every key may appear once; want one JSON object per line`},
		{"broken_quotes.tsv", tsv, "text\tlabel\n\"a\nb\"\tx\n",
			`f:2: 1 column; want 2 separated by tabs; it opens or closes a quote, and .tsv has no quoted fields over several lines or tabs: write the file as .csv`},
		{"quoted_header.tsv", tsv, "\"text\"\t\"label\"\n\"a\" b\tx\n",
			`f:2: the names of the columns are in quotes, but this field has a quote that is neither around the whole field nor doubled; want quotes around the whole field and doubled inside, or no quotes`},
	} {
		t.Run("file="+c.name, func(t *testing.T) {
			if err := c.read(c.in); err == nil || err.Error() != "dataset: read "+c.want {
				t.Errorf("error %v\nwant  dataset: read %s", err, c.want)
			}
		})
	}
	if err := skip(broken(1100, 11)); err != nil {
		t.Errorf("11 of 1111 rows: %v", err)
	}
	// Prose of many lines is not taken for records inside quotes.
	prose := "text,label\n\"" + strings.Repeat("one, two\nthree\n", 50) + "\",x\n"
	if err := csv(prose); err != nil {
		t.Error(err)
	}
}

// TestQuotedTSV: the quotes of pandas are removed, other quotes are kept, and
// doubtful ones are reported.
func TestQuotedTSV(t *testing.T) {
	for _, c := range []struct{ name, in, want, finding string }{
		{"pandas", "text\tlabel\n\"a \"\"b\"\" c\"\tx\nd\ty\n\"e\"\tz\n", `a "b" c|d|e`,
			"quotes around a whole field, 2 times, are removed, and doubled quotes inside are read as one"},
		{"all", "\"text\"\t\"label\"\n\"a\"\t\"x\"\n\"d\"\t\"y\"\n", "a|d",
			"quotes around a whole field, 4 times, are removed, and doubled quotes inside are read as one"},
		{"letters", "text\tlabel\na \"\"b\tx\n\"c\"\"\"\ty\n", `a ""b|"c"""`, ""},
		{"doubt", "text\tlabel\n\"a\"\tx\nb\ty\n", `"a"|b`, "quotes around a whole field, 1 time, are kept, because .tsv " +
			"has no quoting; if they are not part of the text, write the file as .csv"},
	} {
		t.Run("tsv="+c.name, func(t *testing.T) {
			table, err := readTSV("f", strings.NewReader(c.in), twoColumns)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range table.rows {
				got = append(got, r.a)
			}
			found := ""
			for _, f := range table.findings {
				found += f.Text
			}
			if s := strings.Join(got, "|"); s != c.want || found != c.finding {
				t.Errorf("texts %s, finding %q; want %s, %q", s, found, c.want, c.finding)
			}
		})
	}
	glue := twoColumns
	glue.quotes = false
	table, err := readTSV("f", strings.NewReader("text\tlabel\n\"a \"\"b\"\"\"\tx\n"), glue)
	if got := fmt.Sprint(table.rows[0].a, table.findings, err); got != `"a ""b"""[] <nil>` {
		t.Errorf("GLUE: %s", got)
	}
}
