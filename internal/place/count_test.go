package place

import "testing"

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 rows", 1: "1 row", 2: "2 rows", 1000: "1000 rows"} {
		if got := Count(n, "row", "rows"); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0.0 MiB", 1<<30 - 1<<20: "1023.0 MiB", 1 << 30: "1.0 GiB", 3 << 29: "1.5 GiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}
