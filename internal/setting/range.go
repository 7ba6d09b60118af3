package setting

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Range is a set of numbers.
type Range struct {
	Least, Most float64 // the bounds; infinite where there is no bound
	Above       bool    // the bound Least is not in the set
	Below       bool    // the bound Most is not in the set
	Zero        bool    // 0 is in the set although it is less than Least
}

var rangeForm = regexp.MustCompile(`^(0\|)?(>?)([-+.e\d]*\d)\.\.(<?)([-+.e\d]*\d)?$`)

// ParseRange reads a range as it stands in a tag: 1..256 has both bounds in it, 0.. has no upper bound, >0..1 is
// without 0, 0..<1 is without 1, and 0|5.. is 0 or at least 5.
func ParseRange(text string) (r Range, err error) {
	form := rangeForm.FindStringSubmatch(text)
	if form == nil {
		return r, fmt.Errorf("%q is not a range; want one such as 0.., >0..1, 0|5.. or 1..256", text)
	}
	r = Range{Most: math.Inf(1), Zero: form[1] != "", Above: form[2] != "", Below: form[4] != ""}
	if r.Least, err = strconv.ParseFloat(form[3], 64); err == nil && form[5] != "" {
		r.Most, err = strconv.ParseFloat(form[5], 64)
	}
	if err == nil && (r.Least > r.Most || r.Below && form[5] == "") {
		err = fmt.Errorf("%q has no numbers", text)
	}
	return r, err
}

// Holds reports whether x is in the range. A NaN is in none.
func (r Range) Holds(x float64) bool {
	switch {
	case x == 0 && r.Zero:
		return true
	case r.Above && !(x > r.Least), r.Below && !(x < r.Most):
		return false
	}
	return x >= r.Least && x <= r.Most
}

// String returns the range in words, such as "at least 0 and less than 1".
func (r Range) String() string {
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	least := "at least " + number(r.Least)
	switch {
	case r.Above:
		least = "more than " + number(r.Least)
	case r.Zero:
		least = "0, or " + least
	}
	switch {
	case math.IsInf(r.Most, 1):
		return least
	case r.Below:
		return least + " and less than " + number(r.Most)
	case r.Above || r.Zero:
		return least + " and at most " + number(r.Most)
	}
	return number(r.Least) + " to " + number(r.Most)
}
