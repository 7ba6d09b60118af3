package instruct

import (
	"hash/maphash"
	"slices"
	"strings"
	"unicode"
)

// gramWords is the number of words in a row by which texts are compared, that of Brown et al. 2020 (arXiv:2005.14165,
// appendix C).
const gramWords = 13

// Overlap says which rows share text with another file.
type Overlap struct {
	With    string `json:"with"`
	Rows    Lines  `json:"rows"`
	Example string `json:"example"` // the place in the other file for the first of the rows
}

// Reference is an index of the texts of one or more files.
type Reference struct {
	name   string
	places []string
	grams  map[uint64]int32 // the place of each sequence of words
	short  map[uint64]int32 // of texts with fewer words than a sequence
	seed   maphash.Seed
}

// NewReference returns an empty index. name stands for it in errors.
func NewReference(name string) *Reference {
	return &Reference{name: name, grams: map[uint64]int32{}, short: map[uint64]int32{}, seed: maphash.MakeSeed()}
}

// Add adds a text that is at a place.
func (r *Reference) Add(text, place string) {
	at := int32(len(r.places))
	r.places = append(r.places, place)
	into := r.short
	hashes, whole := r.hashes(text)
	if !whole {
		into = r.grams
	}
	for _, h := range hashes {
		if _, there := into[h]; !there {
			into[h] = at
		}
	}
}

// AddFile adds the rows of a file of instruction data.
func (r *Reference) AddFile(f *File) {
	for _, row := range f.Rows {
		prompt, response := row.halves()
		r.Add(prompt+" "+response, f.Place(row))
	}
}

// Compare returns the rows of f that share a sequence of gramWords words with the index. Case and punctuation do not
// count. A row with fewer words is compared as a whole with texts of fewer words.
func (r *Reference) Compare(f *File) Overlap {
	o := Overlap{With: r.name}
	for _, row := range f.Rows {
		prompt, response := row.halves()
		hashes, whole := r.hashes(prompt + " " + response)
		from := r.grams
		if whole {
			from = r.short
		}
		for _, h := range hashes {
			if at, there := from[h]; there {
				if o.Rows.add(row); o.Rows.Count == 1 {
					o.Example = r.places[at]
				}
				break
			}
		}
	}
	return o
}

// hashes returns a hash of each sequence of gramWords words of a text, or if it has fewer, one of all its words
// in alphabetical order.
func (r *Reference) hashes(text string) (hashes []uint64, whole bool) {
	between := func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }
	words := strings.FieldsFunc(strings.ToLower(text), between)
	if len(words) == 0 {
		return nil, true
	}
	n := min(gramWords, len(words))
	if whole = n < gramWords; whole {
		slices.Sort(words) // the parts of a text can be in another order elsewhere
	}
	for i := range len(words) - n + 1 {
		hashes = append(hashes, maphash.String(r.seed, strings.Join(words[i:i+n], " ")))
	}
	return hashes, whole
}
