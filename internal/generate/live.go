package generate

import (
	"context"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/adapter"
)

// Ask is a text to continue with one of the methods that share a network.
type Ask struct {
	Request
	Context  context.Context // the text is given up when it ends; nil means never
	Method   adapter.Method
	Sampling Sampling
	Seed     uint64 // with Number and the position of a token in its text it determines what is drawn
	Number   int
	// Token is called with every new token. It returns true to stop the text.
	Token func(id int32) (stop bool)
	// Done is called once, with the result, or with the tokens so far and the error that ended the text.
	Done func(r Result, err error)
}

// Live continues texts that arrive at any time, with any methods on one network. A pass computes the texts of one
// method. What a text gets does not depend on the others; see the comment of the package. Its methods must not be
// called at the same time.
type Live struct {
	g       *Generator
	slots   int
	waiting []*Ask
	active  []*text
}

// Live returns a Live that continues at most `slots` texts at a time, each of at most the given number of tokens.
func (g *Generator) Live(slots, tokens int) (*Live, error) {
	if err := g.Prepare(slots, tokens); err != nil {
		return nil, err
	}
	return &Live{g: g, slots: slots}, nil
}

// Add adds a text to those that wait. It must fit the length that Live was made for.
func (l *Live) Add(a *Ask) { l.waiting = append(l.waiting, a) }

// Texts returns the number of texts that wait or are continued.
func (l *Live) Texts() int { return len(l.waiting) + len(l.active) }

// Active returns the number of texts that are continued.
func (l *Live) Active() int { return len(l.active) }

// Step adds a token to each text that is continued, after it has taken texts that wait into free places.
func (l *Live) Step() error {
	l.giveUp()
	l.admit()
	var methods []adapter.Method
	for _, t := range l.active {
		if !slices.Contains(methods, t.ask.Method) {
			methods = append(methods, t.ask.Method)
		}
	}
	for _, m := range methods {
		if err := l.pass(m); err != nil {
			l.Fail(err)
			return err
		}
	}
	return nil
}

// Fail ends all texts that are continued, of which the pass may have written a part of the keys and values.
func (l *Live) Fail(err error) {
	active := l.active
	l.active = nil
	l.g.Forget()
	for _, t := range active {
		t.ask.Done(t.result, err)
	}
}

// Release forgets the keys and values of a method that will not be used again.
func (l *Live) Release(m adapter.Method) { l.g.blocks.release(m) }

// giveUp ends the texts whose contexts have ended.
func (l *Live) giveUp() {
	gone := func(a *Ask) bool { return a.Context != nil && a.Context.Err() != nil }
	l.active = slices.DeleteFunc(l.active, func(t *text) bool {
		if !gone(t.ask) {
			return false
		}
		l.end(t, fmt.Errorf("generate: %w after %d tokens", ErrInterrupted, len(t.result.IDs)))
		return true
	})
	l.waiting = slices.DeleteFunc(l.waiting, func(a *Ask) bool {
		if gone(a) {
			a.Done(Result{IDs: []int32{}}, fmt.Errorf("generate: %w before the first token", ErrInterrupted))
			return true
		}
		return false
	})
}

// admit takes texts that wait into free places. It stops at one that would make the pass too long, for which there are
// not enough blocks, or that can reuse many of the tokens that the pass computes for another.
func (l *Live) admit() {
	g, tokens := l.g, 0
	var texts []*text
	for len(l.waiting) > 0 && len(l.active)+len(texts) < l.slots {
		a := l.waiting[0]
		source, cached := g.blocks.longest(a.Method, a.IDs[:len(a.IDs)-1])
		tokens += len(a.IDs) - cached
		waits := slices.ContainsFunc(texts, func(t *text) bool {
			return t.owner == a.Method && shared(t.ids, a.IDs) >= cached+leastShared
		})
		if len(texts) > 0 && (waits || tokens > maxPrefill) {
			break
		}
		// The last token of a text is never computed.
		t := g.blocks.take(a.IDs, source, cached, len(a.IDs)+a.MaxNew-1, g.copy)
		if t == nil {
			break
		}
		t.owner, t.ask, t.result.IDs = a.Method, a, []int32{}
		texts, l.waiting = append(texts, t), l.waiting[1:]
	}
	l.active = append(l.active, texts...)
}

// pass adds a token to each text of a method.
func (l *Live) pass(m adapter.Method) error {
	g := l.g
	var texts []*text
	for _, t := range l.active {
		if t.ask.Method == m {
			texts = append(texts, t)
		}
	}
	g.Method = m
	if err := g.pass(texts); err != nil {
		return err
	}
	for i, t := range texts {
		switch {
		case g.notFinite(i):
			n := t.cached
			t.cached = 0 // no other text may use its keys and values
			l.end(t, fmt.Errorf("generate: a logit behind token %d of text %d is not finite; look at the weights of the model "+
				"and of the adapter", n, t.ask.Number))
		case g.choose(t, g.next(i, t)):
			continue
		default:
			l.end(t, nil)
		}
		l.active = slices.DeleteFunc(l.active, func(x *text) bool { return x == t })
	}
	return nil
}

// end ends a text. The caller removes it from those that are continued.
func (l *Live) end(t *text, err error) {
	l.g.blocks.finish(t)
	t.ask.Done(t.result, err)
}
