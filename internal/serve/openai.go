package serve

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"time"

	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/instruct"
)

// style is one of the two kinds of answers of the OpenAI API.
type style struct {
	prefix, object, chunk string
	// whole returns the choice of an answer, and part that of a part of one; the first part has a role.
	whole func(text string) map[string]any
	part  func(text string, first, last bool) map[string]any
}

var completions = style{
	"cmpl-", "text_completion", "text_completion",
	func(text string) map[string]any { return map[string]any{"text": text} },
	func(text string, _, _ bool) map[string]any { return map[string]any{"text": text} },
}

var conversations = style{
	"chatcmpl-", "chat.completion", "chat.completion.chunk",
	func(text string) map[string]any {
		return map[string]any{"message": map[string]any{"role": "assistant", "content": text}}
	},
	func(text string, first, last bool) map[string]any {
		delta := map[string]any{}
		if first {
			delta["role"] = "assistant"
		}
		if !last {
			delta["content"] = text
		}
		return map[string]any{"delta": delta}
	},
}

// complete answers POST /v1/completions.
func (d *decoder) complete(w http.ResponseWriter, r *http.Request) error {
	return d.answer(w, r, "prompt", completions, func(v *Voice, p parameters) ([]int32, error) {
		return parsePrompt(p.prompt, v, d.g.Model.Vocab)
	})
}

// converse answers POST /v1/chat/completions.
func (d *decoder) converse(w http.ResponseWriter, r *http.Request) error {
	return d.answer(w, r, "messages", conversations, func(v *Voice, p parameters) ([]int32, error) {
		if v.noChat != nil {
			return nil, v.noChat
		}
		raw, err := joinParts(p.messages)
		if err != nil {
			return nil, fault("messages", "has a fault: %w", err)
		}
		messages, err := instruct.ParseMessages(raw)
		if err != nil {
			return nil, fault("messages", "has a fault: %w", err)
		}
		if !v.texts.Converses() && len(messages) > 1 {
			return nil, fault("messages", "has several messages, and the template of this model has a form for one; want the "+
				"question alone")
		}
		return v.prompt(messages)
	})
}

// answer answers a request in a style. own is the key of the text, and tokens returns the tokens of the prompt.
func (d *decoder) answer(w http.ResponseWriter, r *http.Request, own string, s style,
	tokens func(*Voice, parameters) ([]int32, error)) error {
	raw, leave, err := d.worker.receive(w, r)
	if err != nil {
		return err
	}
	defer leave()
	var fields map[string]json.RawMessage
	if err := decodeJSON(raw, &fields); err != nil {
		return err
	}
	p, err := parseParameters(fields, own)
	if err != nil {
		return err
	}
	v, err := d.voices.acquire(p.model)
	if err != nil {
		return err
	}
	defer d.voices.release(v)
	q := question{leave: leave}
	if q.IDs, err = tokens(v.model, p); err != nil {
		return err
	}
	if err := q.settle(p, v.model.texts.Sampling); err != nil {
		return err
	}
	if err := q.fit(p, d.limits); err != nil {
		return err
	}
	head := map[string]any{
		"id": s.prefix + rand.Text(), "object": s.object, "created": time.Now().Unix(), "model": v.name,
	}
	if p.stream {
		head["object"] = s.chunk
		return d.stream(w, r, v.model, &q, s, head, p.options.IncludeUsage)
	}
	c, err := d.run(r.Context(), v.model, &q, nil)
	if err != nil {
		return err
	}
	head["choices"] = []any{choice(s.whole(c.text), finish(c.reason))}
	head["usage"] = c.usage()
	writeJSON(w, http.StatusOK, head)
	return nil
}

// choice adds to a choice what both styles have.
func choice(c map[string]any, finish any) map[string]any {
	c["index"], c["logprobs"], c["finish_reason"] = 0, nil, finish
	return c
}

// finish returns the reason for the end of a text by its name in the API.
func finish(r generate.Reason) string {
	if r == generate.Length {
		return "length"
	}
	return "stop"
}

func (c continued) usage() map[string]int {
	return map[string]int{
		"prompt_tokens": c.prompt, "completion_tokens": c.tokens, "total_tokens": c.prompt + c.tokens,
	}
}

// models answers GET /v1/models.
func (d *decoder) models(w http.ResponseWriter, _ *http.Request) error {
	list := []any{}
	for _, v := range d.voices.all() {
		list = append(list, d.describe(v.name))
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": list})
	return nil
}

// model answers GET /v1/models/NAME.
func (d *decoder) model(w http.ResponseWriter, r *http.Request) error {
	v, err := d.voices.acquire(r.PathValue("name"))
	if err != nil {
		return err
	}
	defer d.voices.release(v)
	writeJSON(w, http.StatusOK, d.describe(v.name))
	return nil
}

func (d *decoder) describe(name string) map[string]any {
	return map[string]any{"id": name, "object": "model", "created": d.started, "owned_by": "lor2c"}
}
