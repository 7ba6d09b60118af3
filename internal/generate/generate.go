// Package generate continues texts token by token with a decoder and a fine-tuning method.
//
// Keys and values of the tokens so far are kept in blocks, so that a pass computes the new tokens alone. Several texts
// are continued at a time: one that is finished gives its place to the next. A text that begins like another one uses
// the keys and values of that start. The continuation of a text does not depend on the other texts, to the bit, if a
// row of a product has the same bits on the device whatever the number of rows.
package generate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// ErrInterrupted is wrapped by the error of a Run whose context ended.
var ErrInterrupted = errors.New("interrupted")

// Reason is the reason for which a text ended.
type Reason string

// The reasons.
const (
	EndOfText Reason = "eos"    // the model ended it
	Stopped   Reason = "stop"   // the caller did, for example at a stop string
	Length    Reason = "length" // it has as many new tokens as were asked for
)

// Request is a text to continue.
type Request struct {
	IDs    []int32 // the tokens of the prompt, at least one
	MaxNew int     // the most new tokens
}

// Result is how a request was continued.
type Result struct {
	IDs    []int32 // the new tokens, without the one that ends the text
	Reason Reason
}

// Generator continues texts with one network and one method on a device.
type Generator struct {
	Dev    compute.Device
	Model  *model.Decoder
	Method adapter.Method
	// EOS lists the tokens that end a text.
	EOS []int32
	// Seed and the position of a token in its text determine what is drawn for it.
	Seed     uint64
	Sampling Sampling
	// Token, if it is set, is called with every new token. It returns true to stop the text.
	Token func(request int, id int32) (stop bool)
	// Done, if it is set, is called with the result of each request as soon as it is finished.
	Done func(request int, r Result)

	cache   *model.Cache
	blocks  *blocks // of the cache
	sampler sampler
	logits  []float32 // of the rows that the last pass read, unless best has what is needed of them
	best    []float32 // of each of these rows the most probable token, if that is all that is needed
	passed  int       // tokens that passes have computed
	most    int       // the most blocks of a cache that memory has room for; 0 if unknown
}

// Passed returns the number of tokens that all passes so far have computed. Tokens that a text shares with one before
// it are not computed again.
func (g *Generator) Passed() int { return g.passed }

// Prepare allocates a cache for texts of at most the given number of tokens, `slots` of them at a time, or as many as
// memory has room for. Without it, a run allocates what it needs itself. If there is no room for one text, it returns
// an error that wraps compute.ErrOutOfMemory.
func (g *Generator) Prepare(slots, tokens int) error {
	most := model.CacheBlocks(g.Model.LeadRows() + tokens)
	n := max(most, min(slots*most, cmp.Or(g.most, slots*most)))
	if g.cache != nil && g.cache.Blocks >= n && g.cache.Most >= most {
		return nil
	}
	if g.cache != nil {
		g.cache.Free(g.Dev)
		g.cache = nil
	}
	if free, block := g.Dev.Stats().Free, g.Model.CacheBytes(g.Dev); free > 0 && int64(n)*block > free {
		if n = int(free / block); n < most {
			return fmt.Errorf("generate: allocate keys and values: %s needed for one text of %d tokens, %s free; shorten the "+
				"texts, or use a device with more memory: %w", mib(int64(most)*block), tokens, mib(free), compute.ErrOutOfMemory)
		}
		g.most = n // a later run with the same texts keeps the cache
	}
	g.cache = g.Model.NewCache(g.Dev, n, most)
	g.Forget()
	return g.Dev.Err()
}

// Forget empties the cache, so that all tokens of the next text are computed, whatever texts were before it.
func (g *Generator) Forget() {
	if g.cache != nil {
		g.blocks = newBlocks(g.cache.Blocks)
		g.blocks.lead = g.cache.Lead
	}
}

