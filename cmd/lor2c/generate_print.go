package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

// generated is a text in the output of --json.
type generated struct {
	Prompt       string          `json:"prompt,omitempty"`
	Messages     []chat.Message  `json:"messages,omitempty"`
	Text         string          `json:"text"`
	IDs          []int32         `json:"token_ids"`
	PromptTokens int             `json:"prompt_tokens"`
	Reason       generate.Reason `json:"stop_reason"`
	Seed         uint64          `json:"seed"`
	generate.Sampling
}

// print continues the texts and prints them, each as soon as it and those before it are finished. A single text appears
// as it is generated.
func (o generateOptions) print(
	ctx context.Context, w io.Writer, g *generate.Generator, tok *tokenizer.Tokenizer, prompts []prompt,
	requests []generate.Request,
) error {
	streams, written := make([]*tokenizer.Stream, len(requests)), make([]strings.Builder, len(requests))
	for i, r := range requests {
		streams[i] = tok.NewStream(r.IDs, o.stops)
	}
	live := len(requests) == 1 && !o.json
	add := func(i int, text string) {
		written[i].WriteString(text)
		if live {
			io.WriteString(w, text)
			flush(w)
		}
	}
	g.Token = func(i int, id int32) bool {
		text, stopped := streams[i].Push(id)
		add(i, text)
		return stopped
	}
	if live {
		io.WriteString(w, o.before(prompts[0]))
		flush(w)
	}
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	finished, next := make([]*generate.Result, len(requests)), 0
	var failed error
	show := func(i int) {
		r := finished[i]
		if !o.json {
			fmt.Fprintf(w, "%s%s\n", o.before(prompts[i]), written[i].String())
			return
		}
		failed = errors.Join(failed, lines.Encode(generated{
			Prompt: prompts[i].Text, Messages: prompts[i].Messages, Text: written[i].String(), IDs: r.IDs,
			PromptTokens: len(requests[i].IDs), Reason: r.Reason, Seed: g.Seed, Sampling: g.Sampling,
		}))
	}
	g.Done = func(i int, r generate.Result) {
		text, stopped := streams[i].Flush()
		if add(i, text); stopped {
			r.Reason = generate.Stopped
		}
		finished[i] = &r
		for ; !live && next < len(finished) && finished[next] != nil; next++ {
			show(next)
		}
		flush(w)
	}
	_, err := g.Run(ctx, requests, o.batch)
	if live {
		fmt.Fprintln(w)
	}
	// Texts that were finished out of order are not lost in an interrupt.
	for ; !live && next < len(finished); next++ {
		if finished[next] != nil {
			show(next)
		}
	}
	return errors.Join(err, failed)
}

// before returns what is printed before a continuation: the prompt, if it is continued as it is.
func (o generateOptions) before(p prompt) string {
	if o.template == instruct.TemplateNone {
		return p.Text
	}
	return ""
}

// flush writes what w has buffered, so that it can be seen at once.
func flush(w io.Writer) {
	if b, ok := w.(interface{ Flush() error }); ok {
		_ = b.Flush() // a failure is kept, and reported when the command ends
	}
}
