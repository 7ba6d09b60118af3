package metric

import (
	"slices"
	"strings"
)

// TagScheme says which entities the tags of a sentence mark. A tag is O outside of entities, and else one of the
// letters B, I, E and S with a hyphen and the type of the entity, as in B-PER; a letter alone marks entities of the
// type _.
type TagScheme struct {
	Types   []string // of entities, sorted
	letters []byte   // by tag
	types   []int    // by tag: an index into Types; -1 for O
}

// NewTagScheme returns the scheme of labels, or false if they are not such tags, as parts of speech are not.
func NewTagScheme(labels []string) (*TagScheme, bool) {
	s := &TagScheme{}
	names := make([]string, len(labels))
	for i, label := range labels {
		letter, name, typed := strings.Cut(label, "-")
		outside := letter == "O" && !typed
		if len(letter) != 1 || !outside && !strings.Contains("BIES", letter) || typed && name == "" {
			return nil, false
		}
		if !typed {
			name = "_"
		}
		if names[i] = name; outside {
			names[i] = ""
		}
		s.letters = append(s.letters, letter[0])
	}
	s.Types = slices.Compact(slices.Sorted(slices.Values(slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return n == ""
	}))))
	for _, name := range names {
		s.types = append(s.types, slices.Index(s.Types, name))
	}
	return s, len(s.Types) > 0
}

// Entity is a run of tokens that are one entity.
type Entity struct {
	Type       int // an index into TagScheme.Types
	Start, End int // tokens Start to End-1
}

// Entities returns the entities that the tags of a sentence mark, in their order. A tag of -1 counts as O. Tags that no
// scheme allows mark entities too, as in seqeval's default mode and in conlleval: an entity begins at B and S, at any
// letter that follows O, E or S, and where the type changes.
func (s *TagScheme) Entities(tags []int) (found []Entity) {
	var open *Entity
	before := byte('O')
	for i, tag := range tags {
		letter, kind := byte('O'), -1
		if tag >= 0 {
			letter, kind = s.letters[tag], s.types[tag]
		}
		if open != nil && (letter == 'O' || letter == 'B' || letter == 'S' || before == 'E' || before == 'S' ||
			kind != open.Type) {
			open = nil
		}
		if before = letter; letter == 'O' {
			continue
		}
		if open == nil {
			found = append(found, Entity{Type: kind, Start: i})
			open = &found[len(found)-1]
		}
		open.End = i + 1
	}
	return found
}

// Stray reports whether a tag does not follow from the one before it, which is -1 at the start of a sentence: I or E
// that continues no entity of its type.
func (s *TagScheme) Stray(before, tag int) bool {
	if letter := s.letters[tag]; letter != 'I' && letter != 'E' {
		return false
	}
	return before < 0 || s.types[before] != s.types[tag] || s.letters[before] == 'E' || s.letters[before] == 'S'
}
