//go:build cuda && cgo && linux && amd64

package gpu

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

// barrierTable has a row for each barrier of the kernels: the file, the number of the call in the file, the call, a
// test, and the kernel and the memory for which mode races reports a race in that test if the call does nothing.
// `make barriers` writes it. A row without a test says in the last column why no test shows the barrier.
const barrierTable = "../../bench/results/barriers.csv"

// barrier is a call that orders accesses.
type barrier struct {
	file, call string
	nth        int // among the calls in the file, from 1
	line       int
}

func (b barrier) place() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

// barriers returns all calls of __syncthreads, __syncwarp and cp_async_wait in the sources of the kernels.
func barriers(t *testing.T) (all []barrier) {
	t.Helper()
	call := regexp.MustCompile(`(__syncthreads|__syncwarp|cp_async_wait<[^;]*>)\(\);`)
	for _, pattern := range []string{"*.cu", "*.cuh"} {
		paths, err := filepath.Glob(filepath.Join("../../kernels", pattern))
		if err != nil || paths == nil {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			nth := 0
			for i, line := range strings.Split(string(raw), "\n") {
				code, _, _ := strings.Cut(line, "//")
				for _, found := range call.FindAllString(code, -1) {
					nth++
					all = append(all, barrier{filepath.Base(path), strings.TrimSuffix(found, ";"), nth, i + 1})
				}
			}
		}
	}
	return all
}

// race is what mode races prints, or the check of copies at the end of a thread.
var race = regexp.MustCompile(`host: kernel (\w+)(?:: a race on (\w+ memory)|, .*: ends with \d+ (copies) )`)

// dropped runs a test in which the barrier does nothing, and returns what is reported.
func (b barrier) dropped(lib hostlib.Library, test string) string {
	out, err := lib.With("LOR2C_HOST_DROP="+b.place()).Test("-test.failfast", "-test.run="+exactly(test))
	if found := race.FindStringSubmatch(string(out)); err != nil && found != nil {
		return found[1] + ", " + found[2] + found[3]
	}
	return ""
}

// readTable returns the rows of a CSV file without its header.
func readTable(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%s has no header: %v", path, err)
	}
	return rows[1:]
}

// exactly returns the pattern of a test or subtest.
func exactly(test string) string { return "^" + strings.ReplaceAll(test, "/", "$/^") + "$" }

// TestBarriers takes each barrier out alone. The test that the table names must then report a race. A barrier that no
// test needs must not be in a kernel.
func TestBarriers(t *testing.T) {
	lib := watch(t, "races")
	if os.Getenv("LOR2C_UPDATE") == "1" {
		writeBarriers(t, lib)
	}
	rows := readTable(t, barrierTable)
	all := barriers(t)
	if len(rows) != len(all) {
		t.Errorf("%d barriers in %s, %d in the kernels; make barriers", len(rows), barrierTable, len(all))
	}
	for _, b := range all {
		i := slices.IndexFunc(rows, func(row []string) bool {
			return row[0] == b.file && row[1] == strconv.Itoa(b.nth) && row[2] == b.call
		})
		t.Run(fmt.Sprintf("file=%s/nth=%d", b.file, b.nth), func(t *testing.T) {
			t.Parallel()
			if i < 0 {
				t.Fatalf("%s at %s is not in %s; make barriers", b.call, b.place(), barrierTable)
			}
			if rows[i][3] == "" {
				t.Skipf("%s at %s: %s", b.call, b.place(), rows[i][4])
			}
			if got, test := b.dropped(lib, rows[i][3]), rows[i][3]; got == "" || got != rows[i][4] {
				t.Errorf("without %s at %s, %s reports %q; want %q", b.call, b.place(), test, got, rows[i][4])
			}
		})
	}
}

// candidate is a test with the barriers that it reaches and the seconds that it takes.
type candidate struct {
	name    string
	reaches map[string]bool
	seconds float64
}

// candidates returns the tests that launch kernels, the quickest first.
func candidates(t *testing.T, lib hostlib.Library) (all []*candidate) {
	t.Helper()
	run := regexp.MustCompile(`^=== RUN +(\S+)`)
	pass := regexp.MustCompile(`^ *--- PASS: (\S+) \((\S+)s\)`)
	byName := map[string]*candidate{}
	now := &candidate{}
	for line := range strings.Lines(launching(t, lib)) {
		line = strings.TrimSuffix(line, "\n")
		if found := run.FindStringSubmatch(line); found != nil {
			now = &candidate{name: found[1], reaches: map[string]bool{}}
			byName[now.name] = now
			all = append(all, now)
		} else if found := pass.FindStringSubmatch(line); found != nil {
			byName[found[1]].seconds, _ = strconv.ParseFloat(found[2], 64)
		} else if place, ok := strings.CutPrefix(line, "reached "); ok {
			now.reaches[place] = true
		}
	}
	slices.SortStableFunc(all, func(a, b *candidate) int { return cmp.Compare(a.seconds, b.seconds) })
	return all
}

// writeBarriers searches the quickest test that needs each barrier and writes the table.
func writeBarriers(t *testing.T, lib hostlib.Library) {
	tests := candidates(t, lib)
	rows := [][]string{{"file", "nth", "call", "test", "race"}}
	for _, b := range barriers(t) {
		row := []string{b.file, strconv.Itoa(b.nth), b.call, "", ""}
		for _, c := range tests {
			if !c.reaches[b.place()] {
				continue
			}
			if got := b.dropped(lib, c.name); got != "" {
				row[3], row[4] = c.name, got
				break
			}
		}
		fmt.Println(strings.Join(row, ","))
		rows = append(rows, row)
	}
	f, err := os.Create(barrierTable)
	if err != nil {
		t.Fatal(err)
	}
	if err := csv.NewWriter(f).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
