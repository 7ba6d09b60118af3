package main

import (
	"fmt"
	"log"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/serve"
)

type serveOptions struct {
	adapters, runs    []string
	checkpoint, model string
	listen, tokenFile string
	device, precision string
	template          string
	lengths           serve.Lengths
	serve.Options
}

func newServeCommand() *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve (--adapter DIR | --run DIR | --model DIR)",
		Short: "Answer predictions and continue texts over HTTP",
		Long: wrap("Serve loads adapters and their base model once and answers HTTP requests until it is stopped. With an "+
			"encoder, POST /predict takes texts as JSON and returns what lor2c predict writes. With a decoder, POST "+
			"/v1/completions and /v1/chat/completions have the form of the OpenAI API, also streamed, and return what lor2c "+
			"generate writes. Requests that wait together are computed together, and no text changes what another gets. "+
			"/healthz and /readyz report the state, /metrics has counters for Prometheus.", "") + "\n\n" +
			wrap("With --adapter-root, requests can add, replace and remove adapters of the same base model: PUT "+
				"/adapters/NAME with {\"dir\": \"a directory below the root\"}, and DELETE /adapters/NAME.", "") + "\n\n" +
			wrap("The server listens on this machine alone. For another address it needs a token, which every request carries "+
				"in the header Authorization: Bearer TOKEN. The token is in a file or in the environment variable LOR2C_TOKEN. "+
				"There is no TLS; put a proxy in front of a server that others reach.", "") + "\n\n" +
			wrap("A signal (INT, TERM, HUP or USR1) stops the server: it accepts no more requests, answers those that it has, "+
				"and ends with 0. If that takes longer than --grace, or a second signal comes, the others are lost, and it ends "+
				"with 128+N.", ""),
		Example: "  lor2c serve --run runs/reviews\n" +
			"  lor2c serve --adapter new=runs/a/best --adapter old=runs/b/best\n" +
			"  lor2c serve --model models/SmolLM2-135M-Instruct --context 2048\n" +
			"  lor2c serve --run runs/reviews --listen 0.0.0.0:8080 --token-file token",
		Annotations: exits(exitDevice, exitMismatch, exitLost),
		Args:        noArgs,
		RunE:        func(c *cobra.Command, _ []string) error { return runServe(c, o) },
	}
	f := c.Flags()
	f.StringArrayVar(&o.adapters, "adapter", nil, "adapter directory `DIR`, or NAME=DIR; may be repeated")
	f.StringArrayVar(&o.runs, "run", nil, "run directory `DIR` that lor2c train wrote; may be repeated")
	f.StringVar(&o.checkpoint, "checkpoint", "best", "with --run, checkpoint `NAME`: best, final or checkpoint-N")
	f.StringVar(&o.model, "model", "", "base model `DIR`, if it is not where the adapter says; a decoder needs no adapter")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`ADDRESS` to listen on, as host:port; port 0 takes a free one")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` with the token that requests must carry")
	f.StringVar(&o.AdapterRoot, "adapter-root", "", "let requests load adapters from below `DIR`")
	f.IntVar(&o.MaxAdapters, "max-adapters", 64, "with --adapter-root, let requests bring the server to `N` adapters")
	f.IntVar(&o.Batch, "batch", 0, "compute at most `N` texts at a time; 0 is 64, or 8 with a decoder")
	f.DurationVar(&o.Wait, "batch-wait", 2*time.Millisecond, "let a text wait at most `TIME` for others to compute with")
	f.Int64Var(&o.MaxBody, "max-body", 1<<20, "refuse requests of more than `N` bytes")
	f.IntVar(&o.MaxRows, "max-rows", 1024, "refuse requests with more than `N` texts")
	f.IntVar(&o.MaxQueue, "max-queue", 256, "refuse requests, with status 429, while `N` others wait")
	f.IntVar(&o.lengths.Context, "context", 4096, "with a decoder, allow `N` tokens of prompt and continuation, or as "+
		"many as the model takes")
	f.IntVar(&o.lengths.New, "max-new-tokens", 256, "with a decoder, add at most `N` tokens if a request names no number")
	f.StringVar(&o.template, "template", "", "with a decoder, put conversations into the form `NAME`: chat, the model's "+
		"own, alpaca or none; by default that of the adapter, or chat")
	f.DurationVar(&o.Timeout, "timeout", 5*time.Minute, "give a request up after `TIME`")
	f.DurationVar(&o.Grace, "grace", 30*time.Second, "when stopped, give accepted requests `TIME` to be answered")
	deviceFlag(c, &o.device)
	precisionFlag(c, &o.precision, "")
	_ = c.RegisterFlagCompletionFunc("template", words(templates...))
	return c
}

