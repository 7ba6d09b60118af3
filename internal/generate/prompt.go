package generate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/place"
)

// errNoTemplate is the error for a conversation with a model that has no chat template.
var errNoTemplate = errors.New("the model has no chat template; use a model that was tuned for conversations, or " +
	"--template alpaca for one that was fine-tuned on Alpaca")

// SetTemplate chooses how Prompt makes a text of a conversation: one of the templates of package instruct.
func (t *Texts) SetTemplate(name string) error {
	t.template = name
	if name != instruct.TemplateChat {
		return nil
	}
	source, ok, err := t.Tokenizer.ChatTemplate()
	if err != nil {
		return err
	}
	if !ok {
		return place.Mistake(fmt.Errorf("generate: open %s: %w", t.dir, errNoTemplate))
	}
	parsed, err := chat.Parse(source)
	if err != nil {
		return place.Mistake(fmt.Errorf("generate: open %s: %w", t.dir, err))
	}
	t.chat = parsed
	return nil
}

// Encoding returns the argument of instruct.Encode that puts rows of the format f into the form of a template or, if
// none is named, of the format's default template.
func (t *Texts) Encoding(template string, f instruct.Format, cutoff int) (o instruct.Options, err error) {
	if err := t.SetTemplate(cmp.Or(template, instruct.DefaultTemplate(f))); err != nil {
		return o, err
	}
	return instruct.Options{
		Template: t.template, Chat: t.chat, ChatOptions: t.chatOptions(), Cutoff: cutoff, EOS: t.Tokenizer.EOS(),
	}, nil
}

// chatOptions returns the variables of the model's template.
func (t *Texts) chatOptions() chat.Options {
	return chat.Options{BOS: t.token(t.Tokenizer.BOS()), EOS: t.token(t.Tokenizer.EOS())}
}

// Prompt returns the tokens of a conversation up to the answer to its last message, in the form of the template. Only
// the model's own template has a form for several messages; with the others, the prompt is the last message.
func (t *Texts) Prompt(messages []chat.Message) ([]int32, error) {
	text := messages[len(messages)-1].Content
	switch t.template {
	case instruct.TemplateChat:
		ids, err := t.chat.Prompt(t.Tokenizer, messages, t.chatOptions())
		if err != nil {
			return nil, place.Mistake(fmt.Errorf("generate: render the conversation: %w", err))
		}
		return ids, nil
	case instruct.TemplateAlpaca:
		before, _ := t.Tokenizer.Affixes()
		return t.Tokenizer.AppendIDs(slices.Clone(before), instruct.AlpacaPrompt(text, ""), false), nil
	}
	return t.Tokenizer.Encode(text, nil, 0).IDs, nil
}

// Converses reports whether the template has a form for several messages.
func (t *Texts) Converses() bool { return t.template == instruct.TemplateChat }

// token returns the spelling of a token, or "" if id is negative.
func (t *Texts) token(id int32) string {
	if id < 0 {
		return ""
	}
	return t.Tokenizer.Token(id)
}
