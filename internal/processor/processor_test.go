package processor

import "testing"

// TestAllows: an unknown name allows what no name does, and is reported.
func TestAllows(t *testing.T) {
	defer func(v string) { newest = v }(newest)
	for _, c := range []struct {
		value                    string
		avx2, avx512, amx, known bool
	}{
		{"", true, true, false, true},
		{"amx", true, true, true, true},
		{"avx512", true, true, false, true},
		{"avx2", true, false, false, true},
		{"AVX2", true, true, false, false},
	} {
		newest = c.value
		if Allows(AVX2) != c.avx2 || Allows(AVX512) != c.avx512 || Allows(AMX) != c.amx || Known() != c.known {
			t.Errorf("%q: avx2 %t, avx512 %t, amx %t, known %t", c.value, Allows(AVX2), Allows(AVX512), Allows(AMX), Known())
		}
	}
}
