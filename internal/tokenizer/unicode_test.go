package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestEveryCodePoint compares the treatment of every Unicode scalar value with
// the library's, so that a change in a newer Go or x/text is noticed.
func TestEveryCodePoint(t *testing.T) {
	if testing.Short() {
		t.Skip("encodes every code point, which -short leaves out")
	}
	var g struct{ SHA256 map[string]string }
	readGolden(t, "unicode.json", &g)
	uncased := bertNormalizer{true, true, true, true}
	cased := bertNormalizer{cleanText: true, spaceCJK: true}
	treatments := map[string]func(r rune) string{
		"class": func(r rune) string {
			return map[charClass]string{classLetter: "0", classNumber: "1", classOther: "2", classSpace: "3"}[classOf(r)]
		},
		"default": func(r rune) string { return uncased.normalize(string(r)) },
		"cased":   func(r rune) string { return cased.normalize(string(r)) },
		"lower":   func(r rune) string { return bertNormalizer{lowercase: true}.normalize(string(r)) },
		"strip":   func(r rune) string { return bertNormalizer{stripAccents: true}.normalize(string(r)) },
		"words": func(r rune) string {
			switch {
			case isSpace(r):
				return "a\na"
			case isPunctuation(r):
				return "a\n" + string(r) + "\na"
			}
			return "a" + string(r) + "a"
		},
	}
	if len(g.SHA256) != len(treatments) {
		t.Fatalf("%d digests for %d treatments", len(g.SHA256), len(treatments))
	}
	for name, treat := range treatments {
		t.Run("treatment="+name, func(t *testing.T) {
			t.Parallel()
			h := sha256.New()
			var buf []byte
			for r := rune(0); r <= utf8.MaxRune; r++ {
				if !utf8.ValidRune(r) {
					continue
				}
				buf = append(append(buf[:0], treat(r)...), 0)
				h.Write(buf)
			}
			if got := hex.EncodeToString(h.Sum(nil)); got != g.SHA256[name] {
				t.Errorf("digest %s, want %s", got, g.SHA256[name])
			}
		})
	}
}

// TestReplaceIllFormed compares replacements with the tables of the Unicode
// Standard (3-8 and 3-9).
func TestReplaceIllFormed(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain é", "plain é"},
		{"\xff", "�"},
		{"a\xc0\xafb", "a��b"},
		{"\xe0\x80\x80", "���"},
		{"\xed\xa0\x80", "���"},
		{"\xe2\x82", "�"},
		{"\xf0\x90\x8cx", "�x"},
		{"\xf4\x91\x92\x93\xffA\x80\xbfB", "�����A��B"},
		{"\xe1\x80\xe2\xf0\x91\x92\xf1\xbfA", "����A"},
	} {
		if got := replaceIllFormed(c.in); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
		tok := mustLoad(t, "bpe")
		if got, want := tok.Decode(tok.Encode(c.in, nil, 0).IDs), "<s>"+c.want+"</s>"; got != want {
			t.Errorf("encode %q: got %q, want %q", c.in, got, want)
		}
	}
}

func TestTableFaultPanics(t *testing.T) {
	for _, text := range []string{"letter 41-zz", "lower 41-5a"} {
		func() {
			defer func() {
				if e := recover(); e == nil || !strings.Contains(e.(error).Error(), "unicode_tables.txt") {
					t.Errorf("%q: recovered %v", text, e)
				}
			}()
			parseTables(text)
			parseLower(text)
		}()
	}
}
