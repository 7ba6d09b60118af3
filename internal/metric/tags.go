package metric

import (
	"fmt"
	"math"
)

// TagCounts compares the tags that a model predicts for sentences with those of the data.
type TagCounts struct {
	// Right counts the entities that have the same tokens and type in the prediction and in the data, Predicted those of
	// the prediction, and Gold those of the data.
	Right, Predicted, Gold int
	RightTokens, Tokens    int // tokens with the tag of the data, and all
	Sentences              int
}

func (c *TagCounts) add(d TagCounts) {
	c.Right, c.Predicted, c.Gold = c.Right+d.Right, c.Predicted+d.Predicted, c.Gold+d.Gold
	c.RightTokens, c.Tokens, c.Sentences = c.RightTokens+d.RightTokens, c.Tokens+d.Tokens, c.Sentences+d.Sentences
}

// part returns a/b, 0 if b is 0, and NaN if there are no sentences.
func (c TagCounts) part(a, b int) float64 {
	switch {
	case c.Sentences == 0:
		return math.NaN()
	case b == 0:
		return 0
	}
	return float64(a) / float64(b)
}

// EntityPrecision returns the share of the predicted entities that the data has (seqeval.metrics.precision_score).
func EntityPrecision(c TagCounts) float64 { return c.part(c.Right, c.Predicted) }

// EntityRecall returns the share of the entities of the data that are predicted (seqeval.metrics.recall_score).
func EntityRecall(c TagCounts) float64 { return c.part(c.Right, c.Gold) }

// EntityF1 returns the harmonic mean of EntityPrecision and EntityRecall (seqeval.metrics.f1_score).
func EntityF1(c TagCounts) float64 { return c.part(2*c.Right, c.Predicted+c.Gold) }

// TokenAccuracy returns the share of the tokens whose tag is predicted (seqeval.metrics.accuracy_score).
func TokenAccuracy(c TagCounts) float64 { return float64(c.RightTokens) / float64(c.Tokens) }

// TagAccumulator gathers the predicted tags of sentences and scores them at the end of a pass.
type TagAccumulator struct {
	metrics   []Metric
	labels    []string
	scheme    *TagScheme  // nil if the labels mark no entities
	sentences []TagCounts // of each
	types     []TagCounts // of all entities of each type
	pred      []int       // of all tokens
	gold      []int
	ends      []int // number of tokens up to the end of each sentence
}

// NewTagAccumulator prepares to compute the named metrics for tags with the given labels. It returns an error for an
// unknown metric, for one that does not compare tags, and for one of entities if the labels mark none.
func NewTagAccumulator(names, labels []string) (*TagAccumulator, error) {
	scheme, marks := NewTagScheme(labels)
	a := &TagAccumulator{labels: labels}
	if marks {
		a.scheme, a.types = scheme, make([]TagCounts, len(scheme.Types))
	}
	for _, name := range names {
		m, err := ByName(name)
		if err != nil {
			return nil, err
		}
		if !m.Fits(Tags) {
			return nil, fmt.Errorf("metric: evaluate %s: it does not compare tags of tokens; want %s", name, Fitting(Tags))
		}
		if !marks && name != "accuracy" {
			return nil, fmt.Errorf("metric: evaluate %s: it compares entities, and the labels are not tags of entities such "+
				"as B-PER, I-PER and O; want accuracy", name)
		}
		a.metrics = append(a.metrics, m)
	}
	return a, nil
}

