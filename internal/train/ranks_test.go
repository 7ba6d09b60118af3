package train

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/group"
	"github.com/lor2c/lor2c/internal/group/grouptest"
	"github.com/lor2c/lor2c/internal/place"
)

// runRanks trains c on a number of ranks and returns their errors. change, if not nil, changes the options of a rank.
func runRanks(c *config.Config, ranks int,
	change func(rank int, ctx context.Context, o *Options) context.Context) []error {
	errs := make([]error, ranks)
	var all sync.WaitGroup
	for rank, g := range grouptest.New(ranks) {
		all.Go(func() {
			own := *c
			o, ctx := quiet(1), context.Background()
			o.Group = g
			if change != nil {
				ctx = change(rank, ctx, &o)
			}
			if _, errs[rank] = Run(ctx, &own, o); errs[rank] != nil && !errors.Is(errs[rank], ErrInterrupted) {
				g.Abort(1)
			}
		})
	}
	all.Wait()
	return errs
}

// eventful returns the configuration of a short run with four micro-batches in a step. The structure of lor2c changes
// during it, and for other methods the last step of an epoch has fewer micro-batches.
func eventful(t *testing.T, method string) *config.Config {
	t.Helper()
	c := eventConfig(t, t.TempDir())
	c.Train.MicroBatchSize, c.Train.KeepCheckpoints = 2, 2
	c.Schedule.WhatIf = 16
	if method != c.Method.Name() {
		c = demoConfig(t, t.TempDir(), 36)
		c.Method, c.Train.MicroBatchSize = adapter.NewConfig(method), 2
	}
	c.Resolve()
	return c
}

// TestRanks: one to four ranks write the same bytes as one process, also where merges, injections and what-if trials
// depend on what all ranks have computed, and ranks other than 0 write nothing.
func TestRanks(t *testing.T) {
	for _, method := range []string{"lor2c", "lora", "adalora"} {
		t.Run("method="+method, func(t *testing.T) {
			onlyLong(t, method != "lor2c")
			c := eventful(t, method)
			dir := filepath.Dir(c.Out)
			if _, err := Run(context.Background(), c, quiet(1)); err != nil {
				t.Fatal(err)
			}
			want := contents(t, c.Out)
			if method == "lor2c" && len(events(t, c.Out)) < 2 {
				t.Error("the run has no merge, which the test is about")
			}
			for ranks := 2; ranks <= 4; ranks++ {
				c.Out = filepath.Join(dir, fmt.Sprint(ranks))
				if err := errors.Join(runRanks(c, ranks, nil)...); err != nil {
					t.Fatalf("%d ranks: %v", ranks, err)
				}
				sameFiles(t, contents(t, c.Out), want)
			}
		})
	}
}

// TestRanksResume: a run that is interrupted on one rank stops on all after the same step, and continues on another
// number of ranks to the bytes of a run that was not interrupted.
func TestRanksResume(t *testing.T) {
	c := eventful(t, "lor2c")
	if _, err := Run(context.Background(), c, quiet(1)); err != nil {
		t.Fatal(err)
	}
	want := contents(t, c.Out)
	c.Out = filepath.Join(filepath.Dir(c.Out), "interrupted")
	for i := 0; ; i++ {
		errs := runRanks(c, []int{2, 3, 1, 4}[i%4], func(rank int, ctx context.Context, o *Options) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			t.Cleanup(cancel)
			if rank == o.Group.Size()-1 {
				o.Began = cancel
			}
			return ctx
		})
		if errors.Join(errs...) == nil {
			break
		}
		for rank, err := range errs {
			if !errors.Is(err, ErrInterrupted) {
				t.Fatalf("rank %d of %d: %v; want it interrupted", rank, len(errs), err)
			}
		}
	}
	sameFiles(t, contents(t, c.Out), want)
}

