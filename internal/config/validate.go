package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
)

// Validate returns every fault that can be found without opening a file. Each
// begins with its key.
func (c *Config) Validate() (faults []error) {
	need := func(key, value, what string) {
		if value == "" {
			faults = append(faults, fmt.Errorf("%s: is empty; want %s", key, what))
		}
	}
	need("model", c.Model, "the Hugging Face directory of the base model")
	faults = append(faults, c.Data.Validate()...)
	faults = append(faults, c.Method.Validate()...)
	faults = append(faults, c.Schedule.Validate()...)
	if c.Schedule.Active() && !c.Method.Changes() {
		faults = append(faults,
			fmt.Errorf("schedule.max_merges: a schedule is set for method %s, which does not change its structure; %s does",
				c.Method.Name(), strings.Join(adapter.Scheduled(), ", ")))
	}
	faults = append(faults, c.Optim.Validate()...)
	faults = append(faults, c.Train.Validate()...)
	if c.Train.Quantize == QuantizeNF4 && c.Method.ChangesWeights() {
		faults = append(faults, fmt.Errorf("train.quantize: is %s, and method %s changes the weights that would be "+
			"quantised; want %s, or a method that freezes them", QuantizeNF4, c.Method.Name(), QuantizeNone))
	}
	need("out", c.Out, "the directory to write the run to")
	if c.Paths != PathsCWD && c.Paths != PathsFile {
		faults = append(faults, fmt.Errorf("paths: is %q; want %s or %s", c.Paths, PathsCWD, PathsFile))
	}
	return faults
}

// Validate returns every fault of t.
func (t Train) Validate() (faults []error) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf("train."+format, a...)) }
	// The upper bounds are far above any use. They prevent overflows of products
	// and huge allocations.
	within := func(key string, value, least, most int) {
		if value < least {
			fault("%s: is %d; want at least %d", key, value, least)
		} else if value > most {
			fault("%s: is %d; want at most %d", key, value, most)
		}
	}
	within("epochs", t.Epochs, 1, 100_000)
	within("max_steps", t.MaxSteps, 0, 1_000_000_000)
	for i, n := range t.ExtendEpochs {
		within(fmt.Sprintf("extend_epochs[%d]", i), n, 1, 100_000)
	}
	if t.MaxSteps > 0 && t.ExtendEpochs != nil {
		fault("extend_epochs: is set together with max_steps, which determines the length of the run; want a larger " +
			"max_steps in a new run")
	}
	within("batch_size", t.BatchSize, 1, 1_000_000)
	within("micro_batch_size", t.MicroBatchSize, 0, 1_000_000)
	within("micro_batch_tokens", t.MicroBatchTokens, 0, 1_000_000_000)
	// Otherwise the last pass of a step would be smaller than the others, and the
	// mean over passes would not be the mean over examples.
	if t.MicroBatchSize > 0 && t.BatchSize > 0 && t.BatchSize%t.MicroBatchSize != 0 {
		fault("micro_batch_size: is %d; want a divisor of train.batch_size, %d", t.MicroBatchSize, t.BatchSize)
	}
	within("eval_batch_size", t.EvalBatchSize, 0, 1_000_000)
	within("eval_every", t.EvalEvery, 0, 1_000_000_000)
	within("early_stopping", t.EarlyStopping, 0, 1_000_000)
	if !(t.MinDelta >= 0) || math.IsInf(t.MinDelta, 0) {
		fault("min_delta: is %v; want at least 0 and finite", t.MinDelta)
	}
	faults = append(faults, t.validateWeights()...)
	if !(t.LabelSmoothing >= 0 && t.LabelSmoothing < 1) {
		fault("label_smoothing: is %v; want at least 0 and less than 1", t.LabelSmoothing)
	}
	if t.Reduction != ReduceTokens && t.Reduction != ReduceExamples {
		fault("reduction: is %q; want %s or %s", t.Reduction, ReduceTokens, ReduceExamples)
	}
	if t.Precision != Float32 && t.Precision != BFloat16 {
		fault("precision: is %q; want %s or %s", t.Precision, Float32, BFloat16)
	}
	if t.Quantize != QuantizeNone && t.Quantize != QuantizeNF4 {
		fault("quantize: is %q; want %s or %s", t.Quantize, QuantizeNone, QuantizeNF4)
	}
	within("log_every", t.LogEvery, 1, 1_000_000)
	within("save_every", t.SaveEvery, 0, 1_000_000_000)
	within("keep_checkpoints", t.KeepCheckpoints, 1, 1_000_000)
	return faults
}

// locateFaults gives each fault of Validate the origin of its key.
func locateFaults(file string, faults []error, origins map[string]origin) (placed []*Fault) {
	for _, err := range faults {
		f := &Fault{origin: origin{where: file}, text: err.Error()}
		key, what, _ := strings.Cut(f.text, ": ")
		var ofData *dataset.Fault
		if errors.As(err, &ofData) {
			key, what = ofData.Key, ofData.What.Error()
			f.text = key + ": " + what
		}
		key, _, _ = strings.Cut(key, "[") // an element has the place of its list
		if from, ok := origins[key]; ok {
			f.origin = from
			if from.set != "" {
				f.text = what // the origin contains the key
			}
		}
		placed = append(placed, f)
	}
	return placed
}

// inOrder returns faults in the order of the file, and behind them those from elsewhere.
func inOrder(faults []*Fault) []*Fault {
	slices.SortStableFunc(faults, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.col, b.col))
	})
	return faults
}

// rank orders faults: by line in the file, then those from other sources.
func rank(f *Fault) int {
	if f.line == 0 {
		return math.MaxInt
	}
	return f.line
}
