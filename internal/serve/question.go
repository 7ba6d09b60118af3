package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/place"
)

// question is what a request to continue a text says, as the generator takes it.
type question struct {
	generate.Request
	sampling generate.Sampling
	seed     uint64
	stops    []string
	leave    func() // gives up the place that the request has among those that the server takes
}

// parameters are the keys of a request in the form of the OpenAI API that the server has, and top_k, min_p and
// repetition_penalty, which other servers add.
type parameters struct {
	model                 string
	prompt, messages      json.RawMessage
	maxTokens, maxNew     *int
	temperature, topP     *float64
	topK                  *int
	minP, penalty         *float64
	seed                  *int64
	stop                  json.RawMessage
	stream                bool
	options               streamOptions
	user, metadata, store json.RawMessage // without effect on the text
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// neutral lists, for keys that the server has not, the values that ask for nothing.
var neutral = map[string][]string{
	"n": {"1"}, "best_of": {"1"}, "echo": {"false"}, "suffix": {`""`}, "logprobs": {"false"}, "top_logprobs": {"0"},
	"logit_bias": {"{}"}, "presence_penalty": {"0", "0.0"}, "frequency_penalty": {"0", "0.0"}, "tools": {"[]"},
	"tool_choice": {`"none"`, `"auto"`}, "parallel_tool_calls": {"true", "false"}, "functions": {"[]"},
	"response_format": {`{"type":"text"}`}, "modalities": {`["text"]`}, "service_tier": {`"auto"`, `"default"`},
}

// parseParameters reads the fields of a request. own is the key that only this kind of request has.
func parseParameters(fields map[string]json.RawMessage, own string) (p parameters, err error) {
	known := map[string]any{
		"model": &p.model, "max_tokens": &p.maxTokens, "temperature": &p.temperature, "top_p": &p.topP, "top_k": &p.topK,
		"min_p": &p.minP, "repetition_penalty": &p.penalty, "seed": &p.seed, "stop": &p.stop, "stream": &p.stream,
		"stream_options": &p.options, "user": &p.user, "metadata": &p.metadata, "store": &p.store,
	}
	known[own] = &p.prompt
	if own == "messages" {
		known[own], known["max_completion_tokens"] = &p.messages, &p.maxNew
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		raw := string(fields[key])
		into, ok := known[key]
		values, without := neutral[key]
		switch {
		case raw == "null":
		case ok:
			if json.Unmarshal(fields[key], into) != nil {
				return p, fault(key, "is %s; want %s", place.Quote(raw), kindOf(into))
			}
		case !without:
			return p, fault(key, "is not a parameter of this server; want %s", place.List(slices.Sorted(maps.Keys(known))))
		case !slices.Contains(values, strings.Join(strings.Fields(raw), "")):
			return p, fault(key, "is %s; the server has only %s", place.Quote(raw), strings.Join(values, " or "))
		}
	}
	return p, nil
}

// fault returns the error for a parameter.
func fault(key, format string, a ...any) error {
	err := refusal(http.StatusBadRequest, "serve: continue a text: "+key+" "+format, a...)
	err.param = key
	return err
}

// kindOf names the kind of JSON value that decodes into what v points to.
func kindOf(v any) string {
	switch v.(type) {
	case *string:
		return "a string"
	case *bool:
		return "true or false"
	case **float64:
		return "a number"
	case **int, **int64:
		return "a whole number"
	}
	return `an object such as {"include_usage": true}`
}

// settle sets sampling, seed and stop strings. What the request leaves out is as in lor2c generate, except that the
// seed is drawn.
func (q *question) settle(p parameters, recommended generate.Sampling) error {
	q.sampling = recommended
	s := &q.sampling
	if p.temperature != nil {
		// Temperature 0 is the limit in which the most probable token is drawn.
		if s.DoSample = *p.temperature != 0; s.DoSample {
			s.Temperature = *p.temperature
		}
	}
	if p.topP != nil {
		s.TopP = *p.topP
		s.DoSample = s.DoSample || p.temperature == nil
	}
	set(&s.TopK, p.topK)
	set(&s.MinP, p.minP)
	set(&s.RepetitionPenalty, p.penalty)
	if faults := s.Validate(); faults != nil {
		key, _, _ := strings.Cut(faults[0].Error(), " ")
		err := refusal(http.StatusBadRequest, "serve: continue a text: %w", faults[0])
		err.param = key
		return err
	}
	if q.seed = rand.Uint64(); p.seed != nil {
		q.seed = uint64(*p.seed)
	}
	var one string
	switch {
	case p.stop == nil:
	case json.Unmarshal(p.stop, &one) == nil:
		q.stops = []string{one}
	case json.Unmarshal(p.stop, &q.stops) != nil || len(q.stops) > mostStops:
		return fault("stop", "is %s; want a string, or up to %d of them", place.Quote(string(p.stop)), mostStops)
	}
	if slices.Contains(q.stops, "") {
		return fault("stop", "has an empty string; want texts")
	}
	return nil
}

// mostStops is the most stop strings of a request; OpenAI has 4.
const mostStops = 16

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// fit sets the number of new tokens.
func (q *question) fit(p parameters, n Lengths) error {
	key, asked := "max_tokens", p.maxTokens
	if p.maxNew != nil {
		key, asked = "max_completion_tokens", p.maxNew
	}
	room := n.Context - len(q.IDs)
	if q.MaxNew = min(n.New, room); asked != nil {
		q.MaxNew = *asked
	}
	var err *refusalError
	switch {
	case asked != nil && *asked < 1:
		return fault(key, "is %d; want at least 1", *asked)
	case room < 1:
		err = refusal(http.StatusBadRequest, "serve: continue a text: the prompt has %d tokens; want at most %d, so that "+
			"one can follow", len(q.IDs), n.Context-1)
	case q.MaxNew > room:
		err = refusal(http.StatusBadRequest, "serve: continue a text: the prompt has %d tokens and %s is %d; want at most "+
			"%d together", len(q.IDs), key, q.MaxNew, n.Context)
		err.param = key
	default:
		return nil
	}
	err.code = "context_length_exceeded"
	return err
}

// parsePrompt returns the tokens of a prompt: a text, or tokens of the vocabulary.
func parsePrompt(raw json.RawMessage, v *Voice, vocabulary int) ([]int32, error) {
	var text string
	var list []string
	var ids []int32
	switch {
	case raw == nil:
		return nil, fault("prompt", "is missing; want a text")
	case json.Unmarshal(raw, &text) == nil:
	case json.Unmarshal(raw, &list) == nil && len(list) == 1:
		text = list[0]
	case json.Unmarshal(raw, &ids) == nil && len(ids) > 0:
		for i, id := range ids {
			if id < 0 || int(id) >= vocabulary {
				return nil, fault("prompt", "has %d as token %d; want 0 to %d", id, i, vocabulary-1)
			}
		}
		return ids, nil
	default:
		return nil, fault("prompt", "is %s; want one text, or the tokens of one", place.Quote(string(raw)))
	}
	if ids = v.texts.Tokenizer.Encode(text, nil, 0).IDs; len(ids) == 0 {
		return nil, fault("prompt", "has no tokens; want a text")
	}
	return ids, nil
}

// joinParts turns the contents of messages that are lists of texts into texts.
func joinParts(raw json.RawMessage) (json.RawMessage, error) {
	var messages []map[string]json.RawMessage
	if json.Unmarshal(raw, &messages) != nil {
		return raw, nil // instruct has the error
	}
	for i, m := range messages {
		if string(m["role"]) == `"developer"` { // OpenAI's newer name
			m["role"] = json.RawMessage(`"system"`)
		}
		var parts []struct{ Type, Text string }
		if len(m["content"]) == 0 || m["content"][0] != '[' {
			continue
		}
		if json.Unmarshal(m["content"], &parts) != nil {
			return nil, fmt.Errorf("message %d has the content %s; want a text, or parts with type and text", i+1,
				place.Quote(string(m["content"])))
		}
		var text strings.Builder
		for _, p := range parts {
			if p.Type != "text" {
				return nil, fmt.Errorf("message %d has a part of the type %s; want text", i+1, place.Quote(p.Type))
			}
			text.WriteString(p.Text)
		}
		content, err := json.Marshal(text.String())
		if err != nil {
			return nil, errors.New("the content of a message cannot be written")
		}
		m["content"] = content
	}
	return json.Marshal(messages)
}
