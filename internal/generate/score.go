package generate

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// Query is a text with several continuations of it.
type Query struct {
	Context       []int32   // at least one token
	Continuations [][]int32 // each has at least one token
}

// Tokens returns how many tokens a pass computes at most for the query: all but the last of the context with its
// longest continuation.
func (q Query) Tokens() (n int) {
	for _, c := range q.Continuations {
		n = max(n, len(q.Context)+len(c)-1)
	}
	return n
}

// Score returns the natural logarithm of the probability of each continuation of each query, summed over its tokens.
//
// Keys and values of the tokens that a query shares with the one before it are kept, so queries with a common beginning
// should follow each other. In a causal network they depend only on these tokens, so the result is the same as if each
// query were computed as a whole. The error wraps ErrInterrupted, with the results so far, when ctx ends.
func (g *Generator) Score(ctx context.Context, queries []Query) (results [][]float64, err error) {
	longest := 0
	for i, q := range queries {
		if len(q.Context) == 0 || len(q.Continuations) == 0 ||
			slices.ContainsFunc(q.Continuations, func(c []int32) bool { return len(c) == 0 }) {
			return nil, fmt.Errorf("generate: query %d has a context of %d tokens and %d continuations; want at least one "+
				"token in each and one continuation", i, len(q.Context), len(q.Continuations))
		}
		longest = max(longest, q.Tokens())
	}
	if len(queries) == 0 {
		return nil, nil
	}
	if err := g.Prepare(1, longest); err != nil {
		return nil, err
	}
	for i, q := range queries {
		if ctx.Err() != nil {
			return results, fmt.Errorf("generate: %w after %d of %d texts", ErrInterrupted, i, len(queries))
		}
		sums, err := g.score(q)
		if err != nil {
			return results, err
		}
		for j, sum := range sums {
			if math.IsNaN(sum) || math.IsInf(sum, 0) {
				return results, fmt.Errorf("generate: the log-likelihood of continuation %d of text %d is not finite; look at the "+
					"weights of the model and of the adapter", j, i)
			}
		}
		results = append(results, sums)
	}
	return results, nil
}

// score returns the log-probabilities of the continuations of q. If each is a single token, one pass gives all.
func (g *Generator) score(q Query) ([]float64, error) {
	single := !slices.ContainsFunc(q.Continuations, func(c []int32) bool { return len(c) != 1 })
	if single {
		return g.follow(q.Context, len(q.Context)-1, q.Continuations)
	}
	var sums []float64
	for _, c := range q.Continuations {
		one, err := g.follow(slices.Concat(q.Context, c[:len(c)-1]), len(q.Context)-1, [][]int32{c})
		if err != nil {
			return nil, err
		}
		sums = append(sums, one...)
	}
	return sums, nil
}

// follow computes text and returns the log-probabilities of continuations: either of one that follows row `from` and
// the rows behind it, or of several tokens that follow the last row.
func (g *Generator) follow(text []int32, from int, continuations [][]int32) (results []float64, err error) {
	source, cached := g.blocks.longest(g.Method, text[:from])
	t := g.blocks.take(text, source, cached, len(text), g.copy)
	t.owner = g.Method
	b := model.Batch{
		IDs: text[t.cached:], Cu: []int32{0, int32(len(text) - t.cached)},
		Continue: &model.Continuation{Cache: g.cache, Tables: [][]int32{t.blocks}, Past: []int{t.cached}},
	}
	for row := from; row < len(text); row++ {
		b.Read = append(b.Read, int32(row-t.cached))
	}
	t.cached = len(text)
	defer func() {
		if err != nil {
			g.Forget()
			return
		}
		g.blocks.finish(t)
	}()
	p, out, err := g.forward(b)
	if err != nil {
		return nil, err
	}
	var labels []int32
	var ends []int
	for _, c := range continuations {
		labels, ends = append(labels, c...), append(ends, len(labels)+len(c))
	}
	if n := len(labels); n > len(b.Read) { // one row predicts several tokens
		out = p.Gather(out, g.ints(make([]int32, n)))
	}
	sums := g.Dev.Temp(compute.Shape{len(ends)}, compute.Exact)
	g.Dev.Fill(sums, 0)
	p.LMLosses(sums, out, g.Model.Vocabulary(), g.ints(labels), ends, tape.LogitRows(g.Model.Vocab))
	losses := make([]float32, len(ends))
	g.Dev.Download(losses, sums)
	results = make([]float64, len(ends))
	for i, l := range losses {
		results[i] = -float64(l)
	}
	return results, g.Dev.Err()
}

// ints uploads integers for one pass.
func (g *Generator) ints(values []int32) compute.Tensor {
	t := g.Dev.Temp(compute.Shape{len(values)}, compute.Int)
	g.Dev.UploadInts(t, values)
	return t
}
