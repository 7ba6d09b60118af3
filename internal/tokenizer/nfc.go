package tokenizer

import (
	"sync"

	"golang.org/x/text/unicode/norm"
)

// composites returns the map from a starter and the mark after it to their primary composite
// (Unicode Standard, section 3.11). It contains only the composites of the
// reference, whose version of Unicode is older than that of x/text. It is made when
// the first text is composed, because most programs compose none.
var composites = sync.OnceValue(primaryComposites)

func primaryComposites() map[[2]rune]rune {
	out := map[[2]rune]rune{}
	for _, span := range tables["composed"] {
		for r := span[0]; r <= span[1]; r++ {
			whole := []rune(norm.NFD.String(string(r)))
			last := len(whole) - 1
			first := []rune(norm.NFC.String(string(whole[:last])))
			out[[2]rune{first[0], whole[last]}] = r
		}
	}
	return out
}

// composed returns the canonical composition (NFC) of text. It does not use
// norm.NFC, which inserts a joiner into a run of more than 30 marks.
func composed(text string) string {
	if isASCII(text) {
		return text
	}
	runes := decompose(text)
	sortMarks(runes)
	starter, last := -1, uint8(0) // the last starter kept, and the class of the last character kept
	kept := runes[:0]
	for _, r := range runes {
		class := combiningClass(r)
		if starter >= 0 && (len(kept) == starter+1 || last < class) {
			if c, ok := composePair(kept[starter], r); ok {
				kept[starter] = c
				continue
			}
		}
		if class == 0 {
			starter = len(kept)
		}
		last = class
		kept = append(kept, r)
	}
	return string(kept)
}

// These are the numbers of Hangul (Unicode Standard, section 3.12).
const (
	hangulS, hangulL, hangulV, hangulT = 0xac00, 0x1100, 0x1161, 0x11a7
	hangulLs, hangulVs, hangulTs       = 19, 21, 28
)

// composePair returns the primary composite of a and b, if there is one.
func composePair(a, b rune) (rune, bool) {
	if l, v := a-hangulL, b-hangulV; l >= 0 && l < hangulLs && v >= 0 && v < hangulVs {
		return hangulS + (l*hangulVs+v)*hangulTs, true
	}
	s, t := a-hangulS, b-hangulT
	if s >= 0 && s < hangulLs*hangulVs*hangulTs && s%hangulTs == 0 && t > 0 && t < hangulTs {
		return a + t, true
	}
	c, ok := composites()[[2]rune{a, b}]
	return c, ok
}

// decompose returns the canonical decomposition of the characters of text that
// the reference decomposes. The marks are not yet in canonical order.
func decompose(text string) []rune {
	runes := make([]rune, 0, len(text))
	for _, r := range text {
		if !decomposed.has(r) {
			runes = append(runes, r)
			continue
		}
		runes = append(runes, []rune(norm.NFD.String(string(r)))...)
	}
	return runes
}
