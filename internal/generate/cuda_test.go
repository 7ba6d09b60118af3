//go:build cuda && cgo && linux && amd64

package generate

import (
	"context"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/gpu"
	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

// TestGreedyCUDA continues three texts at a time on a card, or with kernels that run on the CPU, as transformers does
// in float32. In bfloat16 the tokens are the same, because the second most probable ones are much less probable.
func TestGreedyCUDA(t *testing.T) {
	if !hostlib.Under(t) {
		return
	}
	for _, narrow := range []bool{false, true} {
		dev, err := gpu.Open(gpu.Options{Narrow: narrow})
		if err != nil {
			t.Fatal(err)
		}
		defer dev.Close()
		g := generator(t, dev, "head", nil, nil)
		requests := []Request{{story[:1], 4}, {story[:17], 3}, {story[:2], 2}, {story[:40], 2}}
		results, err := g.Run(context.Background(), requests, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			n := len(requests[i].IDs)
			if want := story[n : n+requests[i].MaxNew]; !slices.Equal(r.IDs, want) {
				t.Errorf("with bfloat16 %t, text %d becomes %v; want %v", narrow, i, r.IDs, want)
			}
		}
	}
}
