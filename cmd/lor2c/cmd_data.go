package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/instruct"
	"github.com/lor2c/lor2c/internal/place"
)

// findingsError is the error of a check that found something, which is in its output.
type findingsError struct{ error }

type dataOptions struct {
	model     string
	template  string
	maxLength int
	inputs    bool
	format    string
	dev       string
	against   []string
	json      bool
}

func newDataCommand() *cobra.Command {
	c := &cobra.Command{
		Use:         "data",
		Short:       "Look at instruction data before it is trained on",
		Long:        "Data has the command check, which looks for mistakes in a file of instructions.",
		Example:     "  lor2c data check alpaca.json --model models/SmolLM2-135M",
		Annotations: exits(exitFindings),
		RunE: func(c *cobra.Command, args []string) error {
			if err := unknownCommand(c, args); len(args) > 0 {
				return err
			}
			return c.Help()
		},
	}
	c.AddCommand(newDataCheckCommand())
	return c
}

func newDataCheckCommand() *cobra.Command {
	var o dataOptions
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Look for mistakes in a file of instructions",
		Long: wrap("Check reads a .json, .jsonl or .txt file that data.train of the task instruct could name and prints "+
			"what is probably a mistake: repeated rows, rows with one prompt and several responses, rows without a response, "+
			"text that a program decoded wrongly, HTML, and text that other files have too. With --model it encodes the rows "+
			"and prints how long they are, how many --max-length cuts off, and how many end with the end token.\n\n"+
			"--dev and --against compare the rows with a dev split and with files of benchmarks. A row overlaps if it shares "+
			"13 words in a row with a text there, without regard to case and punctuation, or if it is shorter and has the same "+
			"words (Brown et al. 2020, appendix C).\n\n"+
			"The exit code is 8 if there are findings, so that a script can stop before it trains.", ""),
		Example: "  lor2c data check alpaca.json\n" +
			"  lor2c data check alpaca.json --model models/SmolLM2-135M --max-length 512\n" +
			"  lor2c data check train.jsonl --dev dev.jsonl --against benchmarks/mmlu --json",
		Annotations: exits(exitFindings),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("lor2c: data: check: %s named; want one",
					place.Count(len(args), "file is", "files are"))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return runDataCheck(c, args[0], o) },
	}
	c.Flags().StringVar(&o.model, "model", "", "model directory `DIR`, whose tokenizer encodes the rows")
	c.Flags().StringVar(&o.template, "template", "",
		"with --model, the form of the rows as `NAME`: none, alpaca or chat; by default that of the format")
	c.Flags().IntVar(&o.maxLength, "max-length", 256, "with --model, cut rows after `N` tokens, as data.max_length does")
	c.Flags().BoolVar(&o.inputs, "train-on-inputs", false, "prompts are predicted too, as with data.train_on_inputs")
	c.Flags().StringVar(&o.format, "format", string(instruct.Auto), "`NAME` of the format, as data.format")
	c.Flags().StringVar(&o.dev, "dev", "", "`FILE` of the dev split, to look for rows that it has too")
	c.Flags().StringArrayVar(&o.against, "against", nil,
		"`PATH` of a benchmark, a file or a directory, to look for text that it has too; may be repeated")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	return c
}

// dataFormats are the values of --format.
var dataFormats = []string{
	string(instruct.Auto), string(instruct.Alpaca), string(instruct.Completion), string(instruct.Messages),
	string(instruct.ShareGPT), string(instruct.Text),
}

// check returns an error for flags that are out of range.
func (o dataOptions) check() error {
	switch {
	case !slices.Contains(dataFormats, o.format):
		return usageError{fmt.Errorf("lor2c: data: check: --format is %s; want one of %s", place.Quote(o.format),
			strings.Join(dataFormats, ", "))}
	case o.template != "" && !slices.Contains(templates, o.template):
		return usageError{fmt.Errorf("lor2c: data: check: --template is %s; want one of %s", place.Quote(o.template),
			strings.Join(templates, ", "))}
	case o.maxLength < 2:
		return usageError{fmt.Errorf("lor2c: data: check: --max-length is %d; want at least 2", o.maxLength)}
	}
	return nil
}