// Add adds a sentence with the predicted tags of its tokens and those of the data. Add panics with a LengthError if the
// lengths differ, and with a LabelError for a tag of the data that is not the index of a label.
func (a *TagAccumulator) Add(pred, gold []int) {
	checkLengths(len(pred), len(gold))
	c := TagCounts{Tokens: len(gold), Sentences: 1}
	for i, tag := range gold {
		if tag < 0 || tag >= len(a.labels) {
			panic(LabelError{Index: i, Label: float32(tag), Classes: len(a.labels)})
		}
		if pred[i] == tag {
			c.RightTokens++
		}
	}
	if a.scheme != nil {
		predicted, wanted := a.scheme.Entities(pred), a.scheme.Entities(gold)
		c.Predicted, c.Gold = len(predicted), len(wanted)
		known := map[Entity]bool{}
		for _, e := range wanted {
			known[e] = true
			a.types[e.Type].Gold++
		}
		for _, e := range predicted {
			a.types[e.Type].Predicted++
			if known[e] {
				c.Right++
				a.types[e.Type].Right++
			}
		}
	}
	a.sentences = append(a.sentences, c)
	a.pred, a.gold = append(a.pred, pred...), append(a.gold, gold...)
	a.ends = append(a.ends, len(a.gold))
}

// counts returns the counts over the sentences with the given indices, which may repeat.
func (a *TagAccumulator) counts(sentences []int) (c TagCounts) {
	for _, i := range sentences {
		c.add(a.sentences[i])
	}
	return c
}

// Scores computes the metrics over everything added so far.
func (a *TagAccumulator) Scores() Scores {
	var c TagCounts
	for _, d := range a.sentences {
		c.add(d)
	}
	s := Scores{}
	for _, m := range a.metrics {
		s[m.Name] = m.Tags(c)
	}
	return s
}

// Intervals returns a 95 % bootstrap interval over the sentences for every metric, or nil for a metric for which
// Bootstrap has none.
func (a *TagAccumulator) Intervals() map[string]*Interval {
	intervals := map[string]*Interval{}
	if len(a.sentences) == 0 || len(a.metrics) == 0 {
		return intervals
	}
	values := make([]float64, len(a.metrics))
	found := Bootstrap(len(a.sentences), resamples, func(drawn []int) []float64 {
		c := a.counts(drawn)
		for i, m := range a.metrics {
			values[i] = m.Tags(c)
		}
		return values
	})
	for i, m := range a.metrics {
		intervals[m.Name] = found[i]
	}
	return intervals
}

// Report returns the scores of every type of entity and their averages, as seqeval.metrics.classification_report has
// them. If the labels mark no entities, it returns the scores of every label over the tokens.
func (a *TagAccumulator) Report() *ClassReport {
	if a.scheme == nil {
		return NewClassReport(a.pred, a.gold, len(a.labels))
	}
	r := &ClassReport{Names: a.scheme.Types}
	var all TagCounts
	var occurring []ClassScores
	for _, c := range a.types {
		all.add(c)
		s := entityScores(c)
		r.Classes = append(r.Classes, s)
		if s.F1.Defined() {
			occurring = append(occurring, s)
		}
	}
	micro := entityScores(all)
	r.Micro = &micro
	r.Macro = average(occurring, func(ClassScores) float64 { return 1 })
	r.Weighted = average(occurring, func(c ClassScores) float64 { return float64(c.Support) })
	return r
}

func entityScores(c TagCounts) ClassScores {
	return ClassScores{Precision: ratio(c.Right, c.Predicted), Recall: ratio(c.Right, c.Gold),
		F1: ratio(2*c.Right, c.Predicted+c.Gold), Support: c.Gold}
}

// Majority returns the baseline that gives every token the tag that most tokens have, or nil if there are no tokens.
func (a *TagAccumulator) Majority() *Majority {
	if len(a.gold) == 0 {
		return nil
	}
	m := majority(nil, len(a.labels), a.gold)
	constant := &TagAccumulator{metrics: a.metrics, labels: a.labels, scheme: a.scheme,
		types: make([]TagCounts, len(a.types))}
	start := 0
	for _, end := range a.ends {
		always := make([]int, end-start)
		for i := range always {
			always[i] = m.Class
		}
		constant.Add(always, a.gold[start:end])
		start = end
	}
	m.Scores = constant.Scores()
	return m
}
