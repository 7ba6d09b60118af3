package report

import "fmt"

// glossary explains the words of the page, as far as this run's page has them.
func (r *Report) glossary() (words []fact) {
	events, losses, baseline := false, false, false
	k := paperK
	for _, run := range r.Runs {
		events = events || len(run.Scores) > 0
		losses = losses || len(run.Harm) > 0
		baseline = baseline || run.Baseline != nil
		if run.Plan != nil && run.Plan.SFSK > 0 {
			k = run.Plan.SFSK
		}
	}
	if events {
		words = append(words,
			fact{"module", "one residual connection of LoR2C: low-rank factors B and A from the input of a layer to its output, or over several layers."},
			fact{"SFS", fmt.Sprintf("1 − (s₁ + … + s_k)/(s₁ + … + s_r) over the singular values of BA, here with k = %d: "+
				"high where information is spread over many directions, 0 where at most k directions hold all of it.", k)},
			fact{"k", "how many of the largest singular values SFS leaves out."},
			fact{"candidate", "a choice that an event had: a pair of neighbouring modules to merge, or a module of one layer to replace. " +
				"The score of a pair is the sum of two."},
			fact{"margin", "how far the next candidate's score lies behind; \"% of the range\" is that over the distance from the lowest to the highest score."})
	}
	if losses {
		words = append(words,
			fact{"what-if sample", "a fixed sample of dev examples, on which the loss is measured as it is and as it would be after each candidate."},
			fact{"harm, change", "the loss of the what-if sample with a candidate less the loss before. Its standard error is paired: " +
				"the deviation of the examples' own changes over the root of their number."})
	}
	if baseline {
		words = append(words,
			fact{"95 % interval", "a percentile bootstrap over the evaluated examples: what other examples of the same kind would give. " +
				"It says nothing of other seeds, and the best epoch was chosen on these examples."},
			fact{"baseline", "what always predicting the most frequent class of dev scores; a model that is not better has learnt nothing of use."})
	}
	return words
}
