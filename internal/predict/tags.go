package predict

import (
	"strings"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/train"
)

// Entity is a run of words that an adapter predicts to be one entity.
type Entity struct {
	Type string `json:"type"`
	// Start and End count the characters (Unicode code points) of the text before the entity and up to its end. The words
	// of a list are a text with one blank between two of them.
	Start int    `json:"start"`
	End   int    `json:"end"`
	Text  string `json:"text"`
	// Score is the mean probability of the tags of its words.
	Score float32 `json:"score"`
}

// Tagged returns what an adapter that tags words predicts for a text: the words, the tag of each, and the entities that
// the tags mark, which are nil if the labels mark none. values are the outputs of a batch with the text, and rows its
// [train.Outputs.Words].
func Tagged(t adapter.Task, x dataset.Example, values []float32, rows []int) (words, tags []string, found []Entity) {
	words, tags = x.Divided(), []string{}
	if words == nil {
		words = []string{}
	}
	chosen, certain := make([]int, len(words)), make([]float32, len(words))
	p := make([]float32, len(t.Labels))
	for i, row := range rows {
		if chosen[i] = row; row >= 0 {
			chosen[i] = Probabilities(p, values[row*len(p):(row+1)*len(p)])
			certain[i] = p[chosen[i]]
		}
		tags = append(tags, train.TagName(t.Labels, chosen[i]))
	}
	scheme, marks := metric.NewTagScheme(t.Labels)
	if !marks {
		return words, tags, nil
	}
	bounds := boundsOf(x, words)
	found = []Entity{}
	for _, e := range scheme.Entities(chosen) {
		start, end := bounds[e.Start][0], bounds[e.End-1][1]
		one := Entity{Type: scheme.Types[e.Type], Text: x.TextA[start:end]}
		one.Start = utf8.RuneCountInString(x.TextA[:start])
		one.End = one.Start + utf8.RuneCountInString(one.Text)
		sum := float32(0)
		for _, c := range certain[e.Start:e.End] {
			sum += c
		}
		one.Score = sum / float32(e.End-e.Start)
		found = append(found, one)
	}
	return words, tags, found
}

// boundsOf returns the bytes of the text at which each word begins and ends.
func boundsOf(x dataset.Example, words []string) [][2]int {
	bounds, at := make([][2]int, len(words)), 0
	for i, word := range words {
		if x.Words == nil {
			at += strings.Index(x.TextA[at:], word)
		}
		bounds[i] = [2]int{at, at + len(word)}
		if at += len(word); x.Words != nil {
			at++ // the blank between two words
		}
	}
	return bounds
}
