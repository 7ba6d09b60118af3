package place_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/place"
)

func TestQuote(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"", `""`},
		{"plain words", `"plain words"`},
		{"a\x1b[31mb\x00\r\n\tc", `"a\x1b[31mb\x00\r\n\tc"`},
		{"\xff", `"\xff"`},
		{"é€\u202e", `"é€\u202e"`}, // an override of the writing direction
		{strings.Repeat("€", 60), `"` + strings.Repeat("€", 60) + `"`},
		{strings.Repeat("€", 61), `"` + strings.Repeat("€", 60) + `"...`},
		{strings.Repeat("a", 1<<20), `"` + strings.Repeat("a", 60) + `"...`},
	} {
		t.Run(fmt.Sprintf("runes=%d", len([]rune(c.value))), func(t *testing.T) {
			if got := place.Quote(c.value); got != c.want {
				t.Errorf("%s; want %s", got, c.want)
			}
		})
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"two lines\nand a tab\t, é€ 日": "two lines\nand a tab\t, é€ 日",
		"a\x1b[31mb\r\x00\u0085":       `a\x1b[31mb\r\x00\u0085`,
		"\xff\xc3":                     `\xff\xc3`,
		"\ufffd is a character":        "\ufffd is a character",
		"a\u202eb\u2066":               `a\u202eb\u2066`,
		`a\nb`:                         `a\nb`,
	} {
		if got := place.Escape(text); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}

func TestList(t *testing.T) {
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprint("k", i))
	}
	var first []string
	first = append(first, many[:20]...)
	for _, c := range []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"a"}, "a"},
		{[]string{"a.b/c", "", "d e", "f,g", "h\x1b", "\xff", `"`}, `a.b/c, "", "d e", "f,g", "h\x1b", "\xff", "\""`},
		{many[:20], strings.Join(first, ", ")},
		{many[:21], strings.Join(first, ", ") + " and 1 more"},
		{many, strings.Join(first, ", ") + " and 4980 more"},
		{[]string{strings.Repeat("n", 1<<20)}, `"` + strings.Repeat("n", 60) + `"...`},
	} {
		t.Run(fmt.Sprintf("names=%d", len(c.names)), func(t *testing.T) {
			if got := place.List(c.names); got != c.want {
				t.Errorf("%s; want %s", got, c.want)
			}
		})
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 rows", 1: "1 row", 2: "2 rows", 1000: "1000 rows"} {
		if got := place.Count(n, "row", "rows"); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0.0 MiB", 1<<30 - 1<<20: "1023.0 MiB", 1 << 30: "1.0 GiB", 3 << 29: "1.5 GiB",
	} {
		if got := place.Bytes(n); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}
