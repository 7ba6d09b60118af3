package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
)

// chatHelp is what /help prints.
const chatHelp = `/reset          begin a new conversation
/system TEXT    set the system message and begin a new conversation; without TEXT, show it
/undo           remove the last question and its answer
/save FILE      append the conversation to FILE, a .jsonl file that data.train can name
/help           this list
/exit           end the chat, as Ctrl-D does
""" begins and ends a question of several lines. Ctrl-C ends an answer.
`

// talker is a chat in a terminal, or with the lines of a file or a pipe.
type talker struct {
	*generate.Conversation
	lines lineReader
	out   io.Writer
	live  bool // out is a terminal
	flow  *terminal.Flow
}

// lineReader reads what a user types.
type lineReader interface {
	// read returns the next line. It returns errCleared if the user discarded it, and io.EOF at the end.
	read(ctx context.Context, prompt string) (string, error)
}

// errCleared reports that the user discarded a line.
var errCleared = errors.New("the line was discarded")

// talk runs a chat until the user ends it.
func talk(c *cobra.Command, conversation *generate.Conversation) error {
	screen := terminal.Of(os.Stdout)
	t := &talker{Conversation: conversation, out: c.OutOrStdout(), live: screen.Live}
	t.flow = &terminal.Flow{W: t.out, Width: screen.Width}
	t.lines = newLineReader(c.InOrStdin(), t.live)
	if t.live {
		t.say("Type a question, or /help.\n")
	}
	for {
		line, err := t.question(c.Context())
		switch {
		case errors.Is(err, errCleared):
			t.say("Ctrl-D or /exit ends the chat.\n")
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if command, argument, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(command, "/") {
			if command == "/exit" || command == "/bye" || command == "/quit" {
				return nil
			}
			t.command(command, strings.TrimSpace(argument))
			continue
		}
		if err := t.answer(c.Context(), line); err != nil {
			return err
		}
	}
}

// say writes whole lines to the user at once.
func (t *talker) say(text string) {
	t.stream(text)
	t.flow.Flush()
	flush(t.out)
}

// stream writes a part of a line to the user.
func (t *talker) stream(text string) {
	t.flow.Write(text)
	flush(t.out)
}

// question reads a question: a line, or the lines between two """.
func (t *talker) question(ctx context.Context) (string, error) {
	const quotes = `"""`
	line, err := t.lines.read(ctx, ">>> ")
	rest, several := strings.CutPrefix(strings.TrimLeft(line, " "), quotes)
	if err != nil || !several {
		return line, err
	}
	for !strings.Contains(rest, quotes) {
		more, err := t.lines.read(ctx, "... ")
		if err != nil {
			return "", err
		}
		rest += "\n" + more
	}
	text, _, _ := strings.Cut(rest, quotes)
	return strings.TrimPrefix(text, "\n"), nil
}

// answer asks the model. An interrupt ends the answer and not the chat.
func (t *talker) answer(ctx context.Context, question string) error {
	asking, stop := context.WithCancel(ctx)
	defer stop()
	defer onInterrupt(ctx, stop)()
	a, err := t.Ask(asking, question, func(part string) { t.stream(printable(part, t.live)) })
	if err != nil && exitCode(err) != exitUsage {
		return err
	}
	if err != nil { // the question does not fit
		t.say(err.Error() + "\n")
		return nil
	}
	t.say("\n")
	if a.Dropped > 0 {
		t.say("(the conversation has become too long; it continues without its first " +
			place.Count(a.Dropped, "message", "messages") + ")\n")
	}
	switch a.Reason {
	case generate.Interrupted:
		t.say("(the answer was interrupted)\n")
	case generate.Length:
		t.say("(the answer has as many tokens as --max-new-tokens and --context allow)\n")
	}
	if ctx.Err() != nil {
		return fmt.Errorf("lor2c: generate: %w", generate.ErrInterrupted)
	}
	return nil
}

// command runs a line that begins with a slash.
func (t *talker) command(name, argument string) {
	switch name {
	case "/help", "/?":
		t.say(chatHelp)
	case "/reset", "/clear":
		t.Turns = nil
		t.say("The conversation is empty.\n")
	case "/undo":
		t.Turns = t.Turns[:max(0, len(t.Turns)-2)]
		t.say(fmt.Sprintf("The conversation has %s.\n", place.Count(len(t.Turns), "message", "messages")))
	case "/system":
		switch {
		case argument != "":
			t.System, t.Turns = argument, nil
			t.say("The system message is set, and the conversation is empty.\n")
		case t.System == "":
			t.say("There is no system message beside that of the model's template.\n")
		default:
			t.say(printable(t.System, t.live) + "\n")
		}
	case "/save":
		if err := t.save(argument); err != nil {
			t.say(err.Error() + "\n")
			return
		}
		t.say(fmt.Sprintf("%s has %s more.\n", argument, place.Count(1, "conversation", "conversations")))
	default:
		t.say("There is no " + printable(name, t.live) + "; /help lists the commands.\n")
	}
}

// save appends the conversation to a file as a row of messages.
func (t *talker) save(path string) error {
	if path == "" {
		return errors.New("/save needs the name of a file, such as /save chat.jsonl")
	}
	if len(t.Turns) == 0 {
		return errors.New("there is nothing to save yet")
	}
	row, err := json.Marshal(struct {
		Messages []chat.Message `json:"messages"`
	}{t.Messages()})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(append(row, '\n'))
	return errors.Join(err, f.Close())
}

// printable returns text without control characters that a terminal would obey.
func printable(text string, live bool) string {
	if !live {
		return text
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
}
