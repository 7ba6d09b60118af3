package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

type showOptions struct {
	configFlags
	split string
	n     int
}

func newShowCommand() *cobra.Command {
	var o showOptions
	c := &cobra.Command{
		Use:   "show -c FILE",
		Short: "Print examples as the model sees them",
		Long: "Show tokenises the first examples of a split and\n" +
			"prints them decoded, special tokens included. Of the\n" +
			"task instruct, what the model learns to predict is\n" +
			"in colour, or between {+ and +}.",
		Example:     "  lor2c show -c run.yaml\n  lor2c show -c run.yaml --split dev -n 10",
		Annotations: exits(),
		Args:        noArgs,
		RunE:        func(c *cobra.Command, _ []string) error { return runShow(c, o) },
	}
	o.configFlags.add(c)
	c.Flags().StringVar(&o.split, "split", "train", "split `NAME`: train, dev or test")
	c.Flags().IntVarP(&o.n, "number", "n", 3, "print `N` examples")
	return c
}

func runShow(c *cobra.Command, o showOptions) error {
	if o.n < 1 {
		return usageError{fmt.Errorf("lor2c: show: --number is %d; want at least 1", o.n)}
	}
	cfg, err := o.load(c)
	if err != nil {
		return err
	}
	s, err := train.OpenSession(c.Context(), cfg, o.split)
	if err != nil {
		return err
	}
	examples, err := s.Show(c.Context(), o.split, o.n)
	if err != nil {
		return err
	}
	colours := screenOfStdout(c).Terminal
	for _, e := range examples {
		tokens := place.Count(len(e.IDs), "token", "tokens")
		if e.Runs != nil {
			fmt.Fprintf(c.OutOrStdout(), "%s  %s\n  %s\n  %v\n", e.Where, tokens, marked(e.Runs, colours), e.IDs)
			continue
		}
		fmt.Fprintf(c.OutOrStdout(), "%s  label %s  %s\n  %s\n  %v\n", e.Where, e.Label, tokens,
			place.Escape(e.Text), e.IDs)
	}
	return nil
}

// marked returns the text of an example with the parts that a decoder learns to predict in colour, or between {+ and +}
// where there are no colours.
func marked(runs []train.TextRun, t terminal.Terminal) string {
	var b strings.Builder
	for _, r := range runs {
		text := place.Escape(r.Text)
		switch {
		case r.Predicted && t.Colour:
			text = t.Paint(terminal.Good, text)
		case r.Predicted:
			text = "{+" + text + "+}"
		}
		b.WriteString(text)
	}
	return b.String()
}
