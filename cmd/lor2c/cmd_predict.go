package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/predict"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

type predictOptions struct {
	adapters, runs               []string
	checkpoint, model            string
	text, keep                   []string
	id, inputFormat, format, out string
	device, precision            string
	skipBad, restart             bool
}

func newPredictCommand() *cobra.Command {
	var o predictOptions
	c := &cobra.Command{
		Use:   "predict (--adapter DIR | --run DIR) [FILE | -]",
		Short: "Predict labels or numbers of new texts",
		Long: wrap("Predict reads texts from a CSV, TSV or JSONL file, or one per line from a .txt file or standard input, "+
			"and writes for each the predicted label with the probability of every class, or the predicted number. Labels, "+
			"lengths and the base model come from the adapter; no run file and no training data are needed.", "") + "\n\n" +
			wrap("The output has the columns id (the number of the row from 0, or --id), those of --keep, prediction, and "+
				"p_LABEL for each label. With several adapters, which share a base model that is loaded once, NAME.prediction and "+
				"NAME.p_LABEL. Rows keep their order, and any number of rows takes the same memory. What a row gets does not "+
				"depend on the rows beside it.", "") + "\n\n" +
			wrap("An adapter that tags words reads sentences from CoNLL files, lists of tokens from JSONL files, and texts, "+
				"which are divided at blanks. The output has the columns tokens, tags, and entities with the characters at which "+
				"each begins and ends; --format conll writes a line for each word.", "") + "\n\n" +
			wrap("An output file appears when it is complete. If the command is interrupted, the same command continues "+
				"from FILE.partial.", ""),
		Example: "  lor2c predict --run runs/reviews new.csv --keep url --out new.tsv\n" +
			"  lor2c predict --adapter runs/reviews/best -        one text per line\n" +
			"  lor2c predict --adapter a=runs/a/best --adapter b=runs/b/best new.jsonl",
		Annotations: exits(exitDevice, exitMismatch, exitNonFinite, exitLost),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("lor2c: predict: %s follows %s; want one file, or - for standard input",
					place.Quote(args[1]), place.Quote(args[0]))}
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"csv", "tsv", "jsonl", "txt", "conll"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(c *cobra.Command, args []string) error { return runPredict(c, o, append(args, "")[0]) },
	}
	f := c.Flags()
	f.StringArrayVar(&o.adapters, "adapter", nil, "adapter directory `DIR`, or NAME=DIR; may be repeated")
	f.StringArrayVar(&o.runs, "run", nil, "run directory `DIR` that lor2c train wrote; may be repeated")
	f.StringVar(&o.checkpoint, "checkpoint", "best", "with --run, checkpoint `NAME`: best, final or checkpoint-N")
	f.StringVar(&o.model, "model", "", "base model `DIR`, if it is not where the adapter says")
	f.StringSliceVar(&o.text, "text", nil, "`COLUMN` of the text, or two of a pair; otherwise those of the training data")
	f.StringVar(&o.id, "id", "", "`COLUMN` that identifies a row; otherwise rows are numbered from 0")
	f.StringSliceVar(&o.keep, "keep", nil, "input `COLUMNS` to repeat in the output")
	f.StringVar(&o.inputFormat, "input-format", "", "`NAME` of the input's format: "+strings.Join(dataset.Formats, ", ")+
		"; otherwise by its extension, and lines for standard input")
	f.StringVar(&o.format, "format", "", "`NAME` of the output's format: "+strings.Join(predict.Formats, ", ")+
		"; otherwise by the extension of --out, and tsv for standard output")
	f.StringVar(&o.out, "out", "-", "`FILE` to write; - is standard output")
	f.BoolVar(&o.restart, "restart", false, "discard what an interrupted command left of --out")
	f.BoolVar(&o.skipBad, "skip-bad", false, "leave out rows that cannot be read, and count them")
	deviceFlag(c, &o.device)
	precisionFlag(c, &o.precision, "")
	_ = c.RegisterFlagCompletionFunc("format", words(predict.Formats...))
	_ = c.RegisterFlagCompletionFunc("input-format", words(dataset.Formats...))
	return c
}

func runPredict(c *cobra.Command, o predictOptions, file string) error {
	if err := o.check(c, &file); err != nil {
		return err
	}
	names, dirs, err := sources("predict", o.adapters, o.runs, o.checkpoint)
	if err != nil {
		return err
	}
	out := output{"--out", o.out}
	if err := out.check(append(slices.Clone(dirs), file)...); err != nil {
		return err
	}
	p, err := train.OpenPredictor(dirs, o.model)
	if err != nil {
		return err
	}
	defer p.Close()
	texts, err := o.texts(c, p, dirs, file)
	if err != nil {
		return err
	}
	rows, err := dataset.OpenRows(c.Context(), texts)
	if err != nil {
		return o.hint(err, texts)
	}
	defer rows.Close()
	job := &predict.Job{Rows: rows, Model: p, Names: names, ID: o.id, Keep: o.keep, SkipBad: o.skipBad}
	if err := job.Check(o.format); err != nil {
		return err
	}
	dev, err := openTrainer(o.device, o.precision)
	if err != nil {
		return err
	}
	defer dev.Close()
	if err := p.Load(dev); err != nil {
		return err
	}
	screen := screenOfStderr()
	for _, note := range p.Notes() {
		screen.Print(terminal.Plain, note, 2)
	}
	if !out.toStdout() || !terminal.Of(os.Stdout).Live {
		job.Progress = predicting(screen, rows, time.Now)
	}
	if out.toStdout() || !out.isPipe() {
		endsItself(c.Context())
	}
	sum, err := o.write(c.Context(), c, job, p, out, rounding(dev))
	screen.Close()
	if err != nil {
		return err
	}
	o.report(screen, rows, sum, out)
	return nil
}

