package tokenizer

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// maxID bounds token ids. The largest published encoder (XLM-V) has just over
// 900 thousand tokens; tables are indexed by id, so that a wrong id of a
// billion would need all memory.
const maxID = 1<<20 - 1

// vocab maps tokens to ids and back.
type vocab struct {
	ids    map[string]int32
	tokens []string // by id, "" for unused ids
}

// set adds a token. The caller has checked that token and id are new.
func (v *vocab) set(token string, id int32) {
	for int(id) >= len(v.tokens) {
		v.tokens = append(v.tokens, "")
	}
	v.ids[token] = id
	v.tokens[id] = token
}

// parseVocabJSON reads the object {token: id} at the given keys of a file. It
// checks the syntax of the whole file first, because a streaming decoder would
// report a fault late and with a less precise place.
func parseVocabJSON(src *source, keys ...string) (*vocab, error) {
	// The syntax of a file with a vocabulary below keys is known to be right.
	if len(keys) == 0 {
		if err := src.strictError(strictjson.Syntax(src.data)); err != nil {
			return nil, err
		}
	}
	dec, err := src.descend(keys...)
	if err != nil {
		return nil, err
	}
	name := strings.Join(keys, ".")
	if name == "" {
		name = "vocabulary"
	}
	if dec == nil {
		return nil, src.errorf("%s is missing; it must be an object of tokens and ids", name)
	}
	if t, err := dec.Token(); err != nil {
		return nil, src.jsonError(err)
	} else if t != json.Delim('{') {
		return nil, src.errorAt(dec.InputOffset()-1, "%s is not an object; it must map tokens to ids", name)
	}
	v := &vocab{ids: map[string]int32{}}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, src.jsonError(err)
		}
		// Inside an object the decoder returns keys as strings only.
		token, at := key.(string), dec.InputOffset()
		value, err := dec.Token()
		if err != nil {
			return nil, src.jsonError(err)
		}
		id, ok := parseID(value)
		if !ok {
			if text, isText := value.(string); isText {
				value = place.Quote(text)
			}
			return nil, src.errorAt(at, "token %s has id %.60v; ids are whole numbers from 0 to %d", place.Quote(token), value,
				maxID)
		}
		if old, dup := v.ids[token]; dup {
			return nil, src.errorAt(at, "token %s has id %d and again %d; every token must occur once", place.Quote(token), old,
				id)
		}
		if int(id) < len(v.tokens) && v.tokens[id] != "" {
			return nil, src.errorAt(at, "token %s has id %d, which is the id of %s; every id must occur once",
				place.Quote(token), id, place.Quote(v.tokens[id]))
		}
		v.set(token, id)
	}
	if len(v.ids) == 0 {
		return nil, src.errorf("%s is empty; it must hold at least the special tokens", name)
	}
	return v, nil
}

// parseID returns the id that is written as a whole number. It does not decode
// through float64, which would silently round large ids.
func parseID(value json.Token) (int32, bool) {
	n, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseInt(n.String(), 10, 32)
	return int32(id), err == nil && id >= 0 && id <= maxID
}

// parseVocabText reads one token per line; the id is the line number, from 0.
// White space at the end of a line is not part of a token. Blank lines use up
// an id but have no token, as in the reference.
func parseVocabText(src *source) (*vocab, error) {
	v := &vocab{ids: map[string]int32{}}
	id := int32(0)
	for line := range bytes.Lines(src.data) {
		if id > maxID {
			return nil, src.errorf("line %d is too many; a vocabulary has at most %d tokens", id+1, maxID+1)
		}
		token := strings.TrimRightFunc(string(line), unicode.IsSpace)
		if old, dup := v.ids[token]; dup && token != "" {
			return nil, src.errorAt(src.lineStart(int(id)), "token %s is on line %d already; every token must occur once",
				place.Quote(token), old+1)
		}
		v.set(token, id)
		id++
	}
	delete(v.ids, "")
	if len(v.ids) == 0 {
		return nil, src.errorf("vocabulary is empty; it must hold at least the special tokens")
	}
	return v, nil
}

