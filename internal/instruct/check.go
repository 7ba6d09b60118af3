package instruct

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/mangled"
	"github.com/lor2c/lor2c/internal/place"
)

// Check describes a file of instruction data and what is probably a mistake in it. Of each kind of row it has the first
// mostLines.
type Check struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	Format Format `json:"format"`
	Rows   int    `json:"rows"`

	Duplicates  Lines     `json:"duplicates"`   // rows that an earlier row is equal to
	Conflicts   Lines     `json:"conflicts"`    // rows with the prompt of an earlier row and another response
	Empty       Lines     `json:"empty"`        // rows without a response
	Undecoded   Lines     `json:"undecoded"`    // rows with U+FFFD, which stands for bytes that were not text
	Misread     Lines     `json:"misread"`      // rows with UTF-8 that a program read with another encoding
	HTML        Lines     `json:"html"`         // rows with escapes or line breaks of HTML, code left out
	SpecialText Lines     `json:"special_text"` // rows that spell a special token of the tokenizer
	Tokens      *Tokens   `json:"tokens,omitempty"`
	Overlaps    []Overlap `json:"overlaps,omitempty"`

	shared bool // as in File
}

// Lines are the rows of one kind.
type Lines struct {
	Count int   `json:"count"`
	Rows  []int `json:"rows"`  // the numbers of the first of them
	Lines []int `json:"lines"` // on which these begin

	// Example is the fault in the first of these rows with some text around it, if the fault is in a part of the text.
	Example string `json:"example,omitempty"`
}

// mostLines is how many rows are kept of each kind.
const mostLines = 20

func (l *Lines) add(r Row) {
	l.Count++
	if len(l.Lines) < mostLines {
		l.Rows, l.Lines = append(l.Rows, r.Number), append(l.Lines, r.Line)
	}
}

// addTrace adds a row if a trace of damage was found in it.
func (l *Lines) addTrace(r Row, trace mangled.Trace, found bool) {
	if !found {
		return
	}
	if l.add(r); l.Count == 1 {
		l.Example = trace.Excerpt()
	}
}

// Tokens describes the rows of a file as a model sees them.
type Tokens struct {
	Cutoff    int      `json:"max_length"`
	Total     int      `json:"total"`     // of all rows, after the cutoff
	Predicted int      `json:"predicted"` // of these, the ones that are learnt
	CutOff    int      `json:"cut_off"`   // rows that lose tokens to the cutoff
	Lost      int      `json:"lost"`      // tokens that they lose
	EOS       int      `json:"eos"`       // rows that end with the end token
	Merged    int      `json:"merged"`    // rows whose prompt and response share a token at their border
	Dropped   Lines    `json:"dropped"`   // rows without a token to predict
	Lengths   []Bucket `json:"lengths"`   // of the rows before the cutoff
	Longest   int      `json:"longest"`
}

// Bucket counts the rows of at most a number of tokens, and more than those of the bucket before it.
type Bucket struct {
	Tokens int `json:"tokens"`
	Rows   int `json:"rows"`
}

// NewCheck describes a file without a tokenizer.
func NewCheck(f *File) *Check {
	c := &Check{File: f.Path, SHA256: f.SHA256, Format: f.Format, Rows: len(f.Rows), shared: f.shared}
	rows, prompts := map[string]bool{}, map[string]bool{}
	for _, r := range f.Rows {
		prompt, response := r.halves()
		switch key := r.key(); {
		case rows[key]:
			c.Duplicates.add(r)
		case f.Format != Text && prompts[prompt]:
			c.Conflicts.add(r)
			fallthrough
		default:
			rows[key], prompts[prompt] = true, true
		}
		if strings.TrimSpace(response) == "" {
			c.Empty.add(r)
		}
		c.lintText(r, prompt+"\n"+response)
	}
	return c
}

// lintText looks for damage in the text of a row.
func (c *Check) lintText(r Row, text string) {
	trace, found := mangled.Undecoded(text)
	c.Undecoded.addTrace(r, trace, found)
	trace, found = mangled.Misread(text)
	c.Misread.addTrace(r, trace, found)
	trace, found = mangled.HTML(text)
	c.HTML.addTrace(r, trace, found)
}

// halves returns the text before the last response of a row, and that response.
func (r Row) halves() (prompt, response string) {
	if r.Messages == nil {
		return r.Instruction + "\n" + r.Input, r.Output
	}
	last := len(r.Messages) - 1
	if r.Messages[last].Role == "assistant" {
		response = r.Messages[last].Content
	} else {
		last++
	}
	var b strings.Builder
	for _, m := range r.Messages[:last] {
		fmt.Fprintf(&b, "%s: %s\n", m.Role, m.Content)
	}
	return b.String(), response
}

