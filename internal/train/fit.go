package train

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
)

// fit returns an error that wraps compute.ErrOutOfMemory if a plan needs more memory
// than the device has free. The error names the smallest changes to the run file
// with which the run would fit. fit returns nil if the device does not know how much
// memory is free.
func (s *Session) fit(on compute.Device, train, dev data, method adapter.Settings, p Plan) error {
	stats := on.Stats()
	if stats.Free == 0 || p.Total() <= stats.Free {
		return nil
	}
	return tooLarge(train, dev, p, stats, s.changes(on, train, dev, method))
}

// Change is a change to a run file with which a run would fit into memory.
type Change struct {
	Set    string `json:"set"`    // KEY=VALUE, or several of them joined by " with "
	Memory int64  `json:"memory"` // bytes that the changed run needs
}

// changes returns changes to the run file with which a run would fit into the memory
// that is free, found by planning the changed runs. Those that change the result of
// the run least come first: a smaller micro-batch has the same gradients up to
// rounding, narrower types round the base model, and shorter texts lose their ends.
func (s *Session) changes(on compute.Device, train, dev data, method adapter.Settings) (fits []Change) {
	stats := on.Stats()
	try := func(on compute.Device, train, dev data, t config.Train, what string) bool {
		c, other := *s.Config, *s
		c.Train, other.Config = t, &c
		q, err := other.plan(on, train, dev, method)
		if err != nil || q.Total() > stats.Free {
			return false
		}
		fits = append(fits, Change{what, q.Total()})
		return true
	}
	s.tryBatches(func(t config.Train, what string) bool { return try(on, train, dev, t, what) })
	if s.Config.Train.Precision == config.Float32 && !stats.Host {
		try(nulldev.Open(2), train, dev, s.Config.Train, "train.precision="+config.BFloat16)
	}
	if t := s.Config.Train; t.Quantize == config.QuantizeNone && on.ReadsNF4() && !s.Config.Method.ChangesWeights() {
		t.Quantize = config.QuantizeNF4
		try(on, train, dev, t, "train.quantize="+config.QuantizeNF4)
	}
	longest := max(train.longest(), dev.longest())
	for n := 1 << bits.Len(uint(longest-1)) / 2; n >= 8; n /= 2 {
		if try(on, train.shorter(n), dev.shorter(n), s.Config.Train, fmt.Sprintf("data.max_length=%d", n)) {
			break
		}
	}
	return fits
}

// tooLarge returns the error of fit.
func tooLarge(train, dev data, p Plan, stats compute.Stats, fits []Change) error {
	advice := "even with train.micro_batch_size 1, bfloat16 or shorter texts it does not fit; use a GPU with more memory"
	if stats.Host {
		advice = "even with train.micro_batch_size 1 or shorter texts it does not fit; " +
			"use a machine with more memory, or raise the memory limit"
	}
	if fits != nil {
		var texts []string
		for _, c := range fits[:min(2, len(fits))] {
			texts = append(texts, fmt.Sprintf("%s needs %s", c.Set, place.Bytes(c.Memory)))
		}
		advice = strings.Join(texts, ", ")
	}
	return fmt.Errorf("train: plan: %s needed for %s of up to %d tokens, %s free; %s: %w",
		place.Bytes(p.Total()), place.Count(p.Examples, "example", "examples"), max(train.longest(), dev.longest()),
		place.Bytes(stats.Free), advice, compute.ErrOutOfMemory)
}

// tryBatches calls try with smaller micro-batches, the largest first, until one fits.
// It also tries each with a smaller evaluation batch, for runs that evaluation keeps
// from fitting. A run with train.micro_batch_tokens gets fewer tokens instead, which
// bounds both.
func (s *Session) tryBatches(try func(t config.Train, what string) bool) {
	t := s.Config.Train
	if t.MicroBatchTokens > 0 {
		for n := 1 << bits.Len(uint(t.MicroBatchTokens-1)) / 2; n > 0; n /= 2 {
			t.MicroBatchTokens = n
			if try(t, fmt.Sprintf("train.micro_batch_tokens=%d", n)) {
				return
			}
		}
		return
	}
	for n := t.MicroBatchSize - 1; n > 0; n-- {
		if t.BatchSize%n != 0 {
			continue
		}
		t.MicroBatchSize = n
		if try(t, fmt.Sprintf("train.micro_batch_size=%d", n)) {
			return
		}
		if both := t; n < t.EvalBatchSize {
			both.EvalBatchSize = n
			if try(both, fmt.Sprintf("train.micro_batch_size=%d with train.eval_batch_size=%d", n, n)) {
				return
			}
		}
	}
}

// longest returns the number of tokens of the longest example.
func (d data) longest() (n int) {
	for i := range d.Len() {
		n = max(n, d.Tokens(int32(i)))
	}
	return n
}

// shorter returns data with the lengths of d's examples truncated to n tokens, and
// without tokens. It is only good for planning.
func (d data) shorter(n int) data {
	e := &dataset.Encoded{Cu: make([]int64, 1, len(d.Cu))}
	for i := range d.Len() {
		e.Cu = append(e.Cu, e.Cu[i]+min(int64(n), d.Cu[i+1]-d.Cu[i]))
	}
	return data{Encoded: e, split: d.split}
}
