package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/model"
)

// chatty copies the demo decoder and gives it a chat template.
func chatty(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.model"} {
		raw, err := os.ReadFile(filepath.Join("../../demo/decoder", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw := body(t, map[string]string{
		"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
		"chat_template": "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:",
	})
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// drawnDecoder writes an adapter of a decoder with random values.
func drawnDecoder(t *testing.T, base, method string, template string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "adapter")
	dev := cpu.Open[float32](1)
	c := adapter.NewConfig(method)
	c.Resolve()
	n, err := model.LoadDecoder(dev, base, 64, c.Trains())
	if err != nil {
		t.Fatal(err)
	}
	m, err := adapter.Attach(dev, n, adapter.Settings{Config: c, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		noise := make([]float32, p.Value.Shape.Len())
		compute.Normal(noise, 3, p.Name, 0.1)
		p.Upload(dev, noise)
	}
	sum, err := adapter.Fingerprint(base)
	if err != nil {
		t.Fatal(err)
	}
	d := adapter.Description{
		Method: c, Task: adapter.Task{Name: dataset.Instruct, Template: template},
		Base: adapter.Base{
			Path: base, Dir: base, SHA256: sum, Type: "llama", Width: n.HiddenSize(), Layers: n.HiddenLayers(),
		},
	}
	if err := checkpoint.WriteDir(dir, func(tmp string) error { return adapter.Save(tmp, dev, d, m, nil) }); err != nil {
		t.Fatal(err)
	}
	return dir
}

// decoderServer returns the server of a decoder, called base, and of adapters a, b and so on.
func decoderServer(t *testing.T, o Options, base string, dirs ...string) (*Server, compute.Device) {
	t.Helper()
	texts, err := generate.Open(generate.Source{Model: base})
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.Open[float32](2)
	n := Lengths{Context: 100, New: 12}
	g, err := texts.Load(dev, n.Context, 0)
	if err != nil {
		t.Fatal(err)
	}
	open := func(dir string) (*Voice, error) {
		next, err := texts.With(dir)
		if err != nil {
			return nil, err
		}
		return NewVoice(next, ""), nil
	}
	all := []Adapter[*Voice]{{Name: "base", Dir: base, Model: NewVoice(texts, "")}}
	for i, dir := range dirs {
		v, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Adapter[*Voice]{Name: string(rune('a' + i)), Dir: dir, Model: v})
	}
	for _, v := range all {
		if err := v.Model.Attach(g); err != nil {
			t.Fatal(err)
		}
	}
	s, err := NewDecoder(o, g, n, all, open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.task.close)
	return s, dev
}

// alone returns what lor2c generate writes for one prompt, in the form of a template.
func alone(t *testing.T, source generate.Source, template string, prompt []chat.Message, maxNew int, seed uint64,
	s generate.Sampling) (string, generate.Result) {
	t.Helper()
	texts, err := generate.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer texts.Close()
	g, err := texts.Load(cpu.Open[float32](1), 100, seed)
	if err != nil {
		t.Fatal(err)
	}
	g.Sampling = s
	if err := texts.SetTemplate(template); err != nil {
		t.Fatal(err)
	}
	ids, err := texts.Prompt(prompt)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	stream := texts.Tokenizer.NewStream(ids, nil)
	g.Token = func(_ int, id int32) bool {
		part, stopped := stream.Push(id)
		text.WriteString(part)
		return stopped
	}
	results, err := g.Run(context.Background(), []generate.Request{{IDs: ids, MaxNew: maxNew}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	part, _ := stream.Flush()
	return text.String() + part, results[0]
}

// completion is an answer, or an event of one, as a client reads it.
type completion struct {
	ID, Object, Model string
	Choices           []part
	Usage             *spent
}

type part struct {
	Text    string
	Message struct{ Role, Content string }
	Delta   struct{ Role, Content string }
	Finish  string `json:"finish_reason"`
}

type spent struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

func complete(t *testing.T, r reply) (c completion) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &c); err != nil || r.status != http.StatusOK || len(c.Choices) != 1 {
		t.Errorf("%d %s: %v", r.status, r.body, err)
		return completion{Choices: make([]part, 1), Usage: &spent{}}
	}
	return c
}

// streamed returns the text and the last reason of a streamed answer, and its events.
func streamed(t *testing.T, r reply) (text, finish string, events []completion) {
	t.Helper()
	if !strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("%d %s %s", r.status, r.header.Get("Content-Type"), r.body)
	}
	done := false
	for lines := bufio.NewScanner(strings.NewReader(r.body)); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			done = true
			continue
		}
		var c completion
		if err := json.Unmarshal([]byte(data), &c); err != nil || done {
			t.Errorf("event %q: %v", data, err)
		}
		events = append(events, c)
		for _, x := range c.Choices {
			text, finish = text+x.Text+x.Delta.Content, x.Finish
		}
	}
	if !done {
		t.Errorf("the events do not end with [DONE]: %s", r.body)
	}
	return text, finish, events
}

