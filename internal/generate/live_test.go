package generate

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/cpu"
)

// TestLive: texts that arrive while others are continued, with several methods on one network and different sampling,
// get the tokens that each gets alone. A text whose context ends is given up. With OpenBLAS, whose sums depend on the
// rows that are multiplied together, only the ends are compared.
func TestLive(t *testing.T) {
	dev := cpu.Open[float32](2)
	g := generator(t, dev, "lor2c", adapter.Values{"rank": 4}, nil)
	base, err := adapter.Attach(dev, g.Model, adapter.Settings{Config: adapter.NewConfig("head")})
	if err != nil {
		t.Fatal(err)
	}
	methods := []adapter.Method{g.Method, base}
	drawn := Greedy()
	drawn.DoSample, drawn.Temperature = true, 1.3
	l, err := g.Live(3, 60)
	if err != nil {
		t.Fatal(err)
	}
	type done struct {
		Result
		err error
	}
	results := make([]done, 12)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	add := func(i int) *Ask {
		a := &Ask{
			Request: Request{IDs: story[:1+3*(i%4)], MaxNew: 5 + i}, Method: methods[i%2], Sampling: Greedy(), Seed: uint64(i),
			Token: func(int32) bool { return false }, Done: func(r Result, err error) { results[i] = done{r, err} },
		}
		if i%3 == 0 {
			a.Sampling = drawn
		}
		if i == 4 {
			a.Context = ctx
		}
		l.Add(a)
		return a
	}
	var asks []*Ask
	for i := range results {
		asks = append(asks, add(i))
		for range i % 3 {
			if err := l.Step(); err != nil {
				t.Fatal(err)
			}
		}
		if i == 5 {
			cancel()
		}
	}
	for l.Texts() > 0 {
		if err := l.Step(); err != nil {
			t.Fatal(err)
		}
	}
	if err := results[4].err; !errors.Is(err, ErrInterrupted) {
		t.Errorf("a text whose context has ended: %v", err)
	}
	different := false
	for i, a := range asks {
		if i == 4 {
			continue
		}
		g.Forget()
		g.Method, g.Sampling, g.Seed = a.Method, a.Sampling, a.Seed
		want, err := g.Run(context.Background(), []Request{a.Request}, 1)
		if err != nil {
			t.Fatal(err)
		}
		got := results[i]
		if got.err != nil || got.Reason == "" ||
			cpu.BLAS() != "openblas" && (!slices.Equal(got.IDs, want[0].IDs) || got.Reason != want[0].Reason) {
			t.Errorf("text %d: %v (%s), %v; alone %v (%s)", i, got.IDs, got.Reason, got.err, want[0].IDs, want[0].Reason)
		}
		different = different || i >= 4 && !slices.Equal(got.IDs[:5], results[i-4].IDs[:min(5, len(results[i-4].IDs))])
	}
	if !different {
		t.Error("all texts with the same prompt are alike; the sampling has no effect")
	}
	// The tokens of a method that is gone are not kept.
	before := len(g.blocks.texts)
	if l.Release(base); before == 0 || slices.ContainsFunc(g.blocks.texts, func(x *text) bool { return x.owner == base }) {
		t.Errorf("%d texts are left of %d", len(g.blocks.texts), before)
	}
}
