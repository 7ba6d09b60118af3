package dataset

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOrderGolden compares with orders from scripts/golden_dataset.py, which
// implements the generator and the shuffle in integer arithmetic.
func TestOrderGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/order.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Seed     uint64
		Epoch, N int
		Order    []int32
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 6 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		if d := cmp.Diff(c.Order, Order(c.Seed, c.Epoch, c.N)); d != "" {
			t.Errorf("seed %d epoch %d n %d: %s", c.Seed, c.Epoch, c.N, d)
		}
	}
}

// TestOrderIsUniform: over many epochs, every arrangement of four examples is
// equally frequent. Chi-square with 23 degrees of freedom exceeds 49.7 once in
// a thousand.
func TestOrderIsUniform(t *testing.T) {
	const epochs = 24000
	seen := map[[4]int32]float64{}
	for epoch := range epochs {
		order := Order(17, epoch, 4)
		seen[[4]int32(order)]++
		slices.Sort(order)
		if !slices.Equal(order, []int32{0, 1, 2, 3}) {
			t.Fatalf("epoch %d: %v is not a permutation", epoch, order)
		}
	}
	chi := 0.0
	for _, count := range seen {
		chi += math.Pow(count-epochs/24, 2) / (epochs / 24)
	}
	if len(seen) != 24 || chi > 49.7 {
		t.Errorf("%d arrangements, chi-square %.1f", len(seen), chi)
	}
}

func TestOrderSizes(t *testing.T) {
	if got := Order(1, 1, 0); len(got) != 0 {
		t.Errorf("order of nothing: %v", got)
	}
	defer func() {
		e, ok := recover().(SizeError)
		if want := "dataset: order examples: count -1; want 0 to 2147483647"; !ok || e.Error() != want {
			t.Errorf("panic value %v; want %s", e, want)
		}
	}()
	Order(1, 1, -1)
}
