package archtest

import (
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	// mostLine is the largest length of a line in characters. A tab counts as one.
	mostLine = 120
	// rawData is the length of a string from which it counts as data, whose
	// lines may have any length. Struct tags are such strings.
	rawData = 60
)

// shortLines are the extensions of the files whose lines are checked.
var shortLines = map[string]bool{
	".go": true, ".cu": true, ".cuh": true, ".cpp": true, ".c": true, ".h": true, ".py": true, ".sh": true,
}

// generated finds the mark of a file that a program writes: the one of Go, or
// that of scripts/cuda_header.py.
var generated = regexp.MustCompile(`\A(?:// Code generated .* DO NOT EDIT\.|(?://.*\n)?// .*Written by scripts/)`)

// pythonString finds a string of Python within a line.
var pythonString = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`)

// isPythonData reports whether a line of a Python file has a string that counts
// as data.
func isPythonData(line string) bool {
	for _, s := range pythonString.FindAllString(line, -1) {
		if utf8.RuneCountInString(s) >= rawData+2 {
			return true
		}
	}
	return false
}

// lineFaults returns a fault for every line that is too long, except lines of
// data: in Go those of a long raw string, in Python those with a long string.
func lineFaults(file string, text []byte) (faults []string) {
	exempt := map[int]bool{}
	if path.Ext(file) == ".go" {
		exempt = rawLines(file, text)
	}
	for i, line := range strings.Split(string(text), "\n") {
		n := utf8.RuneCountInString(line)
		if n > mostLine && !exempt[i+1] && !(path.Ext(file) == ".py" && isPythonData(line)) {
			faults = append(faults, fmt.Sprintf("%s:%d: the line has %d characters; want at most %d",
				file, i+1, n, mostLine))
		}
	}
	return faults
}

// rawLines returns the lines of a Go file that have a part of a long raw
// string.
func rawLines(file string, text []byte) map[int]bool {
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
	return exempt
}

// TestLines fails for a line of source code that is too long. Generated files
// are exempt.
func TestLines(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range files(t) {
		if !shortLines[path.Ext(p)] {
			continue
		}
		seen[path.Ext(p)] = true
		text, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		if generated.Match(text) {
			continue
		}
		for _, fault := range lineFaults(p, text) {
			t.Error(fault)
		}
	}
	if len(seen) != len(shortLines) {
		t.Errorf("files with the extensions %v below %s; want some of each of %v", seen, root, shortLines)
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
	for name, c := range map[string]struct {
		file, text string
		want       int
	}{
		"kernel": {"f.cu", "//" + long + "\n", 1},
		"header": {"f.cuh", "int a; // " + long + "\n", 1},
		"script": {"f.sh", "echo " + long + "\n", 1},
		"python": {"f.py", "# " + long + "\nf('" + raw[:20] + "', " + strings.Repeat("a, ", 40) + ")\n", 2},
		"data":   {"f.py", "f('" + raw + "', " + long + ")\n", 0},
	} {
		t.Run("line="+name, func(t *testing.T) {
			if got := lineFaults(c.file, []byte(c.text)); len(got) != c.want {
				t.Errorf("faults %q; want %d", got, c.want)
			}
		})
	}
}
