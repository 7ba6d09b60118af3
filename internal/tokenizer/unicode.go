package tokenizer

import (
	_ "embed"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unicodeTables contains the character classes that Hugging Face's library
// uses. Its components use tables of several Unicode versions (its punctuation
// is years older than its letters), so no version of Go's unicode package
// agrees with it. scripts/golden_tokenizer.py extracts the classes from the
// library.
//
//go:embed unicode_tables.txt
var unicodeTables string

// decoderTables contains the classes that only decoders need.
//
//go:embed unicode_decoders.txt
var decoderTables string

// charClass is a class of characters of the byte-level word pattern.
type charClass uint8

const (
	classOther charClass = iota
	classLetter
	classNumber
	classSpace
)

// runeSet is a set of runes as sorted, disjoint, closed ranges.
type runeSet [][2]rune

func (s runeSet) has(r rune) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i][1] >= r })
	return i < len(s) && s[i][0] <= r
}

var (
	tables = parseTables(unicodeTables + "\n" + decoderTables)

	letters     = tables["letter"]      // \p{L} of the byte-level pattern
	numbers     = tables["number"]      // \p{N} of the byte-level pattern
	dropped     = tables["dropped"]     // removed by BERT's text cleaning
	punctuation = tables["punctuation"] // a separate word for BERT
	accents     = tables["accent"]      // removed after NFD when accents are stripped
	decomposed  = tables["decomposed"]  // changed by NFD
	combining   = tables["combining"]   // combining class other than 0
	numerals    = tables["numeral"]     // a part of its own for Digits
	lowers      = parseLower(unicodeTables)

	asciiClass = asciiClasses()
)

// parseTables reads lines "name first-last first-last ..." in hexadecimal. It
// panics on a fault, because the text is part of the program.
func parseTables(text string) map[string]runeSet {
	out := map[string]runeSet{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" || fields[0] == "lower" {
			continue
		}
		for _, f := range fields[1:] {
			first, last, found := strings.Cut(f, "-")
			if !found {
				last = first
			}
			out[fields[0]] = append(out[fields[0]], [2]rune{mustRune(first), mustRune(last)})
		}
	}
	return out
}

// lowerRange maps every step-th rune from first to last to itself plus delta.
type lowerRange struct{ first, last, step, delta rune }

// parseLower reads the line "lower first-last/step:delta ..." in hexadecimal.
func parseLower(text string) []lowerRange {
	var out []lowerRange
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "lower" {
			continue
		}
		for _, f := range fields[1:] {
			var r lowerRange
			if _, err := fmt.Sscanf(f, "%x-%x/%x:%x", &r.first, &r.last, &r.step, &r.delta); err != nil {
				panic(fmt.Errorf("tokenizer: unicode_tables.txt: %q: %w", f, err))
			}
			out = append(out, r)
		}
	}
	return out
}

// lowerRune returns the simple lower-case form of r.
func lowerRune(r rune) rune {
	i := sort.Search(len(lowers), func(i int) bool { return lowers[i].last >= r })
	if i < len(lowers) && r >= lowers[i].first && (r-lowers[i].first)%lowers[i].step == 0 {
		return r + lowers[i].delta
	}
	return r
}

func mustRune(hex string) rune {
	n, err := strconv.ParseUint(hex, 16, 21)
	if err != nil {
		panic(fmt.Errorf("tokenizer: unicode_tables.txt: %w", err))
	}
	return rune(n)
}

// isSpace reports whether r has the Unicode property White_Space, whose 25
// members have not changed since Unicode 6.3.
func isSpace(r rune) bool { return unicode.Is(unicode.White_Space, r) }

// classOf returns the class of r in the byte-level word pattern. The classes
// are disjoint.
func classOf(r rune) charClass {
	switch {
	case letters.has(r):
		return classLetter
	case numbers.has(r):
		return classNumber
	case isSpace(r):
		return classSpace
	}
	return classOther
}

// asciiClasses returns the classes of ASCII characters, so that most text needs
// no search in the tables.
func asciiClasses() (t [utf8.RuneSelf]charClass) {
	for c := range t {
		t[c] = classOf(rune(c))
	}
	return t
}

// isWordRune reports whether r matches \w of Rust's regex crate (UTS 18, annex
// C), which decides where an added token with single_word may match.
func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.In(r, unicode.Nl, unicode.Other_Alphabetic,
		unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control)
}
