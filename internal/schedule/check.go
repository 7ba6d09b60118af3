package schedule

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/place"
)

// Check returns every fault of c that depends on the size of the run. Each
// fault starts with its key. c must be resolved.
func (c Config) Check(run Run) (faults []error) {
	if !c.Active() {
		return nil
	}
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf("schedule."+format, a...)) }
	if c.Score == ScoreSFS && c.SFSK >= run.Rank {
		fault("sfs_k: is %d with method.rank %d, for which every SFS is 0; want less than the rank", c.SFSK, run.Rank)
	}
	if c.MaxMerges > 0 && run.Layers == 1 {
		fault("max_merges: is %d, but the model has one layer and nothing to merge; want 0", c.MaxMerges)
	} else if c.MaxMerges >= run.Layers {
		fault("max_merges: is %d; want at most %d, because a model of %d layers allows no more merges",
			c.MaxMerges, run.Layers-1, run.Layers)
	}
	if c.MaxInjects > run.Layers {
		fault("max_injects: is %d; want at most %d, one for each layer of the model", c.MaxInjects, run.Layers)
	}
	merges, injects := 0, 0
	for _, d := range New(c, run).Plan() {
		if d.Merge {
			merges++
		}
		if d.Inject {
			injects++
		}
	}
	c.holds(run, "max_merges", c.MaxMerges, merges, fault)
	c.holds(run, "max_injects", c.MaxInjects, injects, fault)
	return faults
}

// holds reports a fault if fewer operations fit into the run than limit asks for. planned is the number that fits.
func (c Config) holds(run Run, key string, limit, planned int, fault func(string, ...any)) {
	if planned >= limit {
		return
	}
	if c.Timing == TimingSteps {
		fault("%s: is %d; only %d fit into %v of %s (schedule.until); want fewer, or more train.epochs",
			key, limit, planned, c.Until, place.Count(run.steps(), "step", "steps"))
		return
	}
	fault("%s: is %d; only %d fit into %v of %s (schedule.until) with an interval of %d (eq. 11); want fewer, "+
		"more train.epochs, or schedule.timing: %s",
		key, limit, planned, c.Until, place.Count(run.Epochs, "epoch", "epochs"), interval(run.Epochs, limit), TimingSteps)
}
