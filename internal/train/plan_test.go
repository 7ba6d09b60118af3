package train

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
)

// TestFullest compares the fullest micro-batch with all micro-batches of a run.
// For very many epochs the plan is an upper bound that does not visit their
// batches.
func TestFullest(t *testing.T) {
	for _, tokens := range []int{0, 200} {
		t.Run(fmt.Sprintf("micro_batch_tokens=%d", tokens), func(t *testing.T) { testFullest(t, tokens) })
	}
}

func testFullest(t *testing.T, limit int) {
	t.Helper()
	draw := rand.New(rand.NewPCG(1, 2))
	e := &dataset.Encoded{Cu: []int64{0}}
	for range 1001 {
		e.Cu = append(e.Cu, e.Cu[len(e.Cu)-1]+2+draw.Int64N(60))
	}
	n := e.Cu[len(e.Cu)-1]
	e.IDs, e.TypeIDs, e.Labels = make([]int32, n), make([]int32, n), make([]float32, e.Len())
	d := data{Encoded: e}
	s := &Session{Config: &config.Config{Train: config.Train{Epochs: 4, BatchSize: 24, MicroBatchSize: 8,
		MicroBatchTokens: limit, ExtendEpochs: []int{2, 1}}}}
	s.source = texts{s}
	taken := func(epochs int) (tokens, examples int) {
		for step := 1; step <= epochs*stepsPerEpoch(d.Len(), 24); step++ {
			for _, b := range d.micro(s.step(d.Len(), step), s.Config.Train) {
				tokens, examples = max(tokens, int(b.Cu[len(b.Cu)-1])), max(examples, len(b.Cu)-1)
			}
		}
		return tokens, examples
	}
	tokens, examples := taken(7)
	for first, _ := taken(6); limit == 0 && first == tokens; first, _ = taken(6) {
		s.Config.Seed++ // until the fullest micro-batch is in the last epoch
		tokens, examples = taken(7)
	}
	if n, b := s.fullest(d); n != tokens || b != examples {
		t.Errorf("planned %d tokens of %d examples; the run has %d of %d", n, b, tokens, examples)
	}
	bound, b := s.longestMicro(d)
	most := 8 * 61
	if limit > 0 {
		most = limit
	}
	if bound < tokens || bound > most || b != 8 {
		t.Errorf("the longest %d examples have %d tokens; the run has %d", b, bound, tokens)
	}
	s.Config.Train.Epochs = 100_000
	if n, b := s.fullest(d); n != bound || b != 8 {
		t.Errorf("planned %d tokens of %d examples for many epochs; want %d of 8", n, b, bound)
	}
}

// rings records the number of rows of allocations that have the width of
// reports.
type rings struct {
	compute.Device
	rows []int
}

func (r *rings) Alloc(s compute.Shape, d compute.DType) tensor {
	if len(s) == 2 && s[1] == ringWidth {
		r.rows = append(r.rows, s[0])
	}
	return r.Device.Alloc(s, d)
}

// TestRing: memory for reports is allocated for the steps between two
// read-backs, and at most for the steps of the run, whatever train.log_every
// is.
func TestRing(t *testing.T) {
	for _, tt := range []struct{ every, rows int }{{1_000_000, 6}, {6, 6}, {3, 3}} {
		t.Run(fmt.Sprintf("log_every=%d", tt.every), func(t *testing.T) {
			c := demoConfig(t, t.TempDir(), 16) // 2 steps per epoch
			c.Train.Epochs, c.Train.ExtendEpochs, c.Train.LogEvery, c.Train.SaveEvery = 2, []int{1}, tt.every, 0
			r := &rings{Device: cpu.Open[float32](1)}
			o := quiet(1)
			o.Device = r
			if _, err := Run(context.Background(), c, o); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(r.rows) != fmt.Sprint([]int{tt.rows}) {
				t.Errorf("rings have %v rows; want one of %d", r.rows, tt.rows)
			}
		})
	}
}