// reading is the time that a client has to send its request, and to take each part of its answer.
const reading = 30 * time.Second

func runServe(c *cobra.Command, o serveOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := o.readToken(c); err != nil {
		return err
	}
	names, dirs, err := o.named()
	if err != nil {
		return err
	}
	// The port is taken before the model is loaded, which may take minutes.
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return usageError{fmt.Errorf("lor2c: serve: listen on %s: %w; name another address with --listen", o.listen, err)}
	}
	defer l.Close()
	o.Reading, o.Log = reading, log.New(c.ErrOrStderr(), "", log.LstdFlags|log.LUTC)
	s, closeAll, err := o.open(c, names, dirs)
	if err != nil {
		return err
	}
	defer closeAll()
	endsItself(c.Context())
	fmt.Fprintf(c.ErrOrStderr(), "lor2c: serving %s on http://%s\n", place.List(s.Names()), l.Addr())
	err = s.Serve(c.Context(), l)
	fmt.Fprintf(c.ErrOrStderr(), "lor2c: stopped after %s\n", place.Count(int(s.Answered()), "answer", "answers"))
	return err
}

// mostServeTime bounds the times of the server, so that sums of them do not overflow.
const mostServeTime = 1000 * time.Hour

// check returns an error for flags that are out of range or do not go together.
func (o serveOptions) check() error {
	fault := func(format string, a ...any) error {
		return usageError{fmt.Errorf("lor2c: serve: "+format, a...)}
	}
	if len(o.adapters)+len(o.runs) == 0 && o.model == "" {
		return fault("name an adapter with --adapter DIR, a run with --run DIR, or a decoder with --model DIR")
	}
	if o.template != "" && !slices.Contains(templates, o.template) {
		return fault("--template is %s; want one of %s", place.Quote(o.template), strings.Join(templates, ", "))
	}
	least := map[string]int64{
		"batch": int64(o.Batch) + 1, "batch-wait": int64(o.Wait) + 1, "max-body": o.MaxBody, "max-rows": int64(o.MaxRows),
		"max-queue": int64(o.MaxQueue), "max-adapters": int64(o.MaxAdapters), "timeout": int64(o.Timeout),
		"grace": int64(o.Grace), "context": int64(o.lengths.Context), "max-new-tokens": int64(o.lengths.New),
	}
	for _, name := range slices.Sorted(maps.Keys(least)) {
		if least[name] < 1 {
			return fault("--%s is too small; want a positive value", name)
		}
	}
	if longest := max(o.Wait, o.Timeout, o.Grace); longest > mostServeTime {
		return fault("%v is set for --batch-wait, --timeout or --grace; want at most %v", longest, mostServeTime)
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return fault("--listen is %s; want host:port, such as 127.0.0.1:8080", place.Quote(o.listen))
	}
	if err := checkPrecision("serve", o.precision); err != nil {
		return err
	}
	return checkPaths(append(append(named("--adapter", o.adapters), named("--run", o.runs)...), "--model", o.model,
		"--token-file", o.tokenFile, "--adapter-root", o.AdapterRoot)...)
}

// readToken sets the token from its file or the environment. It returns an error if there is none and other machines
// can connect.
func (o *serveOptions) readToken(c *cobra.Command) error {
	o.Token = os.Getenv("LOR2C_TOKEN")
	where := "LOR2C_TOKEN"
	if o.tokenFile != "" {
		where = "--token-file " + o.tokenFile
		raw, err := infile.ReadStream(c.Context(), o.tokenFile, infile.Config)
		if err != nil {
			return place.Given(fmt.Errorf("lor2c: serve: open %s: %w", o.tokenFile, err))
		}
		o.Token = strings.TrimSpace(string(raw))
	}
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case o.Token == "" && o.tokenFile != "" || strings.ContainsFunc(o.Token, odd):
		return usageError{fmt.Errorf("lor2c: serve: %s has no token, or one with spaces or letters beyond ASCII; want one "+
			"word, such as openssl rand -hex 32 prints", where)}
	case o.Token == "" && !serve.IsLoopback(o.listen):
		return usageError{fmt.Errorf("lor2c: serve: --listen %s can be reached from other machines, and there is no token; "+
			"name a file with one by --token-file, or listen on 127.0.0.1", o.listen)}
	}
	return nil
}
