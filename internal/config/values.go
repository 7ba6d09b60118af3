package config

import (
	"math"
	"strconv"
	"strings"
)

// Range is a set of numbers.
type Range struct {
	Least, Most float64 // the bounds; infinite where there is no bound
	Above       bool    // the bound Least is not in the set
	Below       bool    // the bound Most is not in the set
	Zero        bool    // 0 is in the set although it is less than Least
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

// allowed describes the values that one key can have.
type allowed struct {
	words    []string // the words that are allowed, or can be in a list; nil where any is
	numbers  *Range   // the numbers that are allowed, or can be in a list; nil where any is
	path     bool     // the value names a file or a folder
	required bool     // a run needs a value, and there is no default
}

// anything is what keys allow that allow every value of their type.
var anything allowed

// path is what keys allow that name a file or a folder.
var path = allowed{path: true}

// words allows the words of list, which stand between bars.
func words(list string) allowed { return allowed{words: strings.Split(list, "|")} }

// atLeast allows least and everything above it.
func atLeast(least float64) allowed { return within(Range{Least: least, Most: math.Inf(1)}) }

// zeroOrAtLeast allows 0, and least with everything above it.
func zeroOrAtLeast(least float64) allowed {
	return within(Range{Least: least, Most: math.Inf(1), Zero: true})
}

// moreThan allows everything above least.
func moreThan(least float64) allowed {
	return within(Range{Least: least, Most: math.Inf(1), Above: true})
}

// between allows least, most and what lies between them.
func between(least, most float64) allowed { return within(Range{Least: least, Most: most}) }

// share allows numbers from 0 up to, but not including, 1.
var share = within(Range{Least: 0, Most: 1, Below: true})

// fraction is what a number as the value of data.dev can be.
var fraction = Range{Least: 0, Most: 1, Above: true, Below: true}

func within(r Range) allowed { return allowed{numbers: &r} }

// needed returns a with the addition that a run needs a value.
func (a allowed) needed() allowed {
	a.required = true
	return a
}
