package metric

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/lor2c/lor2c/internal/place"
)

// Number is a float64 that may be undefined, that is, NaN or an infinity.
// Pearson's correlation of constant predictions is an example. Everything that
// this program writes uses the methods of Number, so that an undefined value is
// null in JSON, an empty cell in tables and CSV, and "undefined" in a sentence.
type Number float64

// Defined reports whether n is a finite number.
func (n Number) Defined() bool { return !math.IsNaN(float64(n)) && !math.IsInf(float64(n), 0) }

// MarshalJSON implements json.Marshaler. It writes the shortest text that reads
// back to the same bits, or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Defined() {
		return []byte("null"), nil
	}
	return []byte(n.Cell()), nil
}

// UnmarshalJSON implements json.Unmarshaler. It reads null as NaN.
func (n *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	if err := json.Unmarshal(b, (*float64)(n)); err != nil {
		return fmt.Errorf("a score is %s; want a number or null", place.Quote(string(b)))
	}
	return nil
}

// Cell returns the shortest text that reads back to the same bits, or an empty
// text for an undefined value.
func (n Number) Cell() string {
	if !n.Defined() {
		return ""
	}
	return strconv.FormatFloat(float64(n), 'g', -1, 64)
}

// String returns n with four decimals, as scores are printed, or "undefined".
func (n Number) String() string {
	if !n.Defined() {
		return "undefined"
	}
	return strconv.FormatFloat(float64(n), 'f', 4, 64)
}

// MarshalJSON implements json.Marshaler. It writes an undefined score as null.
func (s Scores) MarshalJSON() ([]byte, error) {
	numbers := make(map[string]Number, len(s))
	for name, v := range s {
		numbers[name] = Number(v)
	}
	return json.Marshal(numbers)
}
