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
	"github.com/lor2c/lor2c/internal/setting"
)

// Validate returns every fault that can be found without opening a file. Each begins with its key. The tags of the
// sections say what each key can be; only faults that need several keys, and those of a type of this package, are found
// here.
func (c *Config) Validate() (faults []error) {
	faults = append(faults, setting.Faults("", c)...)
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
	return faults
}

// Validate returns every fault of t. The upper bounds in the tags are far above any use. They prevent overflows of
// products and huge allocations.
func (t Train) Validate() (faults []error) {
	faults = append(setting.Faults("train", t), t.validateWeights()...)
	if t.MaxSteps > 0 && t.ExtendEpochs != nil {
		faults = append(faults, errors.New("train.extend_epochs: is set together with max_steps, which determines the "+
			"length of the run; want a larger max_steps in a new run"))
	}
	// Otherwise the last pass of a step would be smaller than the others, and the
	// mean over passes would not be the mean over examples.
	if t.MicroBatchSize > 0 && t.BatchSize > 0 && t.BatchSize%t.MicroBatchSize != 0 {
		faults = append(faults, fmt.Errorf("train.micro_batch_size: is %d; want a divisor of train.batch_size, %d",
			t.MicroBatchSize, t.BatchSize))
	}
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
