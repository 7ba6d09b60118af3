// Package instruct reads instruction data and turns it into rows of token ids
// with the tokens that a decoder is trained to predict.
//
// Read reads a file, SplitFraction and SplitNumpy divide it, Encode tokenises its rows, LengthGrouped orders them, and
// Targets packs them.
package instruct

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/nearest"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// Format is the form of the rows of a file.
type Format string

// These are the formats. Auto stands for the one that the first row has.
const (
	Auto       Format = "auto"
	Alpaca     Format = "alpaca"     // instruction, input and output
	Completion Format = "completion" // prompt and completion
	Messages   Format = "messages"   // messages with role and content
	ShareGPT   Format = "sharegpt"   // conversations with from and value
	Text       Format = "text"       // text without a prompt
)

// formats are the formats with the keys that a row must have, in the order in
// which Auto looks for them.
var formats = []struct {
	name Format
	keys []string
}{
	{Alpaca, []string{"instruction", "output"}},
	{Completion, []string{"prompt", "completion"}},
	{Messages, []string{"messages"}},
	{ShareGPT, []string{"conversations"}},
	{Text, []string{"text"}},
}

// Row is one example of a file.
type Row struct {
	Number int // of the row in the file, from 1
	Line   int // 1-based line of the file on which the row begins

	// A row of Alpaca has an instruction and perhaps an input, one of Completion
	// a prompt as Instruction, and one of Text nothing but Output.
	Instruction, Input, Output string

	// Messages are the turns of a conversation.
	Messages []chat.Message
}

// maxText is the most bytes of one text.
const maxText = 1 << 20

// parseRow reads one row. format may be Auto.
func parseRow(raw []byte, format Format) (Row, Format, error) {
	var fields map[string]json.RawMessage
	var any json.RawMessage
	if err := strictjson.Unmarshal(raw, &any); err != nil {
		return Row{}, "", err
	}
	if len(any) == 0 || strings.TrimSpace(string(any))[0] != '{' || json.Unmarshal(any, &fields) != nil {
		return Row{}, "", errors.New("the row is not a JSON object; want one object for each row")
	}
	if format == Auto {
		for _, f := range formats {
			if len(missing(fields, f.keys)) == 0 {
				format = f.name
				break
			}
		}
		if format == Auto {
			return Row{}, "", unknownFormat(fields)
		}
	}
	var r Row
	var err error
	switch format {
	case Alpaca:
		err = texts(fields, map[string]*string{"instruction": &r.Instruction, "input": &r.Input, "output": &r.Output},
			"input")
	case Completion:
		err = texts(fields, map[string]*string{"prompt": &r.Instruction, "completion": &r.Output}, "")
	case Text:
		err = texts(fields, map[string]*string{"text": &r.Output}, "")
	case Messages:
		r.Messages, err = ParseMessages(fields["messages"])
	case ShareGPT:
		r.Messages, err = parseShareGPT(fields["conversations"])
	}
	return r, format, err
}

func missing(fields map[string]json.RawMessage, keys []string) (lacks []string) {
	for _, key := range keys {
		if _, ok := fields[key]; !ok {
			lacks = append(lacks, key)
		}
	}
	return lacks
}

// unknownFormat returns the error for a row that has the keys of no format.
func unknownFormat(fields map[string]json.RawMessage) error {
	found := slices.Sorted(maps.Keys(fields))
	var wanted []string
	hint := ""
	for _, f := range formats {
		wanted = append(wanted, strings.Join(f.keys, " and "))
		for _, key := range missing(fields, f.keys) {
			if near, ok := nearest.Name(key, found); ok && hint == "" {
				hint = fmt.Sprintf("; did you mean %s by %s?", place.Quote(key), place.Quote(near))
			}
		}
	}
	return fmt.Errorf("the row has the keys %s; want %s%s", place.List(found), strings.Join(wanted, ", or "), hint)
}

// texts reads the texts of a row. The key optional may be missing or null.
func texts(fields map[string]json.RawMessage, into map[string]*string, optional string) error {
	for _, key := range slices.Sorted(maps.Keys(into)) {
		raw, ok := fields[key]
		if key == optional && (!ok || string(raw) == "null") {
			continue
		}
		if !ok {
			found := slices.Sorted(maps.Keys(fields))
			return fmt.Errorf("no key %s; the row has %s", place.Quote(key), place.List(found))
		}
		if err := text(raw, into[key]); err != nil {
			return fmt.Errorf("%s %w", place.Quote(key), err)
		}
	}
	return nil
}

