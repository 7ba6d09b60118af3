package archtest

import (
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	// mostLine is the largest length of a line in characters. A tab counts as one.
	mostLine = 120
	// rawData is the length of a raw string from which it counts as data, whose
	// lines may have any length. Struct tags are such strings.
	rawData = 60
)

// lineFaults returns a fault for every line of a Go file that is too long and
// has no part of a long raw string.
func lineFaults(file string, text []byte) (faults []string) {
	exempt := map[int]bool{}
	set := token.NewFileSet()
	source := set.AddFile(file, -1, len(text))
	var s scanner.Scanner
	s.Init(source, text, nil, 0)
	for {
		at, tok, literal := s.Scan()
		if tok == token.EOF {
			break
		}
		if tok == token.STRING && literal[0] == '`' && utf8.RuneCountInString(literal) >= rawData {
			first := set.Position(at).Line
			for line := first; line <= first+strings.Count(literal, "\n"); line++ {
				exempt[line] = true
			}
		}
	}
	for i, line := range strings.Split(string(text), "\n") {
		if n := utf8.RuneCountInString(line); n > mostLine && !exempt[i+1] {
			faults = append(faults, fmt.Sprintf("%s:%d: the line has %d characters; want at most %d",
				file, i+1, n, mostLine))
		}
	}
	return faults
}

// TestLines fails for a line of a Go file that is too long. Generated files are
// exempt.
func TestLines(t *testing.T) {
	for _, p := range files(t) {
		if path.Ext(p) != ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(text), "// Code generated ") {
			continue
		}
		for _, fault := range lineFaults(p, text) {
			t.Error(fault)
		}
	}
}

// TestLineFaults plants long lines.
func TestLineFaults(t *testing.T) {
	long, raw := strings.Repeat("x", mostLine), strings.Repeat("y", rawData)
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"comment":       {"package p\n\n//" + long + "\n", 1},
		"code":          {"package p\n\nvar a = \"" + long + "\"\n", 1},
		"short raw":     {"package p\n\nvar a, " + long + " = `y`, 0\n", 1},
		"fits":          {"package p\n\n//" + long[2:] + "\n", 0},
		"characters":    {"package p\n\n//" + strings.Repeat("é", mostLine-2) + "\n", 0},
		"raw":           {"package p\n\nvar a = `" + long + "`\n", 0},
		"lines of data": {"package p\n\nvar a = `" + raw + "\n" + long + "y\n`\n", 0},
	} {
		t.Run("line="+name, func(t *testing.T) {
			if got := lineFaults("f.go", []byte(c.text)); len(got) != c.want {
				t.Errorf("faults %q; want %d", got, c.want)
			}
		})
	}
}
