package compute_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// span is a live block of an arena.
type span struct{ off, n int64 }

// TestArena makes random requests to an arena and checks all live blocks after each.
func TestArena(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			var a compute.Arena
			var live []span
			var used, most int64
			for range 600 {
				switch {
				case rng.IntN(200) == 0:
					a.Reset()
					live, used = nil, 0
				case len(live) > 0 && rng.IntN(5) < 2:
					i := rng.IntN(len(live))
					a.Free(live[i].off, live[i].n)
					used -= units(live[i].n)
					live = append(live[:i], live[i+1:]...)
				default:
					b := span{n: []int64{0, 1, 127, 128, 129, 4096, 70_001}[rng.IntN(7)]}
					b.off = a.Alloc(b.n)
					live = append(live, b)
					used += units(b.n)
					most = max(most, used)
				}
				checkSpans(t, live, a.Peak())
			}
			if a.Peak() < most {
				t.Errorf("Peak() = %d after %d bytes were in use at once", a.Peak(), most)
			}
		})
	}
}

// units returns the size of a block for n bytes: at least one byte, so that no two tensors have the same address,
// rounded up to a multiple of Align that has at most 32 sixteenths of a power of two.
func units(n int64) int64 {
	step := int64(compute.Align)
	for n >= 32*step {
		step *= 2
	}
	if n == 0 || n%step > 0 {
		n += step - n%step
	}
	return n
}

func TestClass(t *testing.T) {
	for _, c := range []struct{ n, want int64 }{
		{0, 128}, {1, 128}, {128, 128}, {129, 256}, {2047, 2048}, {2049, 2176}, {4095, 4096}, {4097, 4352}, {8191, 8192},
		{1 << 20, 1 << 20}, {1<<20 + 1, 17 << 16}, {31<<16 + 1, 1 << 21}, {1 << 40, 1 << 40},
	} {
		if got := compute.Class(c.n); got != c.want {
			t.Errorf("Class(%d) = %d; want %d", c.n, got, c.want)
		}
	}
	last := int64(0)
	for n := int64(1); n < 1<<26; n += 1 + n/101 {
		c := compute.Class(n)
		if c < n || c%compute.Align != 0 || c-n >= max(compute.Align, n/16+1) || compute.Class(c) != c || c < last ||
			c != units(n) {
			t.Fatalf("Class(%d) = %d", n, c)
		}
		last = c
	}
}

func checkSpans(t *testing.T, live []span, peak int64) {
	t.Helper()
	for i, b := range live {
		if b.off%compute.Align != 0 {
			t.Fatalf("offset %d is not a multiple of %d", b.off, compute.Align)
		}
		if end := b.off + units(b.n); end > peak {
			t.Fatalf("a block ends at %d beyond the peak %d", end, peak)
		}
		for _, c := range live[:i] {
			if b.off < c.off+units(c.n) && c.off < b.off+units(b.n) {
				t.Fatalf("blocks overlap: %+v and %+v", b, c)
			}
		}
	}
}

func TestArenaReuse(t *testing.T) {
	var a compute.Arena
	first, second := a.Alloc(1000), a.Alloc(2000)
	a.Free(first, 1000)
	if got := a.Alloc(2000); got == first {
		t.Errorf("a block of 1000 bytes was returned for 2000")
	}
	// 1000 was rounded up to 1024.
	if got := a.Alloc(1024); got != first {
		t.Errorf("Alloc(1024) = %d; want the freed block at %d", got, first)
	}
	if got := a.Alloc(1000); got == first || got == second {
		t.Errorf("Alloc(1000) = %d, which is in use", got)
	}
	if want := int64(1024 + 2048 + 2048 + 1024); a.Peak() != want {
		t.Errorf("Peak() = %d; want %d", a.Peak(), want)
	}
}

func TestArenaReset(t *testing.T) {
	var a compute.Arena
	a.Alloc(5000)
	a.Free(a.Alloc(300), 300)
	peak := a.Peak()
	a.Reset()
	if got := a.Alloc(300); got != 0 {
		t.Errorf("Alloc(300) after Reset = %d; want 0, as in an arena that nothing was freed to", got)
	}
	if a.Peak() != peak {
		t.Errorf("Peak() = %d after Reset; want %d still", a.Peak(), peak)
	}
}
