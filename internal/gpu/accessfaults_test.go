//go:build cuda && cgo && linux && amd64

package gpu

import (
	"slices"
	"testing"
)

// TestAccessFaults: a conflict of banks, an access that is not coalesced, another pass over memory and another barrier
// are faults that name kernel and line, what is counted and what the table allows.
func TestAccessFaults(t *testing.T) {
	total := access{kernel: "k", kind: "shared read", instructions: 8, units: 20, least: 16}
	line := access{"k", "shared read", "k.cu", "x = s[i];", 4, 12, 8, 9}
	barriers := access{kernel: "k", kind: "__syncthreads", instructions: 2}
	with := func(a access, change func(a *access)) access {
		change(&a)
		return a
	}
	table := []access{total, line, barriers}
	for _, c := range []struct {
		name string
		got  []access
		want []string
	}{
		{"none", table, nil},
		{"bank conflict", []access{total, with(line, func(a *access) { a.units = 16 }), barriers},
			[]string{"k, shared read at k.cu:9 (x = s[i];): 2.00 times the least; the table allows 1.50"}},
		{"uncoalesced", append(slices.Clone(table), access{"k", "global write", "k.cu", "*p = x;", 1, 32, 4, 11}),
			[]string{"k, global write at k.cu:11 (*p = x;): 8.00 times the least; the table allows 1.00"}},
		{"another pass", []access{with(total, func(a *access) { a.instructions, a.units, a.least = 16, 40, 32 }), line,
			barriers},
			[]string{"k, shared read: 16 instructions and 40 units; the table allows 8 and 20"}},
		{"another barrier", []access{total, line, with(barriers, func(a *access) { a.instructions = 3 })},
			[]string{"k, __syncthreads: 3 instructions and 0 units; the table allows 2 and 0"}},
		{"fall", []access{total, with(line, func(a *access) { a.units = 8 }), barriers},
			[]string{"k, shared read at k.cu:9 (x = s[i];): 4 instructions and 8 units, less than the 4 and 12 of the table"}},
		{"gone", []access{total, barriers},
			[]string{"k, shared read at k.cu:9 (x = s[i];) is in the table, but was not counted"}},
		{"new kernel", append(slices.Clone(table), access{"l", "global read", "", "", 1, 4, 4, 0}),
			[]string{"l, global read is not in the table"}},
	} {
		if got := accessFaults(c.got, table); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q; want %q", c.name, got, c.want)
		}
	}
}
