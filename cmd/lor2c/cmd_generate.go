package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

type generateOptions struct {
	source    generate.Source
	run       string
	best      string // the checkpoint of run
	chat      bool
	template  string
	system    string
	context   int
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
		Use:   "generate (--run DIR | --model DIR) [--chat | -p TEXT]",
		Short: "Continue texts with a decoder, or chat with it",
		Long: wrap("Generate continues a text token by token with a decoder of the LLaMA family and, if a run or an adapter "+
			"is named, with what was fine-tuned. The text comes from -p, from a file or from standard input; with several, "+
			"each is continued on its own. A .jsonl file has a text, prompt, or a conversation, messages, in each row. The "+
			"most probable token is chosen, unless the model's generation_config.json or a flag says to draw. What is drawn "+
			"depends on the seed and on the place of a text among the others. On the CPU, unless the build uses OpenBLAS, the "+
			"result does not depend on the texts beside it; on a card its last bits can, and with them its tokens.\n\n"+
			"--template puts each prompt into the form that the model was trained with and prints the answer alone; by default "+
			"it is that of the adapter. --chat keeps a conversation. /help in it lists what can be typed, Ctrl-C ends an "+
			"answer, and Ctrl-D ends the chat.", ""),
		Example: "  lor2c generate --model demo/decoder -p 'Once upon a time'\n" +
			"  lor2c generate --run runs/alpaca -p 'Name three colours.'\n" +
			"  lor2c generate --model models/SmolLM2-135M-Instruct --chat\n" +
			"  lor2c generate --adapter runs/alpaca/best --file prompts.jsonl --json",
		Annotations: exits(exitDevice, exitMismatch, exitLost),
		Args:        noArgs,
		RunE:        func(c *cobra.Command, _ []string) error { return runGenerate(c, o) },
	}
	d := generate.Greedy()
	c.Flags().StringVar(&o.run, "run", "", "run directory `DIR` that lor2c train wrote")
	c.Flags().StringVar(&o.best, "checkpoint", "best", "with --run, checkpoint `NAME`: best, final or checkpoint-N")
	c.Flags().BoolVar(&o.chat, "chat", false, "keep a conversation in the terminal")
	c.Flags().StringVar(&o.template, "template", "",
		"put prompts into the form `NAME`: none, alpaca, or chat, the model's own; by default that of the adapter, or none")
	c.Flags().StringVar(&o.system, "system", "", "`TEXT` of the system message, with --chat or --template chat")
	c.Flags().IntVar(&o.context, "context", 4096,
		"keep the last `N` tokens of a conversation, or as many as the model takes")
	c.Flags().StringVar(&o.source.Model, "model", "", "model directory `DIR`, or a model in the Hugging Face cache")
	c.Flags().StringVar(&o.source.Adapter, "adapter", "", "adapter directory `DIR`; it names its base model")
	c.Flags().StringArrayVarP(&o.prompts, "prompt", "p", nil, "`TEXT` to continue; may be repeated")
	c.Flags().StringVar(&o.file, "file", "", "`FILE` with the text to continue, or .jsonl rows; - is standard input")
	c.Flags().IntVar(&o.maxNew, "max-new-tokens", 256, "add at most `N` tokens to a text")
	c.Flags().IntVar(&o.batch, "batch", 16, "continue `N` texts at a time")
	c.Flags().StringArrayVar(&o.stops, "stop", nil, "end before the first `TEXT` in the continuation; may be repeated")
	c.Flags().Uint64Var(&o.seed, "seed", 42, "seed `N` of all random draws")
	c.Flags().BoolVar(&o.sampling.DoSample, "do-sample", d.DoSample, "draw tokens instead of choosing the most probable")
	c.Flags().Float64Var(&o.sampling.Temperature, "temperature", d.Temperature, "divide the logits by `X`")
	c.Flags().IntVar(&o.sampling.TopK, "top-k", d.TopK, "draw from the `K` most probable tokens; 0 is all")
	c.Flags().Float64Var(&o.sampling.TopP, "top-p", d.TopP, "draw from the most probable tokens that together reach `P`")
	c.Flags().Float64Var(&o.sampling.MinP, "min-p", d.MinP, "draw from tokens at least `P` times as probable as the first")
	c.Flags().Float64Var(&o.sampling.RepetitionPenalty, "repetition-penalty", d.RepetitionPenalty,
		"divide positive logits of tokens that occurred by `X`")
	deviceFlag(c, &o.device)
	precisionFlag(c, &o.precision, "")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object for each text")
	return c
}

// check returns an error for flags that do not go together or are out of range.
func (o generateOptions) check() error {
	fault := func(format string, a ...any) error {
		return usageError{fmt.Errorf("lor2c: generate: "+format, a...)}
	}
	switch {
	case o.run == "" && o.source == (generate.Source{}):
		return fault("name a run with --run DIR, a model with --model DIR or an adapter with --adapter DIR")
	case o.run != "" && o.source.Adapter != "":
		return fault("--run and --adapter are both set; name the adapter once")
	case o.maxNew < 1 || o.batch < 1 || o.context < 1:
		return fault("--max-new-tokens is %d, --batch is %d and --context is %d; want at least 1 of each", o.maxNew, o.batch,
			o.context)
	case slices.Contains(o.stops, ""):
		return fault("--stop is empty; want a text")
	case o.template != "" && !slices.Contains(templates, o.template):
		return fault("--template is %s; want one of %s", place.Quote(o.template), strings.Join(templates, ", "))
	case o.chat && (len(o.prompts) > 0 || o.file != "" || o.json):
		return fault("--chat is set together with -p, --file or --json; type the questions instead")
	}
	if err := checkPrecision("generate", o.precision); err != nil {
		return err
	}
	return checkPaths("--run", o.run, "--model", o.source.Model, "--adapter", o.source.Adapter)
}