func runDataCheck(c *cobra.Command, path string, o dataOptions) error {
	ctx := c.Context()
	if err := o.check(); err != nil {
		return err
	}
	f, err := instruct.Read(ctx, path, instruct.Format(o.format))
	if err != nil {
		return err
	}
	check := instruct.NewCheck(f)
	if err := o.encode(ctx, check, f); err != nil {
		return err
	}
	if err := o.compare(ctx, check, f); err != nil {
		return err
	}
	findings := []string{}
	for _, f := range check.Findings() {
		findings = append(findings, f.Text)
	}
	if o.json {
		err = json.NewEncoder(c.OutOrStdout()).Encode(struct {
			*instruct.Check
			Findings []string `json:"findings"`
		}{check, findings})
	} else {
		err = printCheck(c.OutOrStdout(), check, findings)
	}
	if n := len(findings); err == nil && n > 0 {
		err = findingsError{fmt.Errorf("lor2c: data: check %s: %s", path, place.Count(n, "finding", "findings"))}
	}
	return err
}

// encode counts the tokens of the rows if a model is named.
func (o dataOptions) encode(ctx context.Context, check *instruct.Check, f *instruct.File) error {
	if o.model == "" {
		return nil
	}
	texts, err := generate.Open(generate.Source{Model: o.model})
	if err != nil {
		return err
	}
	defer texts.Close()
	opts, err := texts.Encoding(o.template, f.Format, o.maxLength)
	if err != nil {
		return err
	}
	opts.TrainOnInputs = o.inputs
	return check.Encode(ctx, texts.Tokenizer, f, opts)
}

// compare looks for the rows in the dev split and the benchmarks that are named.
func (o dataOptions) compare(ctx context.Context, check *instruct.Check, f *instruct.File) error {
	if o.dev != "" {
		dev, err := instruct.Read(ctx, o.dev, instruct.Auto)
		if err != nil {
			return err
		}
		r := instruct.NewReference("dev")
		r.AddFile(dev)
		check.Overlaps = append(check.Overlaps, r.Compare(f))
	}
	for _, path := range o.against {
		r := instruct.NewReference(path)
		if err := r.AddPath(ctx, path); err != nil {
			return err
		}
		check.Overlaps = append(check.Overlaps, r.Compare(f))
	}
	return nil
}

// printCheck prints a check for people.
func printCheck(w io.Writer, c *instruct.Check, findings []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s of the format %s\n", c.File, place.Count(c.Rows, "row", "rows"), c.Format)
	if t := c.Tokens; t != nil {
		rows := c.Rows - t.Dropped.Count
		fmt.Fprintf(&b, "tokens: %d within %d tokens a row, %d of them predicted\n", t.Total, t.Cutoff, t.Predicted)
		fmt.Fprintf(&b, "cut off: %s, without their last %s\n", place.Count(t.CutOff, "row", "rows"),
			place.Count(t.Lost, "token", "tokens"))
		fmt.Fprintf(&b, "end token: %d of %d rows (%.1f %%)\n", t.EOS, rows, 100*float64(t.EOS)/float64(max(rows, 1)))
		fmt.Fprintf(&b, "lengths before the cutoff, the longest %d:\n", t.Longest)
		most := 0
		for _, l := range t.Lengths {
			most = max(most, l.Rows)
		}
		for _, l := range t.Lengths {
			bar := strings.Repeat("#", (l.Rows*40+most-1)/max(most, 1))
			fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("  up to %6d  %7d  %s", l.Tokens, l.Rows, bar), " "))
		}
	}
	for _, o := range c.Overlaps {
		fmt.Fprintf(&b, "overlap with %s: %s\n", o.With, place.Count(o.Rows.Count, "row", "rows"))
	}
	for _, f := range findings {
		fmt.Fprintf(&b, "finding: %s\n", f)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
