package dataset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/place"
)

// tokenExtensions are the extensions of the files of a task of token classification. Those that are not .jsonl are in
// the format of CoNLL-2003.
var tokenExtensions = []string{".conll", ".txt", ".tsv", ".bio", ".iob", ".iob2", jsonlExtension}

const jsonlExtension = ".jsonl"

// tokenKeys and tagKeys are the keys of a JSONL file that are looked for, in this order, if Config names none.
var (
	tokenKeys = []string{"tokens", "words"}
	tagKeys   = []string{"tags", "ner_tags", "labels"}
	textKeys  = []string{"text", "sentence"} // of texts to predict
)

// checkTokens checks the keys of token classification.
func (c Config) checkTokens(f *faults) {
	c.checkLabels(f)
	if len(c.Text) > 1 {
		f.add("text", "%s %q; want one with the tokens of a sentence", place.Count(len(c.Text), "column", "columns"), c.Text)
		return
	}
	for _, path := range c.paths() {
		if isJSONL(path) {
			continue
		}
		// The columns of such files have no names.
		for _, k := range []struct{ key, value string }{{"text", strings.Join(c.Text, "")}, {"label", c.Label}} {
			if n, err := strconv.Atoi(k.value); k.value != "" && (err != nil || n < 1) {
				f.add(k.key, "%s is not the number of a column, as %s needs; want 1 for the first, 2 for the second, and so on",
					place.Quote(k.value), place.Quote(path))
				return
			}
		}
	}
	if len(c.Text) == 1 && c.Text[0] == c.Label {
		f.add("label", "%s has the tokens too; want another column", place.Quote(c.Label))
	}
}

// isColumn reports whether text, if it is not nil, is the number of a column.
func isColumn(text []string) bool {
	n, err := strconv.Atoi(strings.Join(text, ""))
	return text == nil || err == nil && n > 0 && len(text) == 1
}

// Divided returns the words of x: those that it has, or else its text divided at blanks.
func (x Example) Divided() []string {
	if x.Words != nil {
		return x.Words
	}
	return strings.Fields(x.TextA)
}

// tokensTask returns the task of c without the names of the labels.
func (c Config) tokensTask() Task { return Task{Name: customTask, Kind: Tokens, Text: c.Text} }

// tagMetrics returns the metrics of tags with the given labels, of which the first selects the best epoch.
func tagMetrics(labels []string) []string {
	if _, entities := metric.NewTagScheme(labels); !entities {
		return []string{"accuracy"}
	}
	return []string{"f1", "precision", "recall", "accuracy"}
}

// usesOfTags returns the use of every tag of rows.
func usesOfTags(path string, rows []row) map[string]use {
	seen := map[string]use{}
	for _, r := range rows {
		for i, tag := range r.tags {
			u, known := seen[tag]
			if !known {
				u.line = wordLine(path, r.line, i)
			}
			u.count++
			seen[tag] = u
		}
	}
	return seen
}

// wordLine returns the line of word i of a sentence that begins in the given line: a file in the format of CoNLL has a
// line for each.
func wordLine(path string, line, i int) int {
	if isJSONL(path) {
		return line
	}
	return line + i
}

// tagsOf returns the tags of a row as indices of labels.
func (t Task) tagsOf(path string, r row) ([]int32, error) {
	tags := make([]int32, len(r.tags))
	for i, tag := range r.tags {
		k := slices.Index(t.Labels, tag)
		if k < 0 {
			return nil, fmt.Errorf("dataset: read %s:%d: tag %s of token %d, %s, is not in the task's set; want one of %s", path,
				wordLine(path, r.line, i), place.Quote(tag), i+1, place.Quote(r.words[i]), oneOf(tag, t.Labels))
		}
		tags[i] = int32(k)
	}
	return tags, nil
}

// tagProfile describes the tags of the examples of a split, and counts them in p.
func (t Task) tagProfile(p *Profile, examples []Example) string {
	tokens := 0
	for _, x := range examples {
		for _, tag := range x.Tags {
			p.Classes[tag]++
			tokens++
		}
	}
	if tokens == 0 {
		return "no labels"
	}
	p.Majority = float64(slices.Max(p.Classes)) / float64(tokens)
	return fmt.Sprintf("%s: %s (most frequent %.1f %%)", place.Count(tokens, "word", "words"), t.counts(p.Classes),
		100*p.Majority)
}

// lintTags returns the findings about the tags of a split.
func (t Task) lintTags(s *Split) (found []Finding) {
	counts, words := make([]int, len(t.Labels)), 0
	for _, x := range s.Examples {
		for _, tag := range x.Tags {
			counts[tag]++
			words++
		}
	}
	if words == 0 {
		return nil
	}
	if only := slices.Index(counts, words); only >= 0 {
		found = append(found, Finding{Kind: "one_class", Path: s.Path, Count: words,
			Text: fmt.Sprintf("all words have the tag %s; scores on them mean little", place.Quote(t.Labels[only]))})
	}
	scheme, entities := metric.NewTagScheme(t.Labels)
	if !entities {
		return found
	}
	var stray use
	example := ""
	for _, x := range s.Examples {
		before, after := -1, "the start of a sentence"
		for i, tag := range x.Tags {
			if scheme.Stray(before, int(tag)) {
				if stray.count++; stray.count == 1 {
					stray.line = wordLine(s.Path, x.Line, i)
					example = t.Labels[tag] + " after " + after
				}
			}
			before, after = int(tag), t.Labels[tag]
		}
	}
	if stray.count > 0 {
		found = append(found, Finding{Kind: "stray_tags", Path: s.Path, Line: stray.line, Count: stray.count,
			Text: fmt.Sprintf("%d of %d tags %s no entity of their type, such as %s; each counts as the beginning of one",
				stray.count, words, singular(stray.count, "continues", "continue"), example)})
	}
	return found
}

// LintWords returns findings about words of a split that have no token after encoding: those that were cut off, and
// those of which the tokenizer makes none.
func (t Task) LintWords(s *Split, e *Encoded, maxLength int) (found []Finding) {
	if e.Lost > 0 {
		first := slices.Index(e.Cut, true)
		found = append(found, Finding{Kind: "cut_words", Path: s.Path, Line: s.Examples[first].Line, Count: e.Lost,
			Text: fmt.Sprintf("%s of %s %s cut off at %d tokens; they are neither trained on nor scored",
				place.Count(e.Lost, "word", "words"), place.Count(e.Truncated, "sentence", "sentences"),
				singular(e.Lost, "is", "are"), maxLength)})
	}
	if e.Bare > 0 {
		found = append(found, Finding{Kind: "bare_words", Path: s.Path, Count: e.Bare,
			Text: fmt.Sprintf("the tokenizer makes no token of %s; they are neither trained on nor scored",
				place.Count(e.Bare, "word", "words"))})
	}
	return found
}
