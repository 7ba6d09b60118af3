package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// maxPrompt is the largest size in bytes of a file of prompts.
const maxPrompt = 16 << 20

// prompt is a text to continue, or a conversation to answer.
type prompt struct {
	Text     string
	Messages []chat.Message // nil for a text
}

// conversation returns a prompt as messages.
func (p prompt) conversation() []chat.Message {
	if p.Messages != nil {
		return p.Messages
	}
	return []chat.Message{{Role: "user", Content: p.Text}}
}

// read returns the texts to continue.
func (o generateOptions) read(c *cobra.Command) (list []prompt, err error) {
	switch {
	case len(o.prompts) > 0 && o.file != "":
		return nil, usageError{errors.New("lor2c: generate: -p and --file are both set; name the text once")}
	case len(o.prompts) > 0:
		for _, text := range o.prompts {
			list = append(list, prompt{Text: text})
		}
		return list, nil
	case o.file == "" || o.file == "-":
		raw, err := io.ReadAll(io.LimitReader(c.InOrStdin(), maxPrompt+1))
		if err != nil {
			return nil, fmt.Errorf("lor2c: generate: read standard input: %w", err)
		}
		if len(raw) > maxPrompt {
			return nil, usageError{fmt.Errorf("lor2c: generate: standard input has more than %d bytes; want a prompt",
				maxPrompt)}
		}
		return []prompt{{Text: string(raw)}}, nil
	}
	raw, err := infile.Read(o.file, maxPrompt)
	if err != nil {
		return nil, usageError{fmt.Errorf("lor2c: generate: open %s: %w", o.file, err)}
	}
	if !strings.EqualFold(filepath.Ext(o.file), ".jsonl") {
		return []prompt{{Text: string(raw)}}, nil
	}
	for i, line := range bytes.Split(raw, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		p, err := readPrompt(line)
		var at *strictjson.Error
		if errors.As(err, &at) {
			return nil, usageError{fmt.Errorf("lor2c: generate: read %s:%d:%d: %s; want an object with the key prompt or "+
				"messages", o.file, i+1, at.Position.Column, at.What)}
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("lor2c: generate: read %s:%d: %w", o.file, i+1, err)}
		}
		if p.Messages != nil && o.template != instruct.TemplateChat {
			return nil, usageError{fmt.Errorf("lor2c: generate: read %s:%d: the row has messages, which need --template chat",
				o.file, i+1)}
		}
		list = append(list, p)
	}
	if list == nil {
		return nil, usageError{fmt.Errorf("lor2c: generate: read %s: the file has no rows; want one at least", o.file)}
	}
	return list, nil
}

// readPrompt reads a row of a file of prompts.
func readPrompt(line []byte) (p prompt, err error) {
	var row map[string]json.RawMessage
	if err := strictjson.Unmarshal(line, &row); err != nil {
		return p, err
	}
	text, isText := row["prompt"]
	messages, isChat := row["messages"]
	switch {
	case isText == isChat:
		return p, fmt.Errorf("the row has the keys %s; want either prompt or messages",
			place.List(slices.Sorted(maps.Keys(row))))
	case isText:
		if err := json.Unmarshal(text, &p.Text); err != nil || p.Text == "" {
			return p, fmt.Errorf("prompt is %s; want a text", place.Quote(string(text)))
		}
		return p, nil
	}
	p.Messages, err = instruct.ParseMessages(messages)
	return p, err
}
