package generate

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// logProbability returns the log-probability of the tokens of text after the first n, from one pass over all of it.
func logProbability(g *Generator, text []int32, n int) (sum float64) {
	g.Dev.Reset()
	b := model.Batch{IDs: text, Cu: []int32{0, int32(len(text))}}
	p := g.Model.NewPass(&tape.Tape{Dev: g.Dev}, b, g.Method.Hook(adapter.At{}))
	logits := cpu.Data[float64](p.Linear(g.Model.Forward(p), g.Model.Vocabulary(), nil, compute.Identity).Value)
	for i := n; i < len(text); i++ {
		row := logits[(i-1)*g.Model.Vocab : i*g.Model.Vocab]
		total := 0.0
		for _, x := range row {
			total += math.Exp(x)
		}
		sum += row[text[i]] - math.Log(total)
	}
	return sum
}

// TestScore: log-likelihoods that share the beginnings of texts are those of a pass over each text alone, for
// continuations of one token and of several, also after texts were generated with the same cache.
func TestScore(t *testing.T) {
	for _, c := range adapted {
		t.Run("method="+c.name, func(t *testing.T) {
			g := generator(t, cpu.Open[float64](1), c.method, c.values, c.change)
			other := slices.Concat(story[:20], []int32{300, 301, 302})
			queries := []Query{
				{story[:30], [][]int32{{300}, {301}, story[30:31]}},
				{story[:34], [][]int32{story[34:40], {300, 301}, {302}}},
				{story[:34], [][]int32{{7}}},
				{other, [][]int32{{300}, story[20:25]}},
				{story[:1], [][]int32{story[1:40]}},
			}
			if _, err := g.Run(context.Background(), []Request{{story[:25], 4}}, 1); err != nil {
				t.Fatal(err)
			}
			results, err := g.Score(context.Background(), queries)
			if err != nil {
				t.Fatal(err)
			}
			for i, q := range queries {
				for j, next := range q.Continuations {
					want := logProbability(g, slices.Concat(q.Context, next), len(q.Context))
					if got := results[i][j]; !(math.Abs(got-want) < 1e-5*(1+math.Abs(want))) {
						t.Errorf("continuation %d of query %d has %v; want %v", j, i, got, want)
					}
				}
			}
		})
	}
}

// TestScoreShares: the examples in front of 30 questions are computed once.
func TestScoreShares(t *testing.T) {
	g := generator(t, cpu.Open[float32](1), "head", nil, nil)
	var queries []Query
	alone := 0
	for i := range 30 {
		q := slices.Concat(story[:50], []int32{int32(270 + i), 300})
		queries = append(queries, Query{q, [][]int32{{7}, {8}, {9}, {10}}})
		alone += len(q)
	}
	if _, err := g.Score(context.Background(), queries); err != nil {
		t.Fatal(err)
	}
	if want := 50 + 2*len(queries); g.Passed() != want {
		t.Errorf("%d tokens were computed; want %d, and %d without sharing", g.Passed(), want, alone)
	}
}

// TestRunShares: for a text that begins like an earlier one only the rest is computed, and its continuation does not
// change.
func TestRunShares(t *testing.T) {
	g := generator(t, cpu.Open[float64](1), "lora", adapter.Values{"target_modules": []string{"q_proj", "v_proj"}}, nil)
	requests := []Request{{story[:40], 8}, {story[:41], 8}, {story[:12], 8}}
	var alone []Result
	for _, r := range requests {
		fresh := generator(t, cpu.Open[float64](1), "lora", adapter.Values{"target_modules": []string{"q_proj", "v_proj"}},
			nil)
		one, err := fresh.Run(context.Background(), []Request{r}, 1)
		if err != nil {
			t.Fatal(err)
		}
		alone = append(alone, one...)
	}
	results, err := g.Run(context.Background(), requests, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range results {
		if !slices.Equal(results[i].IDs, alone[i].IDs) {
			t.Errorf("text %d becomes %v; alone %v", i, results[i].IDs, alone[i].IDs)
		}
	}
	// Of the prompts, 40, 1 and 1 tokens are computed, and then each of the new tokens but the last.
	if want := 42 + 3*7; g.Passed() != want {
		t.Errorf("%d tokens were computed; want %d", g.Passed(), want)
	}
}

// TestScoreFaults: a query without tokens is refused, and an interrupt returns what is done.
func TestScoreFaults(t *testing.T) {
	g := generator(t, cpu.Open[float32](1), "head", nil, nil)
	for want, q := range map[string]Query{
		"a context of 0 tokens":     {nil, [][]int32{{1}}},
		"and 0 continuations":       {story[:2], nil},
		"at least one token in":     {story[:2], [][]int32{{}}},
		"has 130 tokens; want at m": {make([]int32, 129), [][]int32{{1, 2}}},
	} {
		if _, err := g.Score(context.Background(), []Query{q}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v; want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := g.Score(ctx, []Query{{story[:2], [][]int32{{1}}}}); !errors.Is(err, ErrInterrupted) {
		t.Errorf("error is %v", err)
	}
}