// check returns an error for flags that contradict each other, and sets the file to - if none is named and standard
// input is not a terminal.
func (o *predictOptions) check(c *cobra.Command, file *string) error {
	fault := func(format string, a ...any) error {
		return usageError{fmt.Errorf("lor2c: predict: "+format, a...)}
	}
	if *file == "" {
		if c.InOrStdin() == os.Stdin && terminal.Of(os.Stdin).Live {
			return fault("name a file with texts, or - to type them, one per line")
		}
		*file = "-"
	}
	if o.format == "" {
		o.format = predict.TSV
		ext := strings.ToLower(filepath.Ext(o.out))
		if named := strings.TrimPrefix(ext, "."); slices.Contains(predict.Formats, named) {
			o.format = named
		} else if ext == ".json" {
			return fault("--out is %s; want .jsonl, one object per line", place.Quote(o.out))
		}
	}
	switch {
	case len(o.adapters)+len(o.runs) == 0:
		return fault("name an adapter with --adapter DIR, or a run with --run DIR")
	case !slices.Contains(predict.Formats, o.format):
		return fault("--format is %s; want one of %s", place.Quote(o.format), strings.Join(predict.Formats, ", "))
	case o.inputFormat != "" && !slices.Contains(dataset.Formats, o.inputFormat):
		return fault("--input-format is %s; want one of %s", place.Quote(o.inputFormat), strings.Join(dataset.Formats, ", "))
	case len(o.text) > 2 || slices.Contains(o.text, ""):
		return fault("--text has %s, %s; want one, or two for pairs", place.Count(len(o.text), "column", "columns"),
			place.List(o.text))
	}
	if err := checkPrecision("predict", o.precision); err != nil {
		return err
	}
	return checkPaths(append(append(named("--adapter", o.adapters), named("--run", o.runs)...), "--model", o.model, "FILE",
		*file)...)
}

// texts describes the input. Its text columns are those of --text, or those of the training data, which the first
// adapter names, or an older run's file.
func (o predictOptions) texts(c *cobra.Command, p *train.Predictor, dirs []string, file string) (dataset.Texts, error) {
	t := dataset.Texts{Path: file, Stdin: c.InOrStdin(), Format: o.inputFormat, Text: o.text, Keep: o.keep}
	if o.id != "" {
		t.Keep = append([]string{o.id}, t.Keep...)
	}
	for i := range dirs {
		t.Words = t.Words || p.Task(i).Kind == adapter.Tokens
	}
	if t.Words {
		return t, nil // the training data may have been in another format
	}
	if t.Text == nil {
		t.Text = p.Task(0).Text
	}
	for i := range dirs {
		if names := p.Task(i).Text; o.text == nil && names != nil && len(names) != len(t.Text) {
			return t, usageError{fmt.Errorf("lor2c: predict: %s was trained on the text columns %s, and %s on %s; give the "+
				"columns with --text", dirs[0], place.List(t.Text), dirs[i], place.List(names))}
		}
	}
	if t.Text == nil && len(o.runs) > 0 {
		if cfg, err := config.LoadContext(c.Context(), filepath.Join(o.runs[0], train.ConfigFile), nil, nil); err == nil {
			t.Text = cfg.Data.Text
		}
	}
	if t.Text == nil {
		t.Text = []string{"text"}
	}
	return t, nil
}

// hint adds to the error of a missing column which flag names it.
func (o predictOptions) hint(err error, t dataset.Texts) error {
	missing := func(name string) bool { return strings.Contains(err.Error(), "no column "+place.Quote(name)) }
	kept := slices.IndexFunc(o.keep, missing)
	switch {
	case o.text == nil && slices.ContainsFunc(t.Text, missing):
		return place.Mistake(fmt.Errorf("%w; name the column of the text with --text", err))
	case o.id != "" && missing(o.id):
		return place.Mistake(fmt.Errorf("%w; name the column that identifies a row with --id, or leave --id out to number "+
			"the rows", err))
	case kept >= 0 && o.keep[kept] == "id":
		return place.Mistake(fmt.Errorf("%w; leave it out of --keep, because the output has the column id anyway, with the "+
			"number of the row", err))
	case kept >= 0:
		return place.Mistake(fmt.Errorf("%w; name columns of the file with --keep", err))
	}
	return err
}

// write writes the predictions that a device computes.
func (o predictOptions) write(ctx context.Context, c *cobra.Command, job *predict.Job, p *train.Predictor, out output,
	device string) (predict.Summary, error) {
	if out.toStdout() {
		return job.Write(ctx, lineWriter{c.OutOrStdout()}, o.format)
	}
	identity := map[string]string{
		"format": o.format, "input format": job.Rows.Format, "device": device,
		"skip bad rows": fmt.Sprint(o.skipBad),
	}
	for i, name := range job.Names {
		sum, err := p.Fingerprint(i)
		if err != nil {
			return predict.Summary{}, err
		}
		identity[strings.TrimSpace("adapter "+name)] = sum
	}
	return job.WriteFile(ctx, o.out, o.format, identity, o.restart)
}
