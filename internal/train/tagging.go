package train

import (
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/model"
)

// tagging is the cross-entropy of logits [R,C] against one class for each token that a batch reads.
type tagging struct {
	*classification
	labels []string
}

// Tagging returns the objective of choosing one of several labels for each token that a batch reads. The training loss
// is that of XForTokenClassification in transformers, the mean over these tokens of the whole step, however it is
// divided into micro-batches. Class weights (nil for none) and label smoothing are those of torch.nn.CrossEntropyLoss.
func Tagging(dev compute.Device, labels []string, weights []float64, smoothing float64) Objective {
	return &tagging{Classification(dev, len(labels), weights, smoothing).(*classification), labels}
}

func (t *tagging) tally(metrics []string) (tally, error) {
	scores, err := metric.NewTagAccumulator(metrics, t.labels)
	return &tagTally{tagging: t, scores: scores, scored: len(metrics) > 0}, err
}

func (t *tagging) majority(metrics []string, d data) (*metric.Majority, error) {
	scores, err := metric.NewTagAccumulator(metrics, t.labels)
	if err != nil {
		return nil, err
	}
	for i := range d.Len() {
		gold := classesOf(d.LabelsOf(i))
		scores.Add(gold, gold)
	}
	return scores.Majority(), nil
}

// classesOf returns labels as class indices.
func classesOf(labels []float32) []int {
	classes := make([]int, len(labels))
	for i, label := range labels {
		classes[i] = int(label)
	}
	return classes
}

// tagTally is the evaluation of token classification. The loss of an example is the mean over its tokens.
type tagTally struct {
	*tagging
	losses
	scores *metric.TagAccumulator
	scored bool // metrics were named
	tags   [][]int
}

func (k *tagTally) add(values []float32, b model.Batch) {
	for _, tokens := range counts(b.Ends()) {
		gold, tags, sum := classesOf(b.Labels[:tokens]), make([]int, tokens), 0.0
		for j := range tokens {
			loss, tag := crossEntropy(values[j*k.classes:(j+1)*k.classes], gold[j])
			sum += loss
			tags[j] = tag
		}
		values, b.Labels = values[tokens*k.classes:], b.Labels[tokens:]
		k.losses.add(sum/float64(max(tokens, 1)), float64(tokens))
		k.tags = append(k.tags, tags)
		k.scores.Add(tags, gold)
	}
}

func (k *tagTally) evaluation() Evaluation {
	e := Evaluation{Loss: k.sum / k.losses.weights, Losses: k.each, Weights: k.weight, Tags: k.tags, Tagged: k.scores,
		Scores: k.scores.Scores()}
	if k.scored {
		e.Intervals, e.Classes, e.Majority = k.scores.Intervals(), k.scores.Report(), k.scores.Majority()
	}
	return e
}

// everyWord returns a tag for each word of example i from those of the words that have a token. The others have -1.
func (d data) everyWord(i int, tags []int) []int {
	all := make([]int, len(d.split.Examples[i].Words))
	for j := range all {
		all[j] = -1
	}
	words, _ := d.WordsAt(i)
	for j, word := range words {
		all[word] = tags[j]
	}
	return all
}

// TagName returns the name of a tag. A word that was not tagged, which -1 stands for, is outside of entities: O, or _
// if the labels have no O.
func TagName(labels []string, tag int) string {
	switch {
	case tag >= 0:
		return labels[tag]
	case slices.Contains(labels, "O"):
		return "O"
	}
	return "_"
}

// rowsOfWords returns for each word of each sentence its number among all words that have a token, or -1.
func (d data) rowsOfWords() [][]int {
	rows := make([][]int, d.Len())
	for i := range rows {
		words, _ := d.WordsAt(i)
		numbers := make([]int, len(words))
		for j := range numbers {
			numbers[j] = int(d.WordCu[i]) + j
		}
		rows[i] = d.everyWord(i, numbers)
	}
	return rows
}

// words returns a split of which every example has words.
func words(s *dataset.Split) *dataset.Split {
	divided := *s
	divided.Examples = slices.Clone(s.Examples)
	for i := range divided.Examples {
		divided.Examples[i].Words = s.Examples[i].Divided()
	}
	return &divided
}
