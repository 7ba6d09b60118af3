package instruct

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/team"
)

// Tokenizer is what Encode needs of a tokenizer. It must be safe for concurrent
// use.
type Tokenizer interface {
	chat.Tokenizer
	AppendIDs(dst []int32, text string, parseSpecial bool) []int32
	Affixes() (before, after []int32)
	Token(id int32) string
}

// These are the templates by which a prompt and a response become one text.
const (
	TemplateAlpaca = "alpaca" // the prompt of Alpaca
	TemplateChat   = "chat"   // the chat template of the model
	TemplateNone   = "none"   // the prompt and the response as they are
)

// Options say how rows become tokens.
type Options struct {
	Template      string         // one of the templates; rows of Text have none
	Chat          *chat.Template // the template of TemplateChat
	ChatOptions   chat.Options   // its variables
	Cutoff        int            // most tokens of a row, BOS included
	TrainOnInputs bool           // predict the prompt too
	ParseSpecial  bool           // special tokens that a text spells become control tokens
	EOS           int32          // the token that ends a row
}

// Rows are the rows of a file as N token ids, one row behind the other.
type Rows struct {
	IDs       []int32 // [N]
	Predicted []bool  // [N]; whether the token is one that the model learns to predict, never the first of a row
	Cu        []int64 // [n+1]; row i is IDs[Cu[i]:Cu[i+1]]
	Index     []int   // [n]; the row of the file that it is of, which can become several

	Dropped   []int // rows of the file without a predicted token, as Index
	CutOff    int   // rows that lost tokens to the cutoff
	NoEOS     int   // rows that do not end with EOS
	Merged    int   // rows in which a token covers the end of the prompt and the start of the response
	Predicts  int   // predicted tokens of all rows
	PromptLen int   // tokens of all rows that are not predicted
}

// Len returns n, the number of rows.
func (r *Rows) Len() int { return len(r.Cu) - 1 }

// At returns the ids of row i and which of them are predicted. They share memory
// with r.
func (r *Rows) At(i int) (ids []int32, predicted []bool) {
	return r.IDs[r.Cu[i]:r.Cu[i+1]], r.Predicted[r.Cu[i]:r.Cu[i+1]]
}

// Lengths returns the number of tokens of each row.
func (r *Rows) Lengths() []int {
	n := make([]int, r.Len())
	for i := range n {
		n[i] = int(r.Cu[i+1] - r.Cu[i])
	}
	return n
}

// encoded is one row as tokens.
type encoded struct {
	ids       []int32
	predicted []bool
	cut       bool
	merged    bool
}

// Encode tokenises the rows of a file on all processors; the result does not
// depend on their number. A row without a predicted token is left out and
// listed. Encode returns an error if no row has one, if the template does not
// fit the format or a row, and the error of ctx if that ends.
func Encode(ctx context.Context, tok Tokenizer, f *File, opts Options) (*Rows, error) {
	if err := opts.check(f); err != nil {
		return nil, place.Mistake(fmt.Errorf("instruct: encode %s: %w", f.Path, err))
	}
	parts := make([][]encoded, len(f.Rows))
	faults := make([]error, len(f.Rows))
	err := team.Each(ctx, len(f.Rows), 1, func(i int) { parts[i], faults[i] = opts.row(tok, f.Format, f.Rows[i]) })
	if err != nil {
		return nil, err
	}
	for i, err := range faults {
		if err != nil {
			return nil, place.Mistake(fmt.Errorf("instruct: encode %s: %w", f.Place(f.Rows[i]), err))
		}
	}
	r := &Rows{Cu: []int64{0}}
	for i, list := range parts {
		for _, e := range list {
			r.add(e, i, opts.EOS)
		}
	}
	if r.Len() == 0 {
		return nil, place.Mistake(fmt.Errorf("instruct: encode %s: no row has a token to predict within %d tokens; want "+
			"a larger cutoff, or rows with a response",
			f.Path, opts.Cutoff))
	}
	return r, nil
}

func (o *Options) check(f *File) error {
	switch {
	case o.Cutoff < 2:
		return fmt.Errorf("the cutoff is %s; want at least 2", place.Count(o.Cutoff, "token", "tokens"))
	case f.Format == Text:
		return nil
	case o.Template == TemplateChat && o.Chat == nil:
		return errors.New("the model has no chat template; want another template")
	case o.Template == TemplateChat, o.Template == TemplateNone && f.Format == Completion, o.Template == TemplateAlpaca &&
		f.Format == Alpaca:
		return nil
	}
	return fmt.Errorf("template %s does not fit rows of the format %s; want %s", place.Quote(o.Template), f.Format,
		map[Format]string{Alpaca: "alpaca or chat",
			Completion: "none or chat"}[f.Format]+map[bool]string{true: "chat"}[f.Format == Messages || f.Format == ShareGPT])
}

