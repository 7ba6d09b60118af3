package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

type generateOptions struct {
	source    generate.Source
	prompts   []string
	file      string
	device    string
	maxNew    int
	batch     int
	seed      uint64
	stops     []string
	json      bool
	precision string
	sampling  generate.Sampling
}

func newGenerateCommand() *cobra.Command {
	var o generateOptions
	c := &cobra.Command{
		Use:   "generate (--model DIR | --adapter DIR) [-p TEXT]",
		Short: "Continue texts with a decoder",
		Long: wrap("Generate continues a text token by token with a decoder of the LLaMA family and, if one is named, an "+
			"adapter. The text comes from -p, from a file or from standard input; with several, each is continued on its own. "+
			"The most probable token is chosen, unless the model's generation_config.json or a flag says to draw. The result "+
			"depends on the text, the settings and the seed alone, and not on the texts beside it.", ""),
		Example: "  lor2c generate --model demo/decoder -p 'Once upon a time'\n" +
			"  lor2c generate --model models/SmolLM2-135M -p 'The sea' --do-sample --seed 1\n" +
			"  lor2c generate --adapter runs/alpaca/best --file prompt.txt --json",
		Annotations: exits(exitDevice, exitMismatch, exitLost),
		Args:        noArgs,
		RunE:        func(c *cobra.Command, _ []string) error { return runGenerate(c, o) },
	}
	d := generate.Greedy()
	c.Flags().StringVar(&o.source.Model, "model", "", "model directory `DIR`, or a model in the Hugging Face cache")
	c.Flags().StringVar(&o.source.Adapter, "adapter", "", "adapter directory `DIR`; it names its base model")
	c.Flags().StringArrayVarP(&o.prompts, "prompt", "p", nil, "`TEXT` to continue; may be repeated")
	c.Flags().StringVar(&o.file, "file", "", "`FILE` with the text to continue; - is standard input")
	c.Flags().IntVar(&o.maxNew, "max-new-tokens", 256, "the most tokens, `N`, to add to a text")
	c.Flags().IntVar(&o.batch, "batch", 16, "how many texts, `N`, to continue at a time")
	c.Flags().StringArrayVar(&o.stops, "stop", nil, "end before the first `TEXT` in the continuation; may be repeated")
	c.Flags().Uint64Var(&o.seed, "seed", 42, "seed `N` of what is drawn")
	c.Flags().BoolVar(&o.sampling.DoSample, "do-sample", d.DoSample, "draw tokens instead of choosing the most probable")
	c.Flags().Float64Var(&o.sampling.Temperature, "temperature", d.Temperature, "divide the logits by `X`")
	c.Flags().IntVar(&o.sampling.TopK, "top-k", d.TopK, "draw from the `K` most probable tokens; 0 is all")
	c.Flags().Float64Var(&o.sampling.TopP, "top-p", d.TopP, "draw from the most probable tokens that together reach `P`")
	c.Flags().Float64Var(&o.sampling.MinP, "min-p", d.MinP, "draw from tokens at least `P` times as probable as the first")
	c.Flags().Float64Var(&o.sampling.RepetitionPenalty, "repetition-penalty", d.RepetitionPenalty,
		"divide positive logits of tokens that occurred by `X`")
	c.Flags().StringVar(&o.device, "device", "auto", "device `NAME`: auto, cpu, cuda or cuda:N")
	c.Flags().StringVar(&o.precision, "precision", config.Float32, "precision `NAME` of the device: float32 or bfloat16")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object for each text")
	return c
}

func runGenerate(c *cobra.Command, o generateOptions) error {
	if o.source == (generate.Source{}) {
		return usageError{errors.New("lor2c: generate: name a model with --model DIR or an adapter with --adapter DIR")}
	}
	if err := checkPaths("--model", o.source.Model, "--adapter", o.source.Adapter); err != nil {
		return err
	}
	if o.maxNew < 1 || o.batch < 1 {
		return usageError{fmt.Errorf("lor2c: generate: --max-new-tokens is %d and --batch is %d; want at least 1 of each",
			o.maxNew, o.batch)}
	}
	for _, stop := range o.stops {
		if stop == "" {
			return usageError{errors.New("lor2c: generate: --stop is empty; want a text")}
		}
	}
	if o.precision != config.Float32 && o.precision != config.BFloat16 {
		return usageError{fmt.Errorf("lor2c: generate: --precision is %s; want float32 or bfloat16",
			place.Quote(o.precision))}
	}
	prompts, err := o.read(c)
	if err != nil {
		return err
	}
	texts, err := generate.Open(o.source)
	if err != nil {
		return err
	}
	defer texts.Close()
	if err := o.settle(c, texts); err != nil {
		return err
	}
	requests, longest, err := o.requests(texts, prompts)
	if err != nil {
		return err
	}
	dev, err := openDevice(o.device, o.precision)
	if err != nil {
		return err
	}
	defer dev.Close()
	g, err := texts.Load(dev, longest, o.seed)
	if err != nil {
		return err
	}
	endsItself(c.Context())
	g.Sampling = texts.Sampling
	return o.print(c.Context(), c.OutOrStdout(), g, texts.Tokenizer, prompts, requests)
}

