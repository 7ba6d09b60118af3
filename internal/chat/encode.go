package chat

import (
	"fmt"
	"strings"
)

// Tokenizer is what Encode needs of a tokenizer.
type Tokenizer interface {
	AppendGuarded(dst []int32, text, guard string) []int32
	SpecialTokens() []string
}

// Encoded is a conversation as T token ids. Reply[i] is true for the tokens that
// the assistant says, the token that ends its turn included.
type Encoded struct {
	IDs   []int32 // [T]
	Reply []bool  // [T]
}

// Encode returns the ids of a rendered conversation. A special token that a
// message spells stays text. What the assistant says is what the template marks
// with {% generation %}, or else what each of its turns adds to the text; Encode
// returns an error if a later turn changes an earlier one, because the turns
// cannot be told apart then.
func (t *Template) Encode(tok Tokenizer, messages []Message, opts Options) (Encoded, error) {
	guard := string(unusedRunes(t.source, messages, 3)[2])
	clean := guardSpecials(tok.SpecialTokens(), guard)
	text, spoken, err := t.render(messages, opts, clean)
	if err != nil {
		return Encoded{}, err
	}
	if !t.marksReplies {
		if spoken, err = t.replies(messages, opts, clean, text); err != nil {
			return Encoded{}, err
		}
	}
	e := Encoded{IDs: tok.AppendGuarded(nil, text, guard)}
	e.Reply = make([]bool, len(e.IDs))
	// A border inside a token belongs to the reply.
	border := func(at int) int {
		prefix := tok.AppendGuarded(nil, text[:at], guard)
		n := 0
		for n < len(prefix) && n < len(e.IDs) && prefix[n] == e.IDs[n] {
			n++
		}
		return n
	}
	for _, s := range spoken {
		end := len(e.IDs)
		if s.end < len(text) {
			end = border(s.end)
		}
		for i := border(s.start); i < end; i++ {
			e.Reply[i] = true
		}
	}
	return e, nil
}

// Prompt returns the ids of a conversation up to where the assistant answers its last message. A special token that a
// message spells stays text.
func (t *Template) Prompt(tok Tokenizer, messages []Message, opts Options) ([]int32, error) {
	guard := string(unusedRunes(t.source, messages, 3)[2])
	opts.AddGenerationPrompt = true
	text, _, err := t.render(messages, opts, guardSpecials(tok.SpecialTokens(), guard))
	if err != nil {
		return nil, err
	}
	return tok.AppendGuarded(nil, text, guard), nil
}

// replies returns what the turns of the assistant add to the text of a
// conversation.
func (t *Template) replies(messages []Message, opts Options, clean *strings.Replacer, text string) ([]span, error) {
	var spoken []span
	for i, m := range messages {
		if m.Role != "assistant" {
			continue
		}
		before, after := opts, opts
		before.AddGenerationPrompt, after.AddGenerationPrompt = true, false
		prompt, _, err := t.render(messages[:i], before, clean)
		if err != nil {
			return nil, err
		}
		turn := text
		if i+1 < len(messages) || opts.AddGenerationPrompt {
			if turn, _, err = t.render(messages[:i+1], after, clean); err != nil {
				return nil, err
			}
		}
		if !strings.HasPrefix(text, turn) || !strings.HasPrefix(turn, prompt) {
			return nil, fmt.Errorf("chat: render: the template renders turn %d in another way when more turns follow or a "+
				"reply begins; mark what the assistant says with {%% generation %%} in the template, or use conversations of "+
				"one reply", i+1)
		}
		spoken = append(spoken, span{len(prompt), len(turn)})
	}
	return spoken, nil
}

// guardSpecials returns a replacer that puts guard after the first character of
// every special token.
func guardSpecials(specials []string, guard string) *strings.Replacer {
	var pairs []string
	for _, s := range specials {
		if s != "" {
			first := len(string([]rune(s)[0]))
			pairs = append(pairs, s, s[:first]+guard+s[first:])
		}
	}
	return strings.NewReplacer(pairs...)
}