// TestCompletions: concurrent requests to a decoder and an adapter of it, greedy and drawn, in one piece and streamed,
// get the texts that lor2c generate writes for each alone. With OpenBLAS the texts may differ, because its sums depend
// on the rows that are multiplied together.
func TestCompletions(t *testing.T) {
	if cpu.BLAS() == "openblas" {
		t.Skip("with OpenBLAS a text depends on the texts beside it")
	}
	base, err := filepath.Abs("../../demo/decoder")
	if err != nil {
		t.Fatal(err)
	}
	dir := drawnDecoder(t, base, "lora", "none")
	s, _ := decoderServer(t, limits(t), base, dir)
	url := start(t, s)
	sources := map[string]generate.Source{"base": {Model: base}, "a": {Model: base, Adapter: dir}}
	prompts := []string{"Once upon a time", "Once upon a time there was a little", "The dog", "Lily wanted to"}
	drawn := generate.Greedy()
	drawn.DoSample, drawn.Temperature, drawn.TopP, drawn.TopK = true, 0.8, 0.9, 20
	different := map[string]bool{}
	var all sync.WaitGroup
	for i, prompt := range prompts {
		for name, source := range sources {
			for _, sampling := range []generate.Sampling{generate.Greedy(), drawn} {
				ask := map[string]any{"model": name, "prompt": prompt, "max_tokens": 10 + i}
				if sampling.DoSample {
					ask["temperature"], ask["top_p"], ask["top_k"], ask["seed"] = 0.8, 0.9, 20, 7+i
				}
				want, result := alone(t, source, instruct.TemplateNone, []chat.Message{{Content: prompt}}, 10+i, uint64(7+i),
					sampling)
				different[want] = true
				plain := body(t, ask)
				ask["stream"] = true
				parts := body(t, ask)
				for range 2 {
					all.Go(func() {
						c := complete(t, send(t, http.MethodPost, url+"/v1/completions", plain))
						if c.Choices[0].Text != want || c.Usage == nil || c.Usage.Completion != len(result.IDs) {
							t.Errorf("%s: %+v; generate writes %q with %d tokens", plain, c, want, len(result.IDs))
						}
					})
					all.Go(func() {
						text, finish, _ := streamed(t, send(t, http.MethodPost, url+"/v1/completions", parts))
						if text != want || finish != map[bool]string{true: "length", false: "stop"}[result.Reason == generate.Length] {
							t.Errorf("%s: %q, %s; generate writes %q (%s)", parts, text, finish, want, result.Reason)
						}
					})
				}
			}
		}
	}
	all.Wait()
	if len(different) < 12 {
		t.Errorf("only %d different texts; the adapter or the sampling has no effect", len(different))
	}
	want, _ := alone(t, sources["base"], instruct.TemplateNone, []chat.Message{{Content: prompts[0]}}, 40, 0,
		generate.Greedy())
	stop := want[len(want)/2 : len(want)/2+3]
	c := complete(t, send(t, http.MethodPost, url+"/v1/completions", body(t, map[string]any{
		"prompt": prompts[0], "max_tokens": 40, "stop": []string{stop}, "temperature": 0})))
	if before, _, _ := strings.Cut(want, stop); c.Choices[0].Text != before || c.Choices[0].Finish != "stop" {
		t.Errorf("with a stop string: %+v; want %q", c, before)
	}
}

