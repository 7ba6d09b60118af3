//go:build cuda && cgo && linux && amd64

package gpu

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

// accessTable has what mode accesses counts for the launches of countedOps: for each kernel, what all its accesses and
// collectives cost, and each line whose accesses cost more than the least. `make accesses` writes it.
const accessTable = "../../bench/results/accesses.csv"

// access is a row of the table. file is empty for the sum over a kernel. Where functions are compiled into each other,
// file and line are those of the innermost one outside of common.cuh.
type access struct {
	kernel, kind, file, code string
	instructions             int
	units, least             int // sectors of 32 bytes in global memory, wavefronts in shared memory
	line                     int // of the source now; it is not in the table
}

func (a access) ratio() float64 { return float64(a.units) / float64(max(1, a.least)) }

func (a access) row() []string {
	return []string{
		a.kernel, a.kind, a.file, a.code, strconv.Itoa(a.instructions), strconv.Itoa(a.units), strconv.Itoa(a.least),
	}
}

// String names the kernel, the kind and the line of an access.
func (a access) String() string {
	if a.file == "" {
		return fmt.Sprintf("%s, %s", a.kernel, a.kind)
	}
	return fmt.Sprintf("%s, %s at %s:%d (%s)", a.kernel, a.kind, a.file, a.line, a.code)
}

func compareAccesses(a, b access) int {
	return cmp.Or(cmp.Compare(a.kernel, b.kernel), cmp.Compare(a.file, b.file), cmp.Compare(a.code, b.code),
		cmp.Compare(a.kind, b.kind))
}

// accessFaults returns how counts differ from those of a table.
func accessFaults(got, want []access) (faults []string) {
	same := func(list []access, a access) int {
		return slices.IndexFunc(list, func(b access) bool { return compareAccesses(a, b) == 0 })
	}
	for _, a := range got {
		i := same(want, a)
		switch {
		case i < 0 && a.file != "":
			faults = append(faults, fmt.Sprintf("%v: %.2f times the least; the table allows 1.00", a, a.ratio()))
		case i < 0:
			faults = append(faults, fmt.Sprintf("%v is not in the table", a))
		case a.ratio() > want[i].ratio():
			faults = append(faults,
				fmt.Sprintf("%v: %.2f times the least; the table allows %.2f", a, a.ratio(), want[i].ratio()))
		case a.units > want[i].units, a.instructions > want[i].instructions:
			faults = append(faults, fmt.Sprintf("%v: %d instructions and %d units; the table allows %d and %d",
				a, a.instructions, a.units, want[i].instructions, want[i].units))
		case a.units != want[i].units, a.instructions != want[i].instructions, a.least != want[i].least:
			faults = append(faults, fmt.Sprintf("%v: %d instructions and %d units, less than the %d and %d of the table",
				a, a.instructions, a.units, want[i].instructions, want[i].units))
		}
	}
	for _, a := range want {
		if same(got, a) < 0 {
			faults = append(faults, fmt.Sprintf("%v is in the table, but was not counted", a))
		}
	}
	return faults
}

// TestAccesses runs every op at sizes that are multiples of its tiles, and compares the counts with the table. A rise
// is a fault; after a fall, `make accesses` lowers what the table allows.
func TestAccesses(t *testing.T) {
	if os.Getenv("LOR2C_HOST_MODE") == "accesses" {
		countOps(t)
		return
	}
	lib := watch(t, "accesses").With("LOR2C_HOST_COVERAGE=/dev/stdout")
	out, err := lib.Test("-test.run=^TestAccesses$")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := parseAccesses(t, lib.Path, string(out))
	for line := range strings.Lines(string(out)) {
		kernel, ok := strings.CutPrefix(strings.TrimSpace(line), "library ")
		counted := slices.ContainsFunc(got, func(a access) bool { return a.kernel == kernel })
		if ok && counted == uncounted.MatchString(kernel) {
			t.Errorf("kernel %s: counted: %t", kernel, counted)
		}
	}
	if os.Getenv("LOR2C_UPDATE") == "1" {
		writeAccesses(t, got)
	}
	for _, fault := range accessFaults(got, readAccesses(t)) {
		t.Errorf("%s; make accesses writes the table", fault)
	}
}