// read returns the texts to continue.
func (o generateOptions) read(c *cobra.Command) ([]string, error) {
	switch {
	case len(o.prompts) > 0 && o.file != "":
		return nil, usageError{errors.New("lor2c: generate: -p and --file are both set; name the text once")}
	case len(o.prompts) > 0:
		return o.prompts, nil
	case o.file == "" || o.file == "-":
		raw, err := io.ReadAll(io.LimitReader(c.InOrStdin(), maxPrompt+1))
		if err != nil {
			return nil, fmt.Errorf("lor2c: generate: read standard input: %w", err)
		}
		if len(raw) > maxPrompt {
			return nil, usageError{fmt.Errorf("lor2c: generate: standard input has more than %d bytes; want a prompt",
				maxPrompt)}
		}
		return []string{string(raw)}, nil
	}
	raw, err := infile.Read(o.file, maxPrompt)
	if err != nil {
		return nil, usageError{fmt.Errorf("lor2c: generate: open %s: %w", o.file, err)}
	}
	return []string{string(raw)}, nil
}

// maxPrompt is the most bytes of a prompt that is read from a file.
const maxPrompt = 16 << 20

// settle decides the sampling: by flags, else by what the model recommends.
func (o generateOptions) settle(c *cobra.Command, texts *generate.Texts) error {
	s := &texts.Sampling
	set := func(flag string, apply func()) {
		if c.Flags().Changed(flag) {
			apply()
		}
	}
	set("do-sample", func() { s.DoSample = o.sampling.DoSample })
	set("temperature", func() { s.Temperature = o.sampling.Temperature })
	set("top-k", func() { s.TopK = o.sampling.TopK })
	set("top-p", func() { s.TopP = o.sampling.TopP })
	set("min-p", func() { s.MinP = o.sampling.MinP })
	set("repetition-penalty", func() { s.RepetitionPenalty = o.sampling.RepetitionPenalty })
	var faults []error
	for _, fault := range s.Validate() {
		faults = append(faults, fmt.Errorf("lor2c: generate: %w", fault))
	}
	if faults != nil {
		return usageError{errors.Join(faults...)}
	}
	return nil
}

// requests returns the prompts as tokens, and the most tokens that a text may get.
func (o generateOptions) requests(
	texts *generate.Texts, prompts []string,
) (all []generate.Request, longest int, err error) {
	for i, prompt := range prompts {
		ids := texts.Tokenizer.Encode(prompt, nil, 0).IDs
		if len(ids) == 0 {
			return nil, 0, usageError{fmt.Errorf("lor2c: generate: prompt %d has no tokens; want a text", i+1)}
		}
		n := len(ids) + o.maxNew
		if n > texts.MaxTokens {
			return nil, 0, usageError{fmt.Errorf("lor2c: generate: prompt %d has %d tokens, and with --max-new-tokens %d the "+
				"text has up to %d; the model has %d positions", i+1, len(ids), o.maxNew, n, texts.MaxTokens)}
		}
		all, longest = append(all, generate.Request{IDs: ids, MaxNew: o.maxNew}), max(longest, n)
	}
	return all, longest, nil
}

// generated is a text in the output of --json.
type generated struct {
	Prompt       string          `json:"prompt"`
	Text         string          `json:"text"`
	IDs          []int32         `json:"token_ids"`
	PromptTokens int             `json:"prompt_tokens"`
	Reason       generate.Reason `json:"stop_reason"`
	Seed         uint64          `json:"seed"`
	generate.Sampling
}

// print continues the texts and prints them. A single text appears as it is generated.
func (o generateOptions) print(
	ctx context.Context, w io.Writer, g *generate.Generator, tok *tokenizer.Tokenizer, prompts []string,
	requests []generate.Request,
) error {
	streams, written := make([]*tokenizer.Stream, len(requests)), make([]strings.Builder, len(requests))
	for i, r := range requests {
		streams[i] = tok.NewStream(r.IDs, o.stops)
	}
	live := len(requests) == 1 && !o.json
	add := func(i int, text string) {
		written[i].WriteString(text)
		if live {
			io.WriteString(w, text)
		}
	}
	g.Token = func(i int, id int32) bool {
		text, stopped := streams[i].Push(id)
		add(i, text)
		return stopped
	}
	if live {
		io.WriteString(w, prompts[0])
	}
	results, err := g.Run(ctx, requests, o.batch)
	for i := range results {
		text, stopped := streams[i].Flush()
		add(i, text)
		if stopped {
			results[i].Reason = generate.Stopped
		}
	}
	if live {
		fmt.Fprintln(w)
	}
	if err != nil || live {
		return err
	}
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for i, r := range results {
		if !o.json {
			fmt.Fprintf(w, "%s%s\n", prompts[i], written[i].String())
			continue
		}
		record := generated{
			Prompt: prompts[i], Text: written[i].String(), IDs: r.IDs, PromptTokens: len(requests[i].IDs), Reason: r.Reason,
			Seed: g.Seed, Sampling: g.Sampling,
		}
		if err := lines.Encode(record); err != nil {
			return err
		}
	}
	return nil
}