// TestChat: a conversation gets the answer to the prompt that the template makes of it, in one piece and streamed with
// its role, reason and usage.
func TestChat(t *testing.T) {
	base := chatty(t)
	s, _ := decoderServer(t, limits(t), base, drawnDecoder(t, base, "lora", instruct.TemplateAlpaca))
	url := start(t, s) + "/v1/chat/completions"
	messages := `"messages":[{"role":"developer","content":"Be kind."},{"role":"user","content":[{"type":"text",` +
		`"text":"Tell me "},{"type":"text","text":"a story."}]}]`
	want, result := alone(t, generate.Source{Model: base}, instruct.TemplateChat, []chat.Message{
		{Role: "system", Content: "Be kind."}, {Role: "user", Content: "Tell me a story."},
	}, 12, 0, generate.Greedy())
	c := complete(t, send(t, http.MethodPost, url, `{`+messages+`}`))
	if x := c.Choices[0]; x.Message.Content != want || x.Message.Role != "assistant" || c.Object != "chat.completion" ||
		c.Model != "base" || !strings.HasPrefix(c.ID, "chatcmpl-") || c.Usage.Completion != len(result.IDs) ||
		c.Usage.Total != c.Usage.Prompt+c.Usage.Completion {
		t.Errorf("%+v; want %q", c, want)
	}
	text, finish, events := streamed(t, send(t, http.MethodPost, url,
		`{"stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":12,`+messages+`}`))
	last := events[len(events)-1]
	if text != want || finish != c.Choices[0].Finish || events[0].Choices[0].Delta.Role != "assistant" ||
		len(last.Choices) != 0 || *last.Usage != *c.Usage || last.Object != "chat.completion.chunk" {
		t.Errorf("streamed: %q, %s, %+v", text, finish, events)
	}
	one := complete(t, send(t, http.MethodPost, url, `{"model":"a","messages":[{"role":"user","content":"Sing."}]}`))
	if one.Model != "a" || one.Usage.Prompt < 30 {
		t.Errorf("%+v; want the template of Alpaca around the question", one)
	}
	send(t, http.MethodPost, url, `{"model":"a",`+messages+`}`).expect(t, 400,
		"the template of this model has a form for one")
}

