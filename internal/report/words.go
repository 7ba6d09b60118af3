package report

import (
	"math"
	"strconv"
	"strings"
)

const minus = "\u2212"

// none stands where there is no number.
const none = "\u2013"

// fixed writes a number with so many decimals.
func fixed(v float64, decimals int) string {
	if !finite(v) {
		return none
	}
	return strings.Replace(strconv.FormatFloat(v, 'f', decimals, 64), "-", minus, 1)
}

// signed writes a number with its sign.
func signed(v float64, decimals int) string {
	if finite(v) && !math.Signbit(v) {
		return "+" + fixed(v, decimals)
	}
	return fixed(v, decimals)
}

// upper begins a sentence.
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// epoch writes a whole epoch as such, and others with two decimals.
func epoch(v float64) string {
	if v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return fixed(v, 2)
}