// templates are the values of --template.
var templates = []string{instruct.TemplateNone, instruct.TemplateAlpaca, instruct.TemplateChat}

// resolve finds the adapter and the template of a run, and the default of the template.
func (o *generateOptions) resolve(ctx context.Context) error {
	if o.run != "" {
		dir, err := train.AdapterDir(o.run, o.best)
		if err != nil {
			return usageError{err}
		}
		o.source.Adapter = dir
		cfg, err := config.LoadContext(ctx, filepath.Join(o.run, train.ConfigFile), nil, nil)
		if err != nil {
			return err
		}
		if !cfg.Data.IsInstruct() {
			return usageError{fmt.Errorf("lor2c: generate: --run %s is a run of the task %s, which has no text to generate; "+
				"lor2c eval scores it", o.run, cfg.Data.Task)}
		}
		if o.template == "" {
			o.template = generate.TrainedTemplate(dir)
		}
		if o.template == "" { // which reads the training file
			o.template = trained(ctx, cfg)
		}
	} else if o.source.Adapter != "" && o.template == "" {
		o.template = generate.TrainedTemplate(o.source.Adapter)
	}
	if o.chat {
		o.template = cmp.Or(o.template, instruct.TemplateChat)
	}
	o.template = cmp.Or(o.template, instruct.TemplateNone)
	if o.system != "" && o.template != instruct.TemplateChat {
		return usageError{fmt.Errorf("lor2c: generate: --system is set, and the template %s has no system message; want "+
			"--template chat", o.template)}
	}
	return nil
}

// trained returns the template that a run of an older lor2c used, or "" if its data, which decides that, cannot be read
// any more.
func trained(ctx context.Context, c *config.Config) string {
	if c.Data.Template != "" {
		return c.Data.Template
	}
	format := instruct.Format(c.Data.Format)
	if format == "" || format == instruct.Auto {
		f, err := instruct.Read(ctx, c.Data.Train, instruct.Auto)
		if err != nil {
			return ""
		}
		format = f.Format
	}
	return instruct.DefaultTemplate(format)
}

func runGenerate(c *cobra.Command, o generateOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := o.resolve(c.Context()); err != nil {
		return err
	}
	var prompts []prompt
	if !o.chat {
		var err error
		if prompts, err = o.read(c); err != nil {
			return err
		}
	}
	texts, err := generate.Open(o.source)
	if err != nil {
		return err
	}
	defer texts.Close()
	if err := texts.SetTemplate(o.template); err != nil {
		return err
	}
	if err := o.settle(c, texts); err != nil {
		return err
	}
	longest := min(o.context, texts.MaxTokens)
	var requests []generate.Request
	if !o.chat {
		if requests, longest, err = o.requests(texts, prompts); err != nil {
			return err
		}
	}
	if o.chat && terminal.Of(os.Stderr).Live {
		fmt.Fprintln(c.ErrOrStderr(), "loading", texts.Dir())
	}
	dev, err := openDevice(o.device, o.precision)
	if err != nil {
		return err
	}
	defer dev.Close()
	slots := min(o.batch, len(requests))
	if o.chat {
		slots = 1
	}
	g, err := loadDecoder(c, dev, texts, slots, longest, o.seed)
	if err != nil {
		return err
	}
	endsItself(c.Context())
	g.Sampling = texts.Sampling
	if o.chat {
		return talk(c, &generate.Conversation{
			Texts: texts, Generator: g, System: o.system, MaxNew: o.maxNew, Tokens: longest, Stops: o.stops,
		})
	}
	return o.print(c.Context(), c.OutOrStdout(), g, texts.Tokenizer, prompts, requests)
}

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
	texts *generate.Texts, prompts []prompt,
) (all []generate.Request, longest int, err error) {
	for i, p := range prompts {
		messages := p.conversation()
		if o.system != "" {
			messages = slices.Concat([]chat.Message{{Role: "system", Content: o.system}}, messages)
		}
		ids, err := texts.Prompt(messages)
		if err != nil {
			return nil, 0, err
		}
		if len(ids) == 0 {
			return nil, 0, usageError{fmt.Errorf("lor2c: generate: prompt %d has no tokens; want a text", i+1)}
		}
		n := len(ids) + o.maxNew
		if n > texts.MaxTokens {
			return nil, 0, usageError{fmt.Errorf("lor2c: generate: prompt %d has %d tokens, and with --max-new-tokens %d the "+
				"text has up to %d; %s", i+1, len(ids), o.maxNew, n, texts.Limit)}
		}
		all, longest = append(all, generate.Request{IDs: ids, MaxNew: o.maxNew}), max(longest, n)
	}
	return all, longest, nil
}
