package report

import (
	"math"
	"strconv"
	"strings"
)

const minus = "\u2212"

// none is written in place of a missing number.
const none = "\u2013"

// fixed returns v with the given number of decimals.
func fixed(v float64, decimals int) string {
	if !finite(v) {
		return none
	}
	return strings.Replace(strconv.FormatFloat(v, 'f', decimals, 64), "-", minus, 1)
}

// signed returns v with its sign.
func signed(v float64, decimals int) string {
	if finite(v) && !math.Signbit(v) {
		return "+" + fixed(v, decimals)
	}
	return fixed(v, decimals)
}

// upper returns s with an upper-case first letter.
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// epoch returns a whole epoch without decimals and others with two.
func epoch(v float64) string {
	if v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return fixed(v, 2)
}
