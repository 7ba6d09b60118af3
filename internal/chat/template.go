// Package chat renders conversations with the Jinja templates that models are
// published with, byte for byte as transformers does, and turns them into token
// ids with the tokens that the assistant says.
//
// A template is code that somebody else wrote. It cannot read files, and a rendering has a
// budget of steps, memory and time.
package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"

	"github.com/lor2c/lor2c/internal/place"
)

// Template is a parsed template. It may render from many goroutines at once.
type Template struct {
	source       string
	parsed       *exec.Template
	marksReplies bool
}

// Parse parses a template. Its errors begin with "chat: template" and say which
// construct is not supported.
func Parse(source string) (t *Template, err error) {
	defer func() {
		if r := recover(); r != nil {
			t, err = nil, fmt.Errorf("chat: template: it cannot be parsed: %s", oneLine(fmt.Sprint(r)))
		}
	}()
	if err := checkSource(source); err != nil {
		return nil, fmt.Errorf("chat: template: %w", err)
	}
	repaired := repair(source)
	parsed, err := parse(repaired)
	if err != nil {
		// gonja knows conditional expressions only where they stand alone.
		var again error
		if parsed, again = parse(rewriteConditions(repaired)); again != nil {
			return nil, fmt.Errorf("chat: template: %s", oneLine(parseFault(err)))
		}
	}
	t = &Template{source: source, parsed: parsed}
	for _, p := range divide(source) {
		if tag, _ := firstWord(p.source + "  "); p.code && tag == "generation" {
			t.marksReplies = true
		}
	}
	return t, nil
}

func parse(source string) (*exec.Template, error) {
	return exec.NewTemplate(rootName, settings(), sourceLoader(source), jinja())
}

// parseFault returns the message of gonja without the source, which it repeats.
func parseFault(err error) string {
	text := err.Error()
	if at := strings.LastIndex(text, "': "); at >= 0 && strings.HasPrefix(text, "failed to parse template") {
		text = text[at+3:]
	}
	return text
}

// oneLine returns the end of a text as one line. The cause is at the end of
// gonja's errors.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = "..." + strings.ToValidUTF8(text[len(text)-300:], "")
	}
	return text
}

const rootName = "chat_template"

// sourceLoader gives gonja the source of one template, and no other.
type sourceLoader string

// Read implements loaders.Loader.
func (s sourceLoader) Read(path string) (io.Reader, error) {
	if path != rootName {
		return nil, errors.New("a chat template cannot read other templates")
	}
	return strings.NewReader(string(s)), nil
}

// Resolve implements loaders.Loader.
func (s sourceLoader) Resolve(path string) (string, error) { return path, nil }

// Inherit implements loaders.Loader.
func (s sourceLoader) Inherit(string) (loaders.Loader, error) { return s, nil }

// Message is one turn of a conversation. Fields is the message as JSON if it
// has more than a role and a text; the template then sees all of it.
type Message struct {
	Role    string          `json:"role"`
	Content string          `json:"content"`
	Fields  json.RawMessage `json:"-"`
}

// Options are the variables of a template besides the messages.
type Options struct {
	// AddGenerationPrompt makes the result end where the assistant begins.
	AddGenerationPrompt bool
	BOS, EOS            string // spellings of the tokens
	// Tools is a JSON array of the tools that the assistant may call, or nil.
	Tools json.RawMessage
	// Date is what strftime_now formats. If it is zero, templates do not find
	// the function, and those of Llama 3 use their own fixed date: a training
	// run must not depend on the day.
	Date time.Time
}

// Render returns the text of a conversation. The error of a template that
// refuses the conversation has the template's own words.
func (t *Template) Render(messages []Message, opts Options) (string, error) {
	text, _, err := t.render(messages, opts, strings.NewReplacer())
	return text, err
}

// MarksReplies reports whether the template itself marks what the assistant
// says, with {% generation %}.
func (t *Template) MarksReplies() bool { return t.marksReplies }

// marksKey is the variable with the marks of a rendering. No template can name it.
const marksKey = "\x00marks"

// marks are put around what the assistant says.
type marks struct{ begin, end string }

// span is a part of a text, in bytes.
type span struct{ start, end int }

