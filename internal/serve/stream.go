package serve

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
)

// events writes server-sent events, each at once.
type events struct {
	w http.ResponseWriter
}

func (e events) send(v any) error {
	var b bytes.Buffer
	b.WriteString("data: ")
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if err := out.Encode(v); err != nil {
		return err
	}
	b.WriteByte('\n')
	return e.write(b.Bytes())
}

func (e events) write(raw []byte) error {
	if _, err := e.w.Write(raw); err != nil {
		return err
	}
	return http.NewResponseController(e.w).Flush()
}

// stream answers with the parts of a continuation as they come. head has the fields of each part.
func (d *decoder) stream(w http.ResponseWriter, r *http.Request, v *Voice, q *question, s style, head map[string]any,
	usage bool) error {
	out, first := events{w}, true
	send := func(text string, finish any) error {
		if first {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "no-cache")
		}
		event := maps.Clone(head)
		event["choices"] = []any{choice(s.part(text, first, finish != nil), finish)}
		if first = false; usage {
			event["usage"] = nil
		}
		return out.send(event)
	}
	c, err := d.run(r.Context(), v, q, func(part string) error { return send(part, nil) })
	switch {
	case err != nil && first:
		return err // nothing was sent, so the answer can be an error
	case err != nil:
		// The client has a part of the text. If it is gone, this has no effect.
		_ = out.send(errorBody(r, err))
		return nil
	}
	if err := send("", finish(c.reason)); err != nil {
		return nil
	}
	if usage {
		event := maps.Clone(head)
		event["choices"], event["usage"] = []any{}, c.usage()
		if err := out.send(event); err != nil {
			return nil
		}
	}
	_ = out.write([]byte("data: [DONE]\n\n"))
	return nil
}