// text reads one JSON string. Its errors are meant to follow the name of the
// key.
func text(raw json.RawMessage, into *string) error {
	// Unmarshalling null into a string would silently give "".
	if err := json.Unmarshal(raw, into); err != nil || string(raw) == "null" {
		return fmt.Errorf("is %.40s; want a text", strings.Join(strings.Fields(string(raw)), " "))
	}
	switch {
	case len(*into) > maxText:
		return fmt.Errorf("has %d bytes; want at most %d", len(*into), maxText)
	case !utf8.ValidString(*into):
		return errors.New("is not UTF-8; want text encoded as UTF-8")
	}
	return nil
}

// roles are the roles of messages.
var roles = []string{"system", "user", "assistant", "tool"}

// ParseMessages reads a JSON list of messages with role and content.
func ParseMessages(raw json.RawMessage) ([]chat.Message, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		return nil, errors.New("messages is not a list of messages; want objects with role and content")
	}
	messages := make([]chat.Message, len(list))
	for i, one := range list {
		var fields map[string]json.RawMessage
		if json.Unmarshal(one, &fields) != nil {
			return nil, fmt.Errorf("message %d is not an object; want role and content", i+1)
		}
		m := &messages[i]
		// A message that calls tools may have no content.
		optional := ""
		_, calls := fields["tool_calls"]
		if calls {
			optional = "content"
		}
		if err := texts(fields, map[string]*string{"role": &m.Role, "content": &m.Content}, optional); err != nil {
			return nil, fmt.Errorf("message %d: %w", i+1, err)
		}
		if !slices.Contains(roles, m.Role) {
			return nil, fmt.Errorf("message %d has the role %s; want %s", i+1, place.Quote(m.Role), strings.Join(roles, ", "))
		}
		if len(fields) > 2 || calls {
			m.Fields = one
		}
	}
	return messages, nil
}

// shareGPTRoles are the names that ShareGPT files use for roles.
var shareGPTRoles = map[string]string{
	"system": "system", "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant",
	"assistant": "assistant", "tool": "tool",
}

func parseShareGPT(raw json.RawMessage) ([]chat.Message, error) {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		return nil, errors.New("conversations is not a list of turns; want objects with from and value")
	}
	messages := make([]chat.Message, len(list))
	for i, fields := range list {
		from := ""
		if err := texts(fields, map[string]*string{"from": &from, "value": &messages[i].Content}, ""); err != nil {
			return nil, fmt.Errorf("turn %d: %w", i+1, err)
		}
		role, ok := shareGPTRoles[from]
		if !ok {
			return nil, fmt.Errorf("turn %d is from %s; want %s", i+1, place.Quote(from),
				strings.Join(slices.Sorted(maps.Keys(shareGPTRoles)), ", "))
		}
		messages[i].Role = role
	}
	return messages, nil
}

// messages returns a row as a conversation. The instruction and the input of
// Alpaca become one message, with a line feed between them.
func (r Row) messages() []chat.Message {
	if r.Messages != nil {
		return r.Messages
	}
	prompt := r.Instruction
	if r.Input != "" {
		prompt += "\n" + r.Input
	}
	return []chat.Message{{Role: "user", Content: prompt}, {Role: "assistant", Content: r.Output}}
}

// responds reports whether a row has a text that a model can learn to answer.
func (r Row) responds() bool {
	if r.Messages == nil {
		return strings.TrimSpace(r.Output) != ""
	}
	return slices.ContainsFunc(r.Messages, func(m chat.Message) bool {
		return m.Role == "assistant" && (strings.TrimSpace(m.Content) != "" || m.Fields != nil)
	})
}

// key returns a text that is equal for rows of equal texts. Spaces around a text are ignored.
func (r Row) key() string {
	var b strings.Builder
	part := func(s string) {
		s = strings.TrimSpace(s)
		fmt.Fprintf(&b, "%d:%s", len(s), s)
	}
	part(r.Instruction)
	part(r.Input)
	part(r.Output)
	for _, m := range r.Messages {
		b.WriteString(m.Role)
		part(m.Content)
	}
	return b.String()
}

// Digest returns a hash of the texts of a row, in hexadecimal.
func (r Row) Digest() string {
	h := sha256.New()
	part := func(s string) { fmt.Fprintf(h, "%d:%s", len(s), s) }
	part(r.Instruction)
	part(r.Input)
	part(r.Output)
	for _, m := range r.Messages {
		part(m.Role)
		part(m.Content)
		part(string(m.Fields))
	}
	return hex.EncodeToString(h.Sum(nil))
}