// render returns the text and the parts of it that {% generation %} marks. clean
// is applied to all texts of the messages and tools.
func (t *Template) render(
	messages []Message, opts Options, clean *strings.Replacer,
) (text string, spoken []span, err error) {
	defer func() {
		if r := recover(); r != nil {
			text, spoken, err = "", nil, fmt.Errorf("chat: render: the template fails: %s", oneLine(fmt.Sprint(r)))
		}
	}()
	free := unusedRunes(t.source, messages, 2)
	m := marks{string(free[0]), string(free[1])}
	used := &budget{deadline: time.Now().Add(maxTime)}
	data := map[string]any{
		"add_generation_prompt": opts.AddGenerationPrompt, "bos_token": opts.BOS, "eos_token": opts.EOS,
		"raise_exception": func(message string) (string, error) { return "", used.fail(errors.New(message)) },
		budgetKey:         used, marksKey: m,
	}
	if data["messages"], err = messageValues(messages, clean); err != nil {
		return "", nil, fmt.Errorf("chat: render: %w", err)
	}
	if opts.Tools != nil {
		if data["tools"], err = decodeJSON(opts.Tools, clean); err != nil {
			return "", nil, fmt.Errorf("chat: render: tools: %w", err)
		}
	}
	if !opts.Date.IsZero() {
		data["strftime_now"] = func(layout string) (string, error) { return strftime(opts.Date, layout) }
	}
	var out limitedWriter
	if err := t.parsed.Execute(&out, exec.NewContext(data)); err != nil {
		if used.fault != nil {
			err = used.fault
		}
		return "", nil, fmt.Errorf("chat: render: %s", oneLine(err.Error()))
	}
	text, spoken = takeMarks(out.String(), m)
	return text, spoken, nil
}

// takeMarks removes marks from a text and returns what was between them. A mark
// inside other marks has no effect.
func takeMarks(text string, m marks) (string, []span) {
	var out strings.Builder
	var spoken []span
	depth := 0
	for text != "" {
		at := strings.IndexAny(text, m.begin+m.end)
		if at < 0 {
			break
		}
		out.WriteString(text[:at])
		if strings.HasPrefix(text[at:], m.begin) {
			if depth++; depth == 1 {
				spoken = append(spoken, span{start: out.Len()})
			}
		} else if depth--; depth == 0 {
			spoken[len(spoken)-1].end = out.Len()
		}
		text = text[at+len(m.begin):]
	}
	out.WriteString(text)
	return out.String(), spoken
}

// unusedRunes returns n noncharacters that occur neither in the source nor in
// the messages, for marks that are removed again.
func unusedRunes(source string, messages []Message, n int) []rune {
	var free []rune
	for r := rune(0xfdd0); r <= 0xfdef && len(free) < n; r++ {
		used := strings.ContainsRune(source, r)
		for _, m := range messages {
			used = used || strings.ContainsRune(m.Content, r) || strings.ContainsRune(m.Role, r) ||
				strings.ContainsRune(string(m.Fields), r)
		}
		if !used {
			free = append(free, r)
		}
	}
	if len(free) < n {
		panic("the conversation uses all Unicode noncharacters")
	}
	return free
}

// messageValues returns messages as gonja has them.
func messageValues(messages []Message, clean *strings.Replacer) ([]any, error) {
	list := make([]any, len(messages))
	for i, m := range messages {
		if m.Fields != nil {
			v, err := decodeJSON(m.Fields, clean)
			if err != nil {
				return nil, fmt.Errorf("message %d: %w", i, err)
			}
			list[i] = v
			continue
		}
		d := exec.NewDict()
		setKey(d, "role", clean.Replace(m.Role))
		setKey(d, "content", clean.Replace(m.Content))
		list[i] = d
	}
	return list, nil
}

// strftime formats a date with the directives that chat templates use.
func strftime(t time.Time, layout string) (string, error) {
	directives := map[byte]string{'d': "02", 'b': "Jan", 'B': "January", 'Y': "2006", 'm': "01", 'y': "06", 'H': "15",
		'M': "04", 'S': "05",
		'A': "Monday", 'a': "Mon"}
	var out strings.Builder
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' {
			out.WriteByte(layout[i])
			continue
		}
		i++
		if i >= len(layout) || directives[layout[i]] == "" {
			return "", fmt.Errorf("strftime_now: format %s is not supported; supported: %%a %%A %%b %%B %%d %%H %%m %%M %%S "+
				"%%y %%Y", place.Quote(layout))
		}
		out.WriteString(t.Format(directives[layout[i]]))
	}
	return out.String(), nil
}