// add appends a row, or lists it as dropped.
func (r *Rows) add(e encoded, index int, eos int32) {
	n := 0
	for _, p := range e.predicted {
		if p {
			n++
		}
	}
	if n == 0 {
		r.Dropped = append(r.Dropped, index)
		return
	}
	r.IDs, r.Predicted = append(r.IDs, e.ids...), append(r.Predicted, e.predicted...)
	r.Cu, r.Index = append(r.Cu, int64(len(r.IDs))), append(r.Index, index)
	r.Predicts, r.PromptLen = r.Predicts+n, r.PromptLen+len(e.ids)-n
	for _, c := range []struct {
		is    bool
		count *int
	}{{e.cut, &r.CutOff}, {e.merged, &r.Merged}, {!slices.Contains(e.ids[max(0, len(e.ids)-2):], eos), &r.NoEOS}} {
		if c.is {
			*c.count++
		}
	}
}

// row returns a row as tokens. A row of Text can become several.
func (o *Options) row(tok Tokenizer, format Format, row Row) ([]encoded, error) {
	switch {
	case format == Text:
		return o.text(tok, row), nil
	case o.Template == TemplateChat:
		e, err := o.conversation(tok, row)
		return []encoded{e}, err
	}
	prompt := row.Instruction
	if o.Template == TemplateAlpaca {
		prompt = AlpacaPrompt(row.Instruction, row.Input)
	}
	e, err := o.response(tok, prompt, row.Output)
	return []encoded{e}, err
}

// response returns a prompt and its response as tokens, as alpaca-lora does: the
// text is cut to the cutoff, and EOS follows if there is room for it.
func (o *Options) response(tok Tokenizer, prompt, output string) (encoded, error) {
	before, _ := tok.Affixes()
	ids := tok.AppendIDs(slices.Clone(before), prompt+output, o.ParseSpecial)
	if err := checkStart(tok, ids, before); err != nil {
		return encoded{}, err
	}
	e := o.cut(ids, o.EOS)
	start := 1
	if !o.TrainOnInputs {
		alone := tok.AppendIDs(slices.Clone(before), prompt, o.ParseSpecial)
		n := commonPrefix(alone, ids)
		e.merged = n < len(alone)
		start = max(1, n)
	}
	for i := start; i < len(e.ids); i++ {
		e.predicted[i] = true
	}
	return e, nil
}

// cut returns ids cut to the cutoff. It appends eos if there is room for it and
// ids do not end with it.
func (o *Options) cut(ids []int32, eos int32) encoded {
	e := encoded{ids: ids}
	if e.cut = len(ids) > o.Cutoff; e.cut {
		e.ids = ids[:o.Cutoff]
	}
	if len(e.ids) < o.Cutoff && (len(e.ids) == 0 || e.ids[len(e.ids)-1] != eos) {
		e.ids = append(e.ids, eos)
	}
	e.predicted = make([]bool, len(e.ids))
	return e
}

// conversation returns a conversation as tokens. The template ends the turns, so
// nothing is appended.
func (o *Options) conversation(tok Tokenizer, row Row) (encoded, error) {
	c, err := o.Chat.Encode(tok, row.messages(), o.ChatOptions)
	if err != nil {
		return encoded{}, err
	}
	before, _ := tok.Affixes()
	if err := checkStart(tok, c.IDs, before); err != nil {
		return encoded{}, err
	}
	e := encoded{ids: c.IDs, predicted: c.Reply, cut: len(c.IDs) > o.Cutoff}
	if e.cut {
		e.ids, e.predicted = e.ids[:o.Cutoff], e.predicted[:o.Cutoff]
	}
	for i := range e.predicted {
		e.predicted[i] = i > 0 && (e.predicted[i] || o.TrainOnInputs)
	}
	return e, nil
}

// text returns a text as rows of at most cutoff tokens, with BOS before the
// first and EOS after the last. All tokens but the first of each row are
// predicted.
func (o *Options) text(tok Tokenizer, row Row) (list []encoded) {
	before, _ := tok.Affixes()
	ids := append(tok.AppendIDs(slices.Clone(before), row.Output, o.ParseSpecial), o.EOS)
	for part := range slices.Chunk(ids, o.Cutoff) {
		e := encoded{ids: part, predicted: make([]bool, len(part))}
		for i := 1; i < len(part); i++ {
			e.predicted[i] = true
		}
		list = append(list, e)
	}
	return list
}

// checkStart returns an error if a row begins with BOS twice, which happens when
// a template writes it and the tokenizer adds it.
func checkStart(tok Tokenizer, ids, before []int32) error {
	if len(before) != 1 || len(ids) < 2 || ids[0] != before[0] || ids[1] != before[0] {
		return nil
	}
	var first []string
	for _, id := range ids[:min(8, len(ids))] {
		first = append(first, tok.Token(id))
	}
	return fmt.Errorf("the row begins with %s twice: %s; the template and the text must not begin with it",
		place.Quote(tok.Token(before[0])), place.List(first))
}

func commonPrefix(a, b []int32) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
