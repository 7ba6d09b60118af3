package dataset

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/lor2c/lor2c/internal/mangled"
	"github.com/lor2c/lor2c/internal/place"
)

// damages are the kinds of damaged text that Lint looks for.
var damages = []struct {
	kind, text string
	find       func(string) (mangled.Trace, bool)
}{
	{"undecoded", "the character U+FFFD, which a program wrote in place of what it could not decode", mangled.Undecoded},
	{"misread", "UTF-8 text that a program read as Latin-1 or Windows-1252", mangled.Misread},
	{"html", "escapes or line breaks of HTML, which a model learns as text", mangled.HTML},
}

// lintTexts returns a finding for each kind of damage in the texts of a split.
func lintTexts(s *Split) (found []Finding) {
	for _, d := range damages {
		var u use
		var first mangled.Trace
		for _, x := range s.Examples {
			trace, damaged := d.find(x.TextA)
			if !damaged && x.TextB != nil {
				trace, damaged = d.find(*x.TextB)
			}
			if !damaged {
				continue
			}
			if u.count++; u.count == 1 {
				u.line, first = x.Line, trace
			}
		}
		if u.count == 0 {
			continue
		}
		example := place.Quote(first.Excerpt())
		if first.Meant != "" {
			example = fmt.Sprintf("%s for %s in %s", place.Quote(first.Found), place.Quote(first.Meant), example)
		}
		found = append(found, Finding{Kind: d.kind, Path: s.Path, Line: u.line, Count: u.count,
			Text: fmt.Sprintf("%d of %d examples %s %s, such as %s", u.count, len(s.Examples),
				singular(u.count, "has", "have"), d.text, example)})
	}
	return found
}

// Overlap returns findings if texts of dev are in train too, exactly or nearly, because a model may have memorised
// their labels.
func Overlap(train, dev *Split) (found []Finding) {
	in := map[string]bool{}
	for _, x := range train.Examples {
		in[x.key()] = true
	}
	var shared use
	rest := map[string][]Example{} // of dev, by what nearly equal examples have in common
	for _, x := range dev.Examples {
		if !in[x.key()] {
			key := x.folded()
			rest[key] = append(rest[key], x)
			continue
		}
		if shared.count++; shared.line == 0 {
			shared.line = x.Line
		}
	}
	if shared.count > 0 {
		text := fmt.Sprintf("%d of %d examples %s texts of the train split, so scores on them are too high", shared.count,
			len(dev.Examples), singular(shared.count, "has", "have"))
		// A dev split that is drawn from the train file has the same file, but only a part of its examples.
		whole := shared.count == len(dev.Examples) && len(dev.Examples) == len(train.Examples)
		if whole && (slices.Equal(train.Files, dev.Files) || len(train.Files) == 1 && len(dev.Files) == 1 &&
			train.Files[0].SHA256 == dev.Files[0].SHA256) {
			text = "the dev split is the train file, byte for byte, so scores on it are too high"
		}
		found = append(found, Finding{Kind: "overlap", Path: dev.Path, Line: shared.line, Count: shared.count, Text: text})
	}
	return append(found, nearOverlap(train, dev, rest)...)
}

// nearOverlap returns a finding if examples of rest, which are those of dev that train does not have, differ from one
// of train only in case, blanks or Unicode form.
func nearOverlap(train, dev *Split, rest map[string][]Example) []Finding {
	var near use
	var one, other Example // the first in dev, and the first in train that it is like
	for _, x := range train.Examples {
		if len(rest) == 0 {
			break
		}
		key := x.folded()
		for _, y := range rest[key] {
			if near.count++; near.count == 1 || y.Line < near.line {
				near.line, one, other = y.Line, y, x
			}
		}
		delete(rest, key)
	}
	if near.count == 0 {
		return nil
	}
	a, b := one.TextA, other.TextA
	if a == b && one.TextB != nil && other.TextB != nil {
		a, b = *one.TextB, *other.TextB
	}
	return []Finding{{Kind: "near_overlap", Path: dev.Path, Line: near.line, Count: near.count,
		Text: fmt.Sprintf("%d of %d examples %s from texts of the train split only in case, blanks or Unicode form, "+
			"such as %s from %s in line %d, so scores on them are too high", near.count, len(dev.Examples),
			singular(near.count, "differs", "differ"), place.Quote(a),
			place.Quote(b), other.Line)}}
}

// folded returns a text that is equal for examples whose texts differ only in case, blanks, invisible characters or
// Unicode form.
func (x Example) folded() string {
	if x.TextB == nil {
		return fold(x.TextA)
	}
	return fold(x.TextA) + "\n" + fold(*x.TextB)
}

func fold(text string) string {
	ascii := true
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Cf, r):
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		ascii = ascii && r <= unicode.MaxASCII
		return r
	}, text)
	if ascii {
		return text
	}
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(text)))
}
