package tape

import (
	"fmt"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
)

// TestLMHead checks that the loss does not depend on how many tokens have logits at a time, and compares the gradient
// with finite differences.
func TestLMHead(t *testing.T) {
	labels := []int32{0, 4, -100, 1, 2, -100, 3}
	for _, rows := range []int{1, 3, n, 100} {
		t.Run(fmt.Sprintf("rows=%d", rows), func(t *testing.T) {
			subsets(t, []string{"x", "w"}, func(t *testing.T, frozen []string) {
				chunked := func(g *gradient) *Var {
					g.LMHead(g.loss, g.x("x", n, c), g.p("w", m, c), g.ints(labels...), 1.0/5, rows, g.weights())
					return nil
				}
				g := newGradient(t)
				g.check(chunked, frozen...)
				got, _ := g.run(chunked)
				want, _ := g.run(func(g *gradient) *Var {
					g.CrossEntropy(
						g.loss, g.Linear(g.x("x", n, c), g.p("w", m, c), nil, compute.Identity), g.ints(labels...), 1.0/5, g.weights(),
					)
					return nil
				})
				if !(got-want <= 1e-14 && want-got <= 1e-14) || want == 0 {
					t.Errorf("loss %v; want %v", got, want)
				}
			})
		})
	}
}

// TestLMHeadMemory checks that the arena never has the logits of more than a few tokens.
func TestLMHeadMemory(t *testing.T) {
	const tokens, vocabulary = 512, 1000
	dev := cpu.Open[float32](1)
	h, w := dev.Alloc(compute.Shape{tokens, 8}, compute.Working), &Param{
		Value: dev.Alloc(compute.Shape{vocabulary, 8}, compute.Working),
	}
	loss, labels := dev.Alloc(compute.Shape{1}, compute.Exact), dev.Alloc(compute.Shape{tokens}, compute.Int)
	p := &Tape{Dev: dev, Train: true}
	p.LMHead(loss, p.Const(h), w, labels, 1, 16, compute.CrossEntropyOpts{})
	if got, most := dev.Stats().ArenaPeak, int64(16*vocabulary*4*17/16+compute.Align); got > most || got == 0 {
		t.Errorf("%d bytes of the arena were used; want at most %d", got, most)
	}
}

// TestLMLosses: the sum of the losses of examples is the loss of all, however
// many rows have logits at a time. An example without rows has no loss.
func TestLMLosses(t *testing.T) {
	labels := []int32{0, 4, 3, 1, 2, 2, 3}
	for _, rows := range []int{1, 2, 3, n, 100} {
		t.Run(fmt.Sprintf("rows=%d", rows), func(t *testing.T) {
			g := newGradient(t)
			dev := g.dev
			each := dev.Alloc(compute.Shape{4}, compute.Exact)
			g.run(func(g *gradient) *Var {
				g.LMLosses(each, g.x("x", n, c), g.p("w", m, c), g.ints(labels...), []int{3, 3, 4, n}, rows)
				return nil
			})
			var want [4]float64
			for i, span := range [][2]int{{0, 3}, {0, 0}, {3, 4}, {4, n}} {
				if span[0] == span[1] {
					continue
				}
				want[i], _ = g.run(func(g *gradient) *Var {
					h := g.x("x", n, c)
					part := &Var{Value: h.Value.View(span[0], span[1])}
					g.LMHead(g.loss, part, g.p("w", m, c), g.ints(labels[span[0]:span[1]]...), 1, 100, compute.CrossEntropyOpts{})
					return nil
				})
			}
			for i, got := range cpu.Data[float64](each) {
				if !(got-want[i] <= 1e-13 && want[i]-got <= 1e-13) {
					t.Errorf("example %d has loss %v; want %v", i, got, want[i])
				}
			}
		})
	}
}
