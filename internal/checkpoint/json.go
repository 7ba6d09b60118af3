package checkpoint

import (
	"encoding/json"
	"fmt"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// stringMap reads a JSON object whose values are strings.
func stringMap(d *json.Decoder, what string) (map[string]string, error) {
	m := map[string]string{}
	err := strictjson.Object(d, what, func(key string) error {
		if len(m) == maxTensors {
			return fmt.Errorf("%s has more than %d keys, which is the limit", what, maxTensors)
		}
		// A pointer, because JSON null would leave a plain string unchanged.
		var s *string
		if err := d.Decode(&s); err != nil || s == nil {
			return fmt.Errorf("%s has a value for %s that is not a string; strings are expected", what, place.Quote(key))
		}
		m[key] = *s
		return nil
	})
	return m, err
}
