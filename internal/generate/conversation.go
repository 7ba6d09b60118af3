package generate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/place"
)

// Interrupted is the Reason of an answer that the caller's context ended.
const Interrupted Reason = "interrupted"

// Conversation is a chat with a model. The tokens that a question has in common with the conversation before it are not
// computed again.
type Conversation struct {
	Texts     *Texts
	Generator *Generator
	System    string         // the message that sets the model's behaviour; may be empty
	Turns     []chat.Message // questions and answers in turn
	MaxNew    int            // the most tokens of an answer
	Tokens    int            // the most tokens of the whole conversation
	Stops     []string       // an answer ends before the first of these
}

// Answer is the answer to a question.
type Answer struct {
	Text    string
	Reason  Reason
	Prompt  int // tokens of the conversation before it
	Tokens  int // of it
	Dropped int // turns that were removed from the start of the conversation, because it became too long
}

// Ask adds a question and its answer to the conversation, and calls write with the parts of the answer as they come. If
// ctx ends, the answer is what was written so far. After an error the conversation is as before. A question that does
// not fit is an error.
func (c *Conversation) Ask(ctx context.Context, question string, write func(string)) (a Answer, err error) {
	turns := append(slices.Clone(c.Turns), chat.Message{Role: "user", Content: question})
	ids, turns, err := c.fit(turns)
	if err != nil {
		return a, err
	}
	a.Prompt, a.Dropped = len(ids), len(c.Turns)+1-len(turns)
	var text strings.Builder
	add := func(part string) {
		if text.Len() == 0 {
			part = strings.TrimLeft(part, " \n")
		}
		if part != "" {
			text.WriteString(part)
			write(part)
		}
	}
	stream := c.Texts.Tokenizer.NewStream(ids, c.Stops)
	g := c.Generator
	g.Token = func(_ int, id int32) bool {
		part, stopped := stream.Push(id)
		add(part)
		return stopped
	}
	results, err := g.Run(ctx, []Request{{IDs: ids, MaxNew: min(c.MaxNew, c.Tokens-len(ids))}}, 1)
	if err != nil && !errors.Is(err, ErrInterrupted) {
		return a, err
	}
	a.Reason = results[0].Reason
	if err != nil {
		a.Reason = Interrupted
	}
	part, stopped := stream.Flush()
	if add(part); stopped {
		a.Reason = Stopped
	}
	a.Text, a.Tokens = text.String(), len(results[0].IDs)
	c.Turns = append(turns, chat.Message{Role: "assistant", Content: a.Text})
	return a, nil
}

// fit returns the tokens of a conversation, and its turns. It leaves out the first turns if they leave no room for an
// answer. The last turn always stays.
func (c *Conversation) fit(turns []chat.Message) ([]int32, []chat.Message, error) {
	room := min(c.MaxNew, c.Tokens/4)
	for {
		ids, err := c.Texts.Prompt(c.messages(turns))
		switch {
		case err != nil:
			return nil, nil, err
		case len(ids) > 0 && len(ids)+room <= c.Tokens:
			return ids, turns, nil
		case len(turns) < 3:
			return nil, nil, place.Mistake(fmt.Errorf("generate: the question has %d tokens with its template; want 1 to %d, "+
				"which leaves room for an answer", len(ids), c.Tokens-room))
		}
		turns = turns[2:]
	}
}

// messages returns the system message, if there is one, and the turns after it.
func (c *Conversation) messages(turns []chat.Message) []chat.Message {
	if c.System == "" {
		return turns
	}
	return slices.Concat([]chat.Message{{Role: "system", Content: c.System}}, turns)
}

// Messages returns the conversation with its system message.
func (c *Conversation) Messages() []chat.Message { return c.messages(c.Turns) }
