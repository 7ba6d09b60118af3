package serve

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/instruct"
)

// Voice is a decoder, or an adapter of one, that continues texts.
type Voice struct {
	texts  *generate.Texts
	method adapter.Method
	noChat error            // why the voice has no template of conversations, or nil
	memory *compute.Tracker // of the adapter
	render sync.Mutex       // a template renders one conversation at a time
}

// NewVoice returns the voice of a model, or of an adapter, that is not on a device yet. template names the form of
// conversations; if it is empty, it is that of the adapter, or else the model's own.
func NewVoice(t *generate.Texts, template string) *Voice {
	return &Voice{texts: t, noChat: t.SetTemplate(cmp.Or(template, t.Trained(), instruct.TemplateChat))}
}

// Attach reads the adapter of v, if it has one, to the device of g, whose network it uses.
func (v *Voice) Attach(g *generate.Generator) (err error) {
	v.memory = &compute.Tracker{Device: g.Dev}
	if v.method, err = v.texts.Attach(v.memory, g.Model, 0); err != nil {
		v.memory.FreeAll()
	}
	return err
}

// Alone uses the adapter that g was loaded with, which changes the network, so that g can have no other voice.
func (v *Voice) Alone(g *generate.Generator) {
	v.memory, v.method = &compute.Tracker{Device: g.Dev}, g.Method
}

// prompt returns the tokens of a conversation.
func (v *Voice) prompt(messages []chat.Message) ([]int32, error) {
	v.render.Lock()
	defer v.render.Unlock()
	return v.texts.Prompt(messages)
}

// decoder is the task of a server that continues texts. It is the engine of its worker, too.
type decoder struct {
	voices registry[*Voice]
	g      *generate.Generator
	live   *generate.Live
	limits Lengths
	*metrics
	worker  *worker[*generate.Ask]
	failed  func(error)
	reading time.Duration
	started int64 // Unix time
}

// Lengths are the numbers of tokens that a server of a decoder allows.
type Lengths struct {
	Context int // of a prompt with its continuation
	New     int // of a continuation whose request names no number
}

// NewDecoder returns a server that continues texts with voices that share the network of g, for whose texts memory is
// allocated. open opens a further adapter that a request names.
func NewDecoder(o Options, g *generate.Generator, n Lengths, voices []Adapter[*Voice],
	open func(dir string) (*Voice, error)) (*Server, error) {
	live, err := g.Live(o.Batch, n.Context)
	if err != nil {
		return nil, err
	}
	o.Wait = 0 // a text that arrives later joins the others at the next token
	d := &decoder{g: g, live: live, limits: n, reading: o.Reading, started: time.Now().Unix()}
	d.voices.noun, d.voices.fixed = "model", func(v *Voice) bool { return !v.texts.Removable() }
	d.worker = newWorker(o, d)
	d.voices.unload = func(v *Voice) {
		_ = d.worker.call(func() error {
			d.live.Release(v.method)
			v.memory.FreeAll()
			return nil
		})
		v.texts.Close()
	}
	d.voices.load = func(dir string) (*Voice, error) {
		v, err := open(dir)
		if err != nil {
			return nil, err
		}
		if err := d.worker.call(func() error { return v.Attach(g) }); err != nil {
			v.texts.Close()
			return nil, err
		}
		return v, nil
	}
	for _, v := range voices {
		d.voices.put(&named[*Voice]{name: v.Name, dir: v.Dir, model: v.Model})
	}
	d.metrics = newMetrics(d.worker.pending.Load)
	s := newServer(o, d, d.metrics)
	d.worker.caught, d.failed = s.panicked, s.fail
	go d.worker.run()
	return s, nil
}

func (d *decoder) routes(s *Server, mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/completions", s.handle(d.complete))
	mux.HandleFunc("POST /v1/chat/completions", s.handle(d.converse))
	mux.HandleFunc("GET /v1/models", s.handle(d.models))
	mux.HandleFunc("GET /v1/models/{name}", s.handle(d.model))
	d.voices.routes(s, mux)
}

func (d *decoder) paths() string {
	return "want POST /v1/completions or /v1/chat/completions, /v1/models, /adapters, /healthz, /readyz or /metrics; a " +
		"server of an encoder has /predict"
}

func (d *decoder) names() []string { return names(d.voices.all()) }

func (d *decoder) close() { d.worker.close() }

func (d *decoder) add(a *generate.Ask) { d.live.Add(a) }

func (d *decoder) load() int { return d.live.Texts() }

// step adds a token to each text.
func (d *decoder) step() {
	err := d.live.Step()
	if n := d.live.Active(); n > 0 {
		d.batch.Observe(float64(n))
	}
	if err != nil && d.g.Dev.Err() != nil {
		d.failed(err)
	}
}

func (d *decoder) fail(err error) { d.live.Fail(err) }

// finished is a text that has ended.
type finished struct {
	generate.Result
	err error
}

// continued is the continuation of a prompt.
type continued struct {
	text           string
	reason         generate.Reason
	prompt, tokens int
}

// run continues the text of a request and calls write, if it is not nil, with the parts of the continuation as they
// come.
func (d *decoder) run(ctx context.Context, v *Voice, q *question, write func(part string) error) (
	c continued, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // if the client does not take the answer, the text is given up
	// The channels have room for all that is sent, because the goroutine that computes must not wait for a client.
	parts, done := make(chan string, q.MaxNew+1), make(chan finished, 1)
	stream := v.texts.Tokenizer.NewStream(q.IDs, q.stops)
	ask := &generate.Ask{
		Request: q.Request, Context: ctx, Method: v.method, Sampling: q.sampling, Seed: q.seed,
		Token: func(id int32) bool {
			part, stopped := stream.Push(id)
			parts <- part
			return stopped
		},
		Done: func(r generate.Result, err error) {
			part, stopped := stream.Flush()
			if stopped {
				r.Reason = generate.Stopped
			}
			parts <- part
			done <- finished{r, err}
		},
	}
	defer q.leave() // a client that has its answer may send the next request
	if err := d.worker.submit(ctx, ask); err != nil {
		return c, err
	}
	var text []byte
	take := func(part string) error {
		text = append(text, part...)
		if part == "" || write == nil {
			return nil
		}
		return write(part)
	}
	for {
		select {
		case part := <-parts:
			if err := take(part); err != nil {
				return c, err
			}
		case f := <-done:
			for len(parts) > 0 {
				if err := take(<-parts); err != nil {
					return c, err
				}
			}
			d.tokens.WithLabelValues("prompt").Add(float64(len(q.IDs)))
			d.tokens.WithLabelValues("completion").Add(float64(len(f.IDs)))
			return continued{string(text), f.Reason, len(q.IDs), len(f.IDs)}, f.err
		case <-ctx.Done():
			return c, context.Cause(ctx)
		}
	}
}
