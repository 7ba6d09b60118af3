package evaluate

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// Run answers the questions that have no answer yet. The error wraps generate.ErrInterrupted when ctx ends; the same
// evaluation then continues.
func (e *Evaluation) Run(ctx context.Context, g *generate.Generator) error {
	defer e.files.close()
	if g.Sampling = e.sampling; e.Watch != nil {
		e.Watch(len(e.scored), len(e.questions))
	}
	for len(e.scored) < len(e.questions) {
		part := e.questions[len(e.scored):]
		part = part[:chunk(part)]
		// A chunk draws the same random numbers and computes the same passes whenever it is computed.
		g.Seed = e.Seed + uint64(len(e.scored))<<32
		g.Forget()
		lines, err := e.answer(ctx, g, part)
		if err != nil {
			return fmt.Errorf("evaluate: %s: after %d of %d questions: %w", e.title, len(e.scored), len(e.questions), err)
		}
		if err := e.files.append(part[0].task, lines); err != nil {
			return err
		}
		if e.scored = append(e.scored, lines...); e.Watch != nil {
			e.Watch(len(e.scored), len(e.questions))
		}
	}
	return nil
}

// These bound the questions of a chunk, which is lost when an evaluation is interrupted: the fewest, which keeps a
// batch full, and the most.
const (
	fewest = 16
	most   = 64
)

// chunk returns how many of the questions belong to the first chunk: of one task, and fewer if answers are long.
func chunk(questions []question) int {
	n := most
	if tokens := questions[0].tokens; tokens > 0 {
		n = max(fewest, min(most, 2048/tokens))
	}
	for i, q := range questions[:min(n, len(questions))] {
		if q.task != questions[0].task {
			return i
		}
	}
	return min(n, len(questions))
}

// answer asks the questions of a chunk and scores the answers.
func (e *Evaluation) answer(ctx context.Context, g *generate.Generator, part []question) ([]line, error) {
	all := make([]asked, len(part))
	var queries []generate.Query
	var requests []generate.Request
	var untils [][]string
	for i, q := range part {
		a, err := q.ask()
		if err != nil {
			return nil, err
		}
		if all[i] = a; a.query.Context != nil {
			queries = append(queries, a.query)
			continue
		}
		for range e.samples {
			requests, untils = append(requests, a.request), append(untils, a.until)
		}
	}
	likelihoods, err := g.Score(ctx, queries)
	if err != nil {
		return nil, err
	}
	texts, err := e.generate(ctx, g, requests, untils)
	if err != nil {
		return nil, err
	}
	each := make([]replies, len(part))
	for i := range part {
		if all[i].query.Context != nil {
			each[i].likelihoods, likelihoods = likelihoods[0], likelihoods[1:]
			continue
		}
		each[i].texts, texts = texts[:e.samples], texts[e.samples:]
	}
	if err := e.execute(ctx, part, each); err != nil {
		return nil, err
	}
	lines := make([]line, len(part))
	for i, q := range part {
		lines[i] = q.answer(all[i], each[i])
	}
	return lines, nil
}

// generate returns the texts that the model writes, up to the first of the strings that end each.
func (e *Evaluation) generate(
	ctx context.Context, g *generate.Generator, requests []generate.Request, untils [][]string,
) ([]string, error) {
	ids := make([][]int32, len(requests))
	streams := make([]*tokenizer.Stream, len(requests))
	for i, until := range untils {
		streams[i] = e.Tokenizer.NewStream(nil, until)
	}
	g.Token = func(i int, id int32) bool {
		ids[i] = append(ids[i], id)
		streams[i].Push(id)
		return streams[i].Ends()
	}
	if _, err := g.Run(ctx, requests, e.Batch); err != nil {
		return nil, err
	}
	texts := make([]string, len(requests))
	for i := range texts {
		texts[i] = e.Tokenizer.Text(ids[i])
	}
	return texts, nil
}

// execute runs the programs of HumanEval, as many at a time as there are cores.
func (e *Evaluation) execute(ctx context.Context, part []question, each []replies) error {
	if e.Execute == nil {
		return nil
	}
	type place struct{ question, sample int }
	places := make(chan place)
	var workers sync.WaitGroup
	var once sync.Once
	var failed error
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for p := range places {
				program := e.program(part[p.question].item, each[p.question].texts[p.sample])
				outcome, err := e.Execute(ctx, program)
				if err != nil {
					once.Do(func() { failed = err })
				}
				each[p.question].outcomes[p.sample] = outcome
			}
		})
	}
	for i := range part {
		each[i].outcomes = make([]string, len(each[i].texts))
		for j := range each[i].texts {
			places <- place{i, j}
		}
	}
	close(places)
	workers.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("evaluate: %w while programs ran", generate.ErrInterrupted)
	}
	return failed
}
