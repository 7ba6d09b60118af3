package train

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/place"
)

// instructLength is the default of data.max_length, as in alpaca-lora.
const instructLength = 256

// rows is the source of the task instruct: rows of which a decoder learns to predict tokens.
type rows struct {
	*Session
	files   map[string]*instruct.File // that were read, by split
	lengths []int                     // tokens of the training examples, for data.order: length_grouped
}

// check returns nil: encoding returns an error for a tokenizer without an end token.
func (s *rows) check() error { return nil }

func (s *rows) predicts() string { return "tokens to predict" }

// file returns the rows of a split. Without a file of its own, dev is drawn from train.
func (s *rows) file(ctx context.Context, split string) (*instruct.File, error) {
	if f := s.files[split]; f != nil {
		return f, nil
	}
	c := s.Config.Data
	paths := map[string]string{"train": c.Train, "dev": string(c.Dev), "test": c.Test}
	fraction, isDrawn := c.Dev.Fraction()
	path := paths[split]
	if isDrawn && split == "dev" {
		path = c.Train
	}
	if path == "" {
		return nil, place.Mistake(fmt.Errorf("train: load %s: data.%s is not set; want a .json, .jsonl or .txt file",
			split, split))
	}
	f, err := instruct.Read(ctx, path, instruct.Format(cmp.Or(c.Format, string(instruct.Auto))))
	if err == nil {
		err = f.CheckResponses()
	}
	if err != nil {
		return nil, err
	}
	if !isDrawn || split == "test" {
		s.files[split] = f
		return f, nil
	}
	train, dev := f, f
	if n, ok := c.Dev.Rows(); ok {
		train, dev, err = f.SplitNumpy(n, s.Config.Seed)
	} else {
		train, dev, err = f.SplitFraction(fraction, s.Config.Seed)
	}
	s.files["train"], s.files["dev"] = train, dev
	return s.files[split], err
}

// split tokenises the rows, because a row can become several examples, or none.
func (s *rows) split(ctx context.Context, name string) (*dataset.Split, error) {
	d, err := s.load(ctx, name, false)
	return d.split, err
}

func (s *rows) load(ctx context.Context, split string, _ bool) (data, error) {
	f, err := s.file(ctx, split)
	if err != nil {
		return data{}, loading(err)
	}
	opts, err := s.encoding(f)
	if err != nil {
		return data{}, err
	}
	encoded, err := instruct.Encode(ctx, s.Tokenizer, f, opts)
	if err != nil {
		return data{}, loading(err)
	}
	// A row of text can have become several, and one without a token to predict was left out. The text of an example is a
	// digest, which identifies its row.
	sp := &dataset.Split{Path: f.Path, Files: []dataset.File{{Path: f.Path, SHA256: f.SHA256}}}
	digest, of := "", -1
	for i, at := range encoded.Index {
		row := f.Rows[at]
		if int(at) != of {
			digest, of = row.Digest(), int(at)
		}
		sp.Examples = append(sp.Examples, dataset.Example{ID: i, Line: row.Line, TextA: digest})
	}
	if split == "train" {
		s.lengths, s.template = encoded.Lengths(), opts.Template
	}
	check := instruct.NewCheck(f)
	check.AddEncoded(s.Tokenizer, f, encoded, opts)
	tokens := &dataset.Encoded{IDs: encoded.IDs, Cu: encoded.Cu, Truncated: encoded.CutOff}
	return data{Encoded: tokens, split: sp, rows: encoded, check: check, file: f}, nil
}

// encoding returns how the rows of a file become tokens.
func (s *rows) encoding(f *instruct.File) (o instruct.Options, err error) {
	c := s.Config.Data
	o = instruct.Options{
		Template: c.Template, Cutoff: s.MaxLength, TrainOnInputs: c.TrainOnInputs, ParseSpecial: c.ParseSpecial,
		EOS: s.Tokenizer.EOS(),
	}
	if o.EOS < 0 {
		return o, place.Mistake(fmt.Errorf("train: open %s: the tokenizer names no eos_token, which ends every row; "+
			"name it in tokenizer_config.json", s.Dir))
	}
	o.Template = cmp.Or(o.Template, instruct.DefaultTemplate(f.Format))
	if o.Template != instruct.TemplateChat {
		return o, nil
	}
	source, ok, err := s.Tokenizer.ChatTemplate()
	if err != nil || !ok {
		return o, err
	}
	if o.Chat, err = chat.Parse(source); err != nil {
		return o, place.Mistake(fmt.Errorf("train: open %s: %w; want data.template: alpaca, or rows of prompt and "+
			"completion with none", s.Dir, err))
	}
	o.ChatOptions.BOS, o.ChatOptions.EOS = s.Tokenizer.Token(s.Tokenizer.BOS()), s.Tokenizer.Token(o.EOS)
	return o, nil
}

func (s *rows) order(epoch, n int) []int32 {
	if s.Config.Data.Order == "length_grouped" && len(s.lengths) == n {
		return instruct.LengthGrouped(s.Config.Seed, epoch, s.lengths, s.Config.Train.BatchSize)
	}
	return dataset.Order(s.Config.Seed, epoch, n)
}

func (s *rows) profile(split string, d data) []string {
	r := d.rows
	lines := []string{fmt.Sprintf("%s: %s, %s, of which %d are predicted; %s cut off, %d without an "+
		"end token",
		split, place.Count(r.Len(), "row", "rows"), place.Count(len(r.IDs), "token", "tokens"), r.Predicts,
		place.Count(r.CutOff, "row", "rows"), r.NoEOS)}
	if r.Merged > 0 {
		lines = append(lines, fmt.Sprintf("note: %s: in %s one token is the end of the prompt and the start of the "+
			"response; it is predicted", split, place.Count(r.Merged, "row", "rows")))
	}
	return lines
}

func (s *rows) findings(d data) []dataset.Finding { return d.check.Findings() }

func (s *rows) show(ctx context.Context, split string, n int) (out []Shown, err error) {
	d, err := s.load(ctx, split, false)
	if err != nil {
		return nil, err
	}
	for i := range min(max(n, 0), d.Len()) {
		out = append(out, s.shown(d, i))
	}
	return out, nil
}

func (s *rows) shown(d data, i int) Shown {
	ids, predicted := d.rows.At(i)
	x := Shown{
		Where: d.file.Place(d.file.Rows[d.rows.Index[i]]), IDs: ids, Text: s.Tokenizer.Decode(ids),
	}
	for start := 0; start < len(ids); {
		end := start
		for end < len(ids) && predicted[end] == predicted[start] {
			end++
		}
		// The text of the run alone would lack a space at its start.
		text := strings.TrimPrefix(s.Tokenizer.Decode(ids[:end]), s.Tokenizer.Decode(ids[:start]))
		x.Runs = append(x.Runs, TextRun{text, predicted[start], end - start})
		start = end
	}
	return x
}