// Encode adds the description of the rows as tokens, with their lengths before the cutoff.
func (c *Check) Encode(ctx context.Context, tok Tokenizer, f *File, opts Options) error {
	cut, err := Encode(ctx, tok, f, opts)
	if err != nil {
		return err
	}
	c.AddEncoded(tok, f, cut, opts)
	opts.Cutoff = 1 << 30
	all, err := Encode(ctx, tok, f, opts)
	if err != nil {
		return err
	}
	t := c.Tokens
	t.Lost = len(all.IDs) - len(cut.IDs)
	lengths := all.Lengths()
	t.Longest = slices.Max(lengths)
	for top := 32; ; top *= 2 {
		n := 0
		for _, l := range lengths {
			if l <= top && (l > top/2 || top == 32) {
				n++
			}
		}
		t.Lengths = append(t.Lengths, Bucket{top, n})
		if top >= t.Longest {
			return nil
		}
	}
}

// AddEncoded adds the description of the rows as the tokens that Encode returned for them, which does not say what the
// cutoff took away.
func (c *Check) AddEncoded(tok Tokenizer, f *File, rows *Rows, opts Options) {
	specials := slices.DeleteFunc(slices.Clone(tok.SpecialTokens()), func(s string) bool { return len(s) < 3 })
	for _, r := range f.Rows {
		prompt, response := r.halves()
		spelt := func(s string) bool { return strings.Contains(prompt, s) || strings.Contains(response, s) }
		if !opts.ParseSpecial && slices.ContainsFunc(specials, spelt) {
			c.SpecialText.add(r)
		}
	}
	c.Tokens = &Tokens{
		Cutoff: opts.Cutoff, Total: len(rows.IDs), Predicted: rows.Predicts, CutOff: rows.CutOff, Merged: rows.Merged,
		EOS: rows.Len() - rows.NoEOS,
	}
	for _, i := range rows.Dropped {
		c.Tokens.Dropped.add(f.Rows[i])
	}
}

// Findings returns what is probably a mistake. The texts name rows, so no finding has a line of its own.
func (c *Check) Findings() (list []dataset.Finding) {
	for _, f := range []struct {
		kind  string
		lines Lines
		what  string
	}{
		{"doubled", c.Duplicates, "rows that repeat an earlier row"},
		{"conflict", c.Conflicts, "rows with the prompt of an earlier row and another response"},
		{"empty", c.Empty, "rows without a response, from which the model learns to say nothing"},
		{"undecoded", c.Undecoded, "rows with U+FFFD, which stands for bytes that were not text"},
		{"misread", c.Misread, "rows with UTF-8 text that a program read as Latin-1 or Windows-1252"},
		{"html", c.HTML, "rows with escapes or line breaks of HTML, which the model learns as text"},
		{"special_text", c.SpecialText,
			"rows that spell a special token of the tokenizer, which stays text without data.parse_special"},
	} {
		list = c.add(list, f.kind, f.lines, f.what)
	}
	if t := c.Tokens; t != nil {
		list = c.add(list, "dropped", t.Dropped,
			fmt.Sprintf("rows without a token to predict within %d tokens, which are left out", t.Cutoff))
		if t.EOS == 0 {
			list = append(list, dataset.Finding{Kind: "endless", Path: c.File, Count: c.Rows,
				Text: "no row ends with the end token, so the model does not learn to stop; a larger data.max_length may " +
					"leave room for it"})
		}
	}
	for _, o := range c.Overlaps {
		list = c.add(list, "overlap", o.Rows,
			fmt.Sprintf("rows that share %d words in a row, or all words, with %s, such as %s", gramWords, o.With, o.Example))
	}
	return list
}

// add appends a finding about rows to list, if there are any.
func (c *Check) add(list []dataset.Finding, kind string, l Lines, what string) []dataset.Finding {
	if l.Count == 0 {
		return list
	}
	where := "in row " + l.first(l.Rows)
	if !c.shared && !slices.Equal(l.Rows, l.Lines) {
		where += " (line " + l.first(l.Lines) + ")"
	}
	if l.Example != "" {
		what += ", such as " + place.Quote(l.Example)
	}
	return append(list, dataset.Finding{Kind: kind, Path: c.File, Count: l.Count,
		Text: fmt.Sprintf("%s: %d, %s", what, l.Count, where)})
}

// first returns the first numbers of a list that describes l.
func (l Lines) first(list []int) string {
	text := strings.ReplaceAll(strings.Trim(fmt.Sprint(list[:min(5, len(list))]), "[]"), " ", ", ")
	if l.Count > 5 {
		text += ", ..."
	}
	return text
}