// parseAccesses returns the rows of the table from what the library has written. Lines with a ratio of 1 are left out.
func parseAccesses(t *testing.T, library, counts string) (all []access) {
	t.Helper()
	found := regexp.MustCompile(`(?m)^(\w+)\t([^\t]+)\t(\d+)\t(\d+)\t(\d+)\t(\S*)$`).FindAllStringSubmatch(counts, -1)
	places := placesOf(t, library, found)
	add := func(a access) {
		i := slices.IndexFunc(all, func(b access) bool { return compareAccesses(a, b) == 0 })
		if i < 0 {
			all = append(all, a)
			return
		}
		all[i].instructions += a.instructions
		all[i].units += a.units
		all[i].least += a.least
	}
	for _, row := range found {
		a := access{kernel: row[1], kind: row[2]}
		a.instructions, _ = strconv.Atoi(row[3])
		a.units, _ = strconv.Atoi(row[4])
		a.least, _ = strconv.Atoi(row[5])
		add(a)
		if row[6] == "" {
			continue
		}
		file, line, _ := strings.Cut(places[row[6]], ":")
		a.file = file
		a.line, _ = strconv.Atoi(line)
		a.code = sourceLine(t, a.file, a.line)
		add(a)
	}
	all = slices.DeleteFunc(all, func(a access) bool { return a.file != "" && a.units <= a.least })
	slices.SortFunc(all, compareAccesses)
	return all
}

// placesOf returns the lines, as file:line, of the addresses in rows.
func placesOf(t *testing.T, library string, rows [][]string) map[string]string {
	t.Helper()
	places := map[string]string{}
	var addresses strings.Builder
	for _, row := range rows {
		if at := row[6]; strings.HasPrefix(at, "0x") {
			fmt.Fprintln(&addresses, at)
		} else {
			places[at] = at
		}
	}
	c := exec.Command("addr2line", "-a", "-i", "-e", library)
	c.Stdin = strings.NewReader(addresses.String())
	out, err := c.Output()
	if err != nil {
		t.Fatalf("addr2line: %v", err)
	}
	address := ""
	for line := range strings.Lines(string(out)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " ")
		if hex, ok := strings.CutPrefix(line, "0x"); ok {
			address = "0x" + strings.TrimLeft(hex, "0")
			continue
		}
		if name := filepath.Base(line); places[address] == "" && !strings.HasPrefix(name, "common.cuh:") {
			places[address] = name
		}
	}
	return places
}

// sourceLine returns the text of a line of a kernel's source.
func sourceLine(t *testing.T, file string, line int) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../kernels", file))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(raw), "\n")
	if line < 1 || line > len(lines) {
		t.Fatalf("%s has no line %d", file, line)
	}
	code, _, _ := strings.Cut(lines[line-1], "//")
	return strings.TrimSpace(code)
}

func readAccesses(t *testing.T) (all []access) {
	t.Helper()
	for _, row := range readTable(t, accessTable) {
		a := access{kernel: row[0], kind: row[1], file: row[2], code: row[3]}
		for i, n := range []*int{&a.instructions, &a.units, &a.least} {
			var err error
			if *n, err = strconv.Atoi(row[4+i]); err != nil {
				t.Fatalf("%s: %v", accessTable, err)
			}
		}
		all = append(all, a)
	}
	return all
}

func writeAccesses(t *testing.T, all []access) {
	t.Helper()
	rows := [][]string{{"kernel", "kind", "file", "line", "instructions", "units", "least"}}
	for _, a := range all {
		rows = append(rows, a.row())
	}
	var text bytes.Buffer
	if err := csv.NewWriter(&text).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(accessTable, text.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// uncounted are the kernels that countOps does not run: those for rows of any length and heads of any size, for
// decoding, for the self-check, for labels that are independent, and for methods other than LoRA and LoR2C.
var uncounted = regexp.MustCompile(`^(binary_cross_entropy|scale_|` +
	`prefix_|prepend_|orthogonality|balance|symmetric_kl|lowrank_inv_norm|` +
	`grouped_|zero_smallest|sum_products|importance|gate|softmax|dequantize_nf4|copy_(widen|narrow)|` +
	`matmul_(plain|skinny_|skinny1|skinny2|small_tt)|attention_(forward|backward_q|backward_kv)_bf16)|_odd_|_bias|_d32_`)

// countOps runs the ops and prints what the library has counted.
func countOps(t *testing.T) {
	driver, ok := hostlib.Loaded()
	if !ok {
		t.Fatal("the process does not use the library")
	}
	for _, c := range benchCases(countedSizes) {
		runCounted(t, c)
	}
	for _, c := range moreCounted() {
		runCounted(t, c)
	}
	for _, p := range precisions {
		d := openCard(t, Options{Narrow: p.narrow})
		for _, c := range []product{{}, {tb: true}, {ta: true}, {tb: true, parts: 2}} {
			c.m, c.n, c.k, c.tile, c.parts = 256, 128, 128, largeTile, max(c.parts, 1)
			c.check(t, d)
		}
		d.Close()
	}
	driver.WriteAccesses(t, "/dev/stdout")
}