// lineStart returns the offset of the line with the given number, from 0.
func (s *source) lineStart(n int) int64 {
	at := 0
	for ; n > 0; n-- {
		at += bytes.IndexByte(s.data[at:], '\n') + 1
	}
	return int64(at)
}

// mergePair is one merge with its place in the file.
type mergePair struct {
	left, right string
	at          int64
}

// parseMergesText reads merges.txt: a version line, then "left right" per line
// in order of rank. Blank lines have no rank.
func parseMergesText(src *source) ([]mergePair, error) {
	var pairs []mergePair
	at := int64(0)
	for raw := range bytes.Lines(src.data) {
		line := strings.TrimRight(string(raw), "\r\n")
		if line != "" && !strings.HasPrefix(line, "#version") {
			left, right, ok := cutMerge(line)
			if !ok {
				return nil, src.errorAt(at, "merge %s is not two tokens; it must be two tokens with one space between",
					place.Quote(line))
			}
			pairs = append(pairs, mergePair{left, right, at})
		}
		at += int64(len(raw))
	}
	return pairs, nil
}

// parseMergesJSON reads model.merges of tokenizer.json, where a merge is
// "left right" or, since tokenizers 0.20, ["left", "right"].
func parseMergesJSON(src *source) ([]mergePair, error) {
	dec, err := src.descend("model", "merges")
	if err != nil || dec == nil {
		return nil, err
	}
	if t, err := dec.Token(); err != nil {
		return nil, src.jsonError(err)
	} else if t != json.Delim('[') {
		return nil, src.errorAt(dec.InputOffset()-1, "model.merges is not an array; it must list pairs of tokens")
	}
	var pairs []mergePair
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, src.jsonError(err)
		}
		// After Decode the offset is that of the end of the value.
		at := dec.InputOffset() - int64(len(raw))
		var both []string
		ok := false
		p := mergePair{at: at}
		if line, isText := textOf(raw); isText {
			p.left, p.right, ok = cutMerge(line)
		} else if left, right, isPair := pairOf(raw); isPair {
			p.left, p.right, ok = left, right, left != "" && right != ""
		} else if json.Unmarshal(raw, &both) == nil && len(both) == 2 {
			p.left, p.right, ok = both[0], both[1], both[0] != "" && both[1] != ""
		}
		if !ok {
			return nil, src.errorAt(at, "merge %s is not two tokens; it must be two tokens with one space between", excerpt(raw))
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// pairOf returns the texts of a JSON array of two strings without escapes, and reports whether raw is one.
// json.Unmarshal takes ten times as long.
func pairOf(raw json.RawMessage) (left, right string, ok bool) {
	if bytes.IndexByte(raw, '\\') >= 0 {
		return "", "", false
	}
	parts := bytes.Split(raw, []byte{'"'}) // [ left , right ]
	is := func(part []byte, c byte) bool { part = bytes.TrimSpace(part); return len(part) == 1 && part[0] == c }
	if len(parts) != 5 || !is(parts[0], '[') ||
		!is(parts[2], ',') || !is(parts[4], ']') {
		return "", "", false
	}
	return string(parts[1]), string(parts[3]), true
}

// textOf returns the text of a JSON string, and reports whether raw is one.
func textOf(raw json.RawMessage) (text string, ok bool) {
	if raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true // json.Unmarshal takes five times as long
	}
	return text, json.Unmarshal(raw, &text) == nil
}

// cutMerge splits a merge at its space. ok is false unless there is exactly
// one: byte-level tokens write a space as Ġ, so any other space means that the
// file is damaged.
func cutMerge(line string) (left, right string, ok bool) {
	left, right, ok = strings.Cut(line, " ")
	return left, right, ok && left != "" && right != "" && !strings.Contains(right, " ")
}