// TestRanksSum: with train.reduce sum the ranks agree with each other, and with one process up to rounding.
func TestRanksSum(t *testing.T) {
	c := eventful(t, "lora")
	c.Train.Reduce = config.ReduceSum
	one, err := Run(context.Background(), c, quiet(1))
	if err != nil {
		t.Fatal(err)
	}
	c.Out += "-ranks"
	losses := make([]float64, 3)
	var all sync.WaitGroup
	for rank, g := range grouptest.New(len(losses)) {
		all.Go(func() {
			own, o := *c, quiet(1)
			o.Group = g
			got, err := Run(context.Background(), &own, o)
			if err != nil {
				t.Error(err)
				g.Abort(1)
				return
			}
			losses[rank] = got.Dev.Loss
		})
	}
	all.Wait()
	for rank, loss := range losses {
		if loss != losses[0] || loss < one.Dev.Loss*0.99 || loss > one.Dev.Loss*1.01 {
			t.Errorf("rank %d: the loss is %g; want %g of rank 0, within 1 %% of %g of one process", rank, loss, losses[0],
				one.Dev.Loss)
		}
	}
}

// otherSum is a group of which this rank reads one wrong sum.
type otherSum struct {
	group.Group
	calls *int
}

func (o otherSum) Broadcast(data []byte) error {
	err := o.Group.Broadcast(data)
	if *o.calls++; *o.calls == 4 {
		for i := 3; i < len(data); i += 4 {
			data[i] ^= 0x80 // the sign
		}
	}
	return err
}

// TestRanksDiverge: a rank whose parameters differ stops the run before they are saved.
func TestRanksDiverge(t *testing.T) {
	c := eventful(t, "lora")
	errs := runRanks(c, 3, func(rank int, ctx context.Context, o *Options) context.Context {
		if rank == 2 {
			o.Group = otherSum{o.Group, new(int)}
		}
		return ctx
	})
	if want := "rank 2 has other parameters than rank 0"; errs[0] == nil || !strings.Contains(errs[0].Error(), want) {
		t.Errorf("errors %v; want one of rank 0 with %q", errs, want)
	}
	if names := contents(t, c.Out); slices.ContainsFunc(keys(names), func(n string) bool {
		return strings.HasPrefix(n, checkpointPrefix)
	}) {
		t.Errorf("the run has saved a checkpoint: %q", keys(names))
	}
}

func keys(m map[string]string) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	return names
}

// TestRanksTooMany: more ranks than a step has micro-batches are a mistake, and the error names what would do.
func TestRanksTooMany(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 16)
	for rank, err := range runRanks(c, 2, nil) {
		want := "a step has 1 micro-batch; want a train.micro_batch_size of at most 4"
		if !place.IsMistake(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("rank %d: %v; want a mistake with %q", rank, err, want)
		}
	}
}

// TestDeal: ranks get equally many tokens within 1 % where each has 64 examples of the lengths of MRPC, in
// micro-batches of 8.
func TestDeal(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	for _, ranks := range []int{2, 3, 4, 8, 100} {
		worst := 0.0
		for range 20 {
			tokens := make([]int, ranks*8)
			total := 0
			for i := range tokens {
				for range 8 {
					// Two sentences of MRPC have 53 tokens of RoBERTa, with a standard deviation of 13, and at least 17.
					tokens[i] += max(17, int(53+13*draw.NormFloat64()))
				}
				total += tokens[i]
			}
			load := make([]int, ranks)
			for i, rank := range deal(tokens, ranks) {
				load[rank] += tokens[i]
			}
			worst = max(worst, float64(slices.Max(load))*float64(ranks)/float64(total)-1)
		}
		t.Logf("%d ranks: the fullest has %.2f %% more tokens than the mean", ranks, 100*worst)
		if worst > 0.01 {
			t.Errorf("%d ranks: the fullest has %.2f %% more tokens than the mean; want at most 1 %%", ranks, 100*worst)
		}
	}
}