// TestHostileQuestions: parameters that the server does not have, or that have no meaning, are refused by name. A
// request that is refused leaves its place in the queue, and none is decoded while the queue is full.
func TestHostileQuestions(t *testing.T) {
	o := limits(t)
	o.MaxQueue = 1
	s, _ := decoderServer(t, o, "../../demo/decoder")
	url := start(t, s)
	leave, err := s.task.(*decoder).worker.admit()
	if err != nil {
		t.Fatal(err)
	}
	send(t, http.MethodPost, url+"/v1/completions", `{"prompt":`).expect(t, 429, "1 requests are computed or wait")
	leave()
	for _, c := range []struct {
		path, body, param, want string
	}{
		{"completions", `{}`, "prompt", "prompt is missing; want a text"},
		{"completions", `{"prompt":["a","b"]}`, "prompt", "want one text, or the tokens of one"},
		{"completions", `{"prompt":[1,99999]}`, "prompt", "has 99999 as token 1; want 0 to"},
		{"completions", `{"prompt":[-1]}`, "prompt", "has -1 as token 0"},
		{"completions", `{"prompt":7}`, "prompt", `prompt is "7"`},
		{"completions", `{"prompt":"a","prompt":"b"}`, "", `has the key "prompt" twice`},
		{"completions", `{"prompt":"a","max_token":1}`, "max_token", "max_token is not a parameter of this server; want "},
		{"completions", `{"prompt":"a","messages":[]}`, "messages", "messages is not a parameter"},
		{"completions", `{"prompt":"a","logprobs":5}`, "logprobs", `logprobs is "5"; the server has only false`},
		{"completions", `{"prompt":"a","n":2}`, "n", `n is "2"; the server has only 1`},
		{"completions", `{"prompt":"a","presence_penalty":0.5}`, "presence_penalty", "the server has only 0"},
		{"completions", `{"prompt":"a","max_tokens":0}`, "max_tokens", "max_tokens is 0; want at least 1"},
		{"completions", `{"prompt":"a","max_tokens":1.5}`, "max_tokens", `is "1.5"; want a whole number`},
		{"completions", `{"prompt":"a","max_tokens":100}`, "max_tokens", "want at most 100 together"},
		{"completions", `{"prompt":"` + strings.Repeat("dog ", 200) + `"}`, "", "tokens; want at most 99"},
		{"completions", `{"prompt":"a","temperature":-1}`, "temperature", "temperature is -1"},
		{"completions", `{"prompt":"a","temperature":1e400}`, "temperature", "want a number"},
		{"completions", `{"prompt":"a","temperature":"hot"}`, "temperature", `temperature is "\"hot\""; want a number`},
		{"completions", `{"prompt":"a","top_p":0}`, "top_p", "top_p is 0"},
		{"completions", `{"prompt":"a","stop":""}`, "stop", "stop has an empty string"},
		{"completions", `{"prompt":"a","stop":[1]}`, "stop", "want a string, or up to 16 of them"},
		{"completions", `{"prompt":"a","stream":"yes"}`, "stream", "want true or false"},
		{"completions", `{"prompt":"a","model":"gpt-4"}`, "model", `there is no model "gpt-4"; want one of base`},
		{"chat/completions", `{"messages":[]}`, "", "the model has no chat template"},
		{"chat/completions", `{"messages":[{"role":"user","content":"x"}],"tools":[{}]}`, "tools", "the server has only []"},
	} {
		t.Run(fmt.Sprintf("path=%s/body=%.40s", c.path, c.body), func(t *testing.T) {
			r := send(t, http.MethodPost, url+"/v1/"+c.path, c.body)
			r.expect(t, r.status, c.want)
			var e struct{ Error struct{ Param string } }
			if err := json.Unmarshal([]byte(r.body), &e); err != nil || e.Error.Param != c.param || r.status/100 != 4 {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	quiet := `{"prompt":"a","n":1,"logprobs":null,"presence_penalty":0,"user":"x","suffix":null,"max_tokens":1}`
	complete(t, send(t, http.MethodPost, url+"/v1/completions", quiet))
	send(t, http.MethodPost, url+"/predict", "{}").expect(t, 404, "a server of an encoder has /predict")
	if r := send(t, http.MethodGet, url+"/v1/models", ""); !strings.Contains(r.body, `"id":"base"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	send(t, http.MethodGet, url+"/v1/models/x", "").expect(t, 404, `there is no model "x"`)
}

// TestGoneReader: the text of a client that goes away while it reads is given up, and its place becomes free.
func TestGoneReader(t *testing.T) {
	s, _ := decoderServer(t, limits(t), "../../demo/decoder")
	url := start(t, s)
	ctx, leave := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/completions",
		strings.NewReader(`{"prompt":"Once upon a time","max_tokens":90,"temperature":1.5,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if _, err := bufio.NewReader(got.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	leave()
	eventually(t, func() bool {
		return gauge(t, url, "lor2c_queue_requests") == 0 && s.task.(*decoder).idle()
	})
}

// idle reports whether no text waits or is continued.
func (d *decoder) idle() (idle bool) {
	_ = d.worker.call(func() error { idle = d.live.Texts() == 0; return nil })
	return idle
}
