package train

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
)

// texts is the source of texts with labels, which an encoder reads.
type texts struct{ *Session }

func (s texts) check() error {
	if s.Tokenizer.Specials(false) > 0 {
		return nil
	}
	return place.Mistake(fmt.Errorf("train: open %s: the tokenizer puts no special token before a text, but the head "+
		"of an encoder reads the first one; its tokenizer.json needs a post_processor, or tokenizer_config.json a "+
		"cls_token", s.Dir))
}

func (s texts) predicts() string {
	if labels := s.Set.Task.Labels; s.Set.Task.Kind == dataset.MultiLabel {
		return fmt.Sprintf("any of %d labels", len(labels))
	} else if s.Set.Task.Kind == dataset.Tokens {
		return fmt.Sprintf("one of %d tags for each word", len(labels))
	} else if labels != nil {
		return place.Count(len(labels), "class", "classes")
	}
	return "a number for each"
}

func (s texts) split(ctx context.Context, name string) (*dataset.Split, error) {
	if s.Set.Task.Kind == dataset.Tokens {
		d, err := s.load(ctx, name, false) // it leaves sentences out
		return d.split, err
	}
	return s.Set.Load(ctx, name)
}

func (s texts) order(epoch, n int) []int32 { return dataset.Order(s.Config.Seed, epoch, n) }

func (s texts) load(ctx context.Context, split string, labelled bool) (data, error) {
	sp, err := s.Set.Load(ctx, split)
	if err != nil {
		return data{}, loading(err)
	}
	if labelled {
		for _, e := range sp.Examples {
			if !e.HasLabel {
				return data{},
					place.Mistake(fmt.Errorf("train: load %s:%d: the example has no label; every example of the %s split needs one",
						sp.Path, e.Line, split))
			}
		}
	}
	d, err := s.encode(ctx, sp)
	if err != nil || d.WordCu == nil || !slices.Contains(d.withoutWords(), true) {
		return d, err
	}
	return s.encode(ctx, s.withWords(d, split))
}

// withoutWords reports for each sentence whether none of its words has a token.
func (d data) withoutWords() []bool {
	none := make([]bool, d.Len())
	for i := range none {
		none[i] = d.WordCu[i] == d.WordCu[i+1]
	}
	return none
}

// withWords returns the split of d without the sentences of which no word has a token, because a batch of these has
// nothing to predict.
func (s texts) withWords(d data, split string) *dataset.Split {
	kept := *d.split
	kept.Examples = nil
	left := dataset.Finding{Kind: "bare_sentences", Path: kept.Path}
	for i, none := range d.withoutWords() {
		switch {
		case !none:
			kept.Examples = append(kept.Examples, d.split.Examples[i])
		case left.Count == 0:
			left.Line = d.split.Examples[i].Line
			fallthrough
		default:
			left.Count++
		}
	}
	left.Text = fmt.Sprintf("%s of %s, of whose words the tokenizer makes no token, left out",
		place.Count(left.Count, "sentence", "sentences"), split)
	kept.Findings = append(slices.Clone(kept.Findings), left)
	return &kept
}

// encode tokenises a split.
func (s texts) encode(ctx context.Context, sp *dataset.Split) (data, error) {
	if err := s.checkSpecials(sp); err != nil {
		return data{}, err
	}
	if s.Set.Task.Kind == dataset.Tokens {
		e, err := dataset.EncodeWords(ctx, s.Tokenizer, sp, s.MaxLength)
		if err != nil {
			return data{}, loading(err)
		}
		d := data{Encoded: e, split: sp}
		return d, s.checkTypes(d)
	}
	e, err := dataset.Encode(ctx, s.Tokenizer, sp, s.MaxLength, s.cacheDir)
	if err != nil && s.cacheDir != "" {
		// Without the cache the tokens are computed again, which takes seconds, so a
		// cache that cannot be written must not end the run.
		s.cacheDir = ""
		e, err = dataset.Encode(ctx, s.Tokenizer, sp, s.MaxLength, "")
	}
	if err != nil {
		return data{}, loading(err)
	}
	if s.Set.Task.Kind == dataset.MultiLabel {
		e.Labels = s.Set.Task.Targets(sp.Examples)
	}
	d := data{Encoded: e, split: sp}
	return d, s.checkTypes(d)
}

func (s texts) profile(split string, d data) []string {
	return []string{s.Set.Task.Profile(split, d.split, d.Encoded).String()}
}

func (s texts) findings(d data) []dataset.Finding {
	found := s.Set.Task.Lint(d.split)
	if d.WordCu != nil {
		found = append(found, s.Set.Task.LintWords(d.split, d.Encoded, s.MaxLength)...)
	}
	return found
}

func (s texts) show(ctx context.Context, split string, n int) ([]Shown, error) {
	sp, err := s.Set.Load(ctx, split)
	if err != nil {
		return nil, loading(err)
	}
	var out []Shown
	for _, x := range sp.Examples[:min(max(n, 0), len(sp.Examples))] {
		e := s.Tokenizer.Encode(x.TextA, x.TextB, s.MaxLength)
		if s.Set.Task.Kind == dataset.Tokens {
			e, _ = s.Tokenizer.EncodeWords(x.Words, s.MaxLength)
		}
		out = append(out, s.example(sp.Path, x, e.IDs))
	}
	return out, nil
}

func (s texts) shown(d data, i int) Shown {
	ids, _ := d.At(i)
	return s.example(d.split.Path, d.split.Examples[i], ids)
}

// example returns an example of a file with its tokens.
func (s texts) example(path string, x dataset.Example, ids []int32) Shown {
	label, task := "none", s.Set.Task
	if x.HasLabel && task.Kind == dataset.MultiLabel {
		label = cmp.Or(strings.Join(task.List(x.Set), task.Separator), label)
	} else if x.HasLabel && task.Kind == dataset.Tokens {
		label = strings.Join(task.List(x.Tags), " ")
	} else if x.HasLabel && task.Labels != nil {
		label = task.Labels[int(x.Label)]
	} else if x.HasLabel {
		label = strconv.FormatFloat(float64(x.Label), 'g', -1, 32)
	}
	return Shown{Where: fmt.Sprintf("%s:%d", path, x.Line), Label: label, IDs: ids, Text: s.Tokenizer.Decode(ids)}
}

// checkSpecials returns an error if the special tokens of an example leave no room for
// text. They are never truncated, so every example would be longer than max_length.
func (s texts) checkSpecials(sp *dataset.Split) error {
	for _, e := range sp.Examples {
		if n := s.Tokenizer.Specials(e.TextB != nil); n >= s.MaxLength {
			return place.Mistake(fmt.Errorf("train: load %s:%d: the tokenizer in %s adds %s to a text, "+
				"and data.max_length is %d; want at least %d", sp.Path, e.Line, s.Dir,
				place.Count(n, "special token", "special tokens"), s.MaxLength, n+1))
		}
	}
	return nil
}

// checkTypes returns an error if the tokenizer gives a token a type for which the model
// has no embedding. A model without types ignores those of the tokenizer, as in transformers.
func (s texts) checkTypes(d data) error {
	if s.Model.types == 0 {
		return nil
	}
	for i := range d.Len() {
		_, types := d.At(i)
		for _, t := range types {
			if t < 0 || int(t) >= s.Model.types {
				return place.Mistake(fmt.Errorf("train: load %s:%d: the tokenizer in %s gives tokens the type %d, and "+
					"type_vocab_size is %d; use tokenizer and config.json of the same model", d.split.Path, d.split.Examples[i].Line,
					s.Dir, t,
					s.Model.types))
			}
		}
	}
	return nil
}
