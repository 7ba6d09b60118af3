package checkpoint

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/place"
)

// eachKey reads one JSON object from d and calls visit after each key; visit
// must consume the value. Package encoding/json keeps the last of two equal
// keys, which would let two readers disagree about one file, so a repeated key
// is an error here.
func eachKey(d *json.Decoder, what string, visit func(key string) error) error {
	open, err := d.Token()
	if err != nil || open != json.Delim('{') {
		return fmt.Errorf("%s is not a JSON object; {...} is expected", what)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key := t.(string)
		if seen[key] {
			return fmt.Errorf("%s has the key %q twice; every key may appear once", what, key)
		}
		seen[key] = true
		if err := visit(key); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// stringMap reads a JSON object whose values are strings.
func stringMap(d *json.Decoder, what string) (map[string]string, error) {
	m := map[string]string{}
	err := eachKey(d, what, func(key string) error {
		// A pointer, because JSON null would leave a plain string unchanged.
		var s *string
		if err := d.Decode(&s); err != nil || s == nil {
			return fmt.Errorf("%s has a value for %q that is not a string; strings are expected", what, key)
		}
		m[key] = *s
		return nil
	})
	return m, err
}

// checkSyntax reports where text stops being JSON in UTF-8, as a byte offset.
// Later decoding may then take the syntax for granted.
func checkSyntax(text []byte) (offset int, err error) {
	if !utf8.Valid(text) {
		for i := 0; ; {
			r, n := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && n == 1 {
				return i, fmt.Errorf("invalid UTF-8 byte 0x%02x", text[i])
			}
			i += n
		}
	}
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		offset, _, _ = place.JSON(err)
		return offset, err
	}
	return 0, nil
}
