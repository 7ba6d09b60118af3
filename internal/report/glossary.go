package report

import "fmt"

// glossary returns explanations of the words that occur on the page.
func (r *Report) glossary() (words []fact) {
	events, losses, baseline := false, false, false
	k := paperK
	for _, run := range r.Runs {
		events = events || len(run.Scores) > 0
		losses = losses || len(run.Correlations) > 0
		baseline = baseline || run.Baseline != nil
		if run.Plan != nil && run.Plan.SFSK > 0 {
			k = run.Plan.SFSK
		}
	}
	if events {
		words = append(words,
			fact{"module", "one residual connection of LoR2C: low-rank factors B and A from the input of a layer to its " +
				"output, or over several layers."},
			fact{"SFS", fmt.Sprintf("1 − (s₁ + … + s_k)/(s₁ + … + s_r) over the singular values of BA, here with k = %d: "+
				"high where information is spread over many directions, 0 where at most k directions hold all of it.", k)},
			fact{"k", "the number of largest singular values that SFS leaves out."},
			fact{"candidate",
				"a possible choice of an event: a pair of neighbouring modules to merge, or a module of one layer to replace. " +
					"The score of a pair is the sum of two scores."},
			fact{"margin", "the distance of the next candidate's score; \"% of the range\" is that divided by the distance " +
				"from the lowest to the highest score."})
	}
	if losses {
		words = append(words,
			fact{"what-if sample", "a fixed sample of dev examples, on which the loss is measured before an event and as it " +
				"would be after each candidate."},
			fact{"loss increase, change",
				"the loss of the what-if sample with a candidate minus the loss before. Its standard error is paired: " +
					"the standard deviation of the changes of the examples divided by the square root of their number."})
	}
	if baseline {
		words = append(words,
			fact{"95 % interval", "a percentile bootstrap over the evaluated examples: the range in which scores on other " +
				"examples of the same kind would lie. " +
				"It does not cover other seeds, and the best epoch was chosen on these examples."},
			fact{"baseline", "the score of always predicting the most frequent class of dev; a model that is not better has " +
				"learnt nothing useful."})
	}
	return words
}