// Run continues all requests, at most `slots` at a time, and returns their results in the same order. It returns an
// error if a request does not fit the network, and one that wraps ErrInterrupted, with the results so far, when ctx
// ends. What is in the cache stays there for a later Run; the weights must not change in between.
func (g *Generator) Run(ctx context.Context, requests []Request, slots int) ([]Result, error) {
	longest := 0
	for i, r := range requests {
		if len(r.IDs) == 0 || r.MaxNew < 1 {
			return nil, fmt.Errorf("generate: text %d has %d tokens, and %d new ones are wanted; want at least 1 of each",
				i, len(r.IDs), r.MaxNew)
		}
		longest = max(longest, len(r.IDs)+r.MaxNew)
	}
	results := make([]Result, len(requests))
	for i := range results {
		results[i].IDs = []int32{}
	}
	if len(requests) == 0 {
		return results, nil
	}
	l, err := g.Live(max(1, min(slots, len(requests))), longest)
	if err != nil {
		return results, err
	}
	defer func() {
		for _, t := range l.active {
			results[t.ask.Number] = t.result
			g.blocks.finish(t)
		}
	}()
	var failed error
	for i, r := range requests {
		l.Add(&Ask{
			Request: r, Method: g.Method, Sampling: g.Sampling, Seed: g.Seed, Number: i,
			Token: func(id int32) bool { return g.Token != nil && g.Token(i, id) },
			Done: func(r Result, err error) {
				if results[i] = r; err != nil {
					failed = cmp.Or(failed, err)
				} else if g.Done != nil {
					g.Done(i, r)
				}
			},
		})
	}
	for l.Texts() > 0 {
		if ctx.Err() != nil {
			return results, fmt.Errorf("generate: %w after %d of %d texts", ErrInterrupted, len(requests)-l.Texts(),
				len(requests))
		}
		if err := l.Step(); err != nil {
			return results, err
		}
		if failed != nil {
			return results, failed
		}
	}
	return results, nil
}

// copy copies the first rows of a block of the cache to another one.
func (g *Generator) copy(to, from int32, rows int) { g.cache.Copy(g.Dev, to, from, rows) }

// pass computes the tokens of each text that are not in the cache, and the logits behind the last or, if it is known
// that the most probable token will be chosen, that token.
func (g *Generator) pass(texts []*text) error {
	b := model.Batch{Cu: []int32{0}, Continue: &model.Continuation{Cache: g.cache}}
	for _, t := range texts {
		b.IDs = append(b.IDs, t.ids[t.cached:]...)
		b.Cu, b.Read = append(b.Cu, int32(len(b.IDs))), append(b.Read, int32(len(b.IDs)-1))
		b.Continue.Tables, b.Continue.Past = append(b.Continue.Tables, t.blocks), append(b.Continue.Past, t.cached)
		t.cached = len(t.ids)
	}
	p, out, err := g.forward(b)
	if err != nil {
		return err
	}
	logits := p.Linear(out, g.Model.Vocabulary(), nil, compute.Identity)
	g.logits, g.best = g.logits[:0], g.best[:0]
	if !slices.ContainsFunc(texts, func(t *text) bool { return t.ask == nil || !t.ask.Sampling.mostProbable() }) {
		best := g.Dev.Temp(compute.Shape{len(texts)}, compute.Exact)
		g.Dev.ArgMax(best, logits.Value)
		g.best = slices.Grow(g.best, len(texts))[:len(texts)]
		g.Dev.Download(g.best, best)
	} else {
		n := len(texts) * g.Model.Vocab
		g.logits = slices.Grow(g.logits, n)[:n]
		g.Dev.Download(g.logits, logits.Value)
	}
	return g.Dev.Err()
}

// notFinite reports whether a logit of text i of the last pass is not a number.
func (g *Generator) notFinite(i int) bool {
	if len(g.best) > 0 {
		return g.best[i] < 0
	}
	v := g.Model.Vocab
	return slices.ContainsFunc(g.logits[i*v:(i+1)*v], func(x float32) bool { return x != x })
}

// next returns the token that follows t, which is text i of the last pass.
func (g *Generator) next(i int, t *text) int32 {
	if len(g.best) > 0 {
		return int32(g.best[i])
	}
	v := g.Model.Vocab
	g.sampler.Sampling = t.ask.Sampling
	return g.sampler.next(g.logits[i*v:(i+1)*v], t.ids, draw(t.ask.Seed, t.ask.Number, len(t.ids)))
}

// forward computes the new tokens of b and returns the output at the rows that it reads.
func (g *Generator) forward(b model.Batch) (*model.Pass, *tape.Var, error) {
	if err := g.Model.Check(b); err != nil {
		return nil, nil, err
	}
	g.Dev.Reset()
	at := adapter.At{Seed: g.Seed}
	g.Method.Begin(at)
	p := g.Model.NewPass(&tape.Tape{Dev: g.Dev}, b, g.Method.Hook(at))
	out := g.Model.Forward(p)
	if p.Extended() {
		return nil, nil, errors.New("generate: the method adds keys and values of its own, which generation cannot keep; " +
			"use an adapter of another method")
	}
	g.passed += len(b.IDs)
	return p, out, nil
}

// choose adds the next token to t and reports whether the text goes on.
func (g *Generator) choose(t *text, id int32) (goes bool) {
	if slices.Contains(g.EOS, id) {
		t.result.Reason = EndOfText
		return false
	}
	t.ids, t.result.IDs = append(t.ids, id), append(t.result.IDs, id)
	switch {
	case t.ask.Token(id):
		t.result.Reason = Stopped
	case len(t.ids)-t.prompt >= t.ask.MaxNew:
		t.result.Reason = Length
	default:
		return true
	}
	return false
}
