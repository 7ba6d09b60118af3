package main

import (
	"fmt"

	"github.com/spf13/cobra"

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
		Long:  "Show tokenises the first examples of a split and prints them decoded, special tokens included.\n" + exitHelp,
		Args:  noArgs,
		RunE:  func(*cobra.Command, []string) error { return runShow(o) },
	}
	o.configFlags.add(c)
	c.Flags().StringVar(&o.split, "split", "train", "train, dev or test")
	c.Flags().IntVarP(&o.n, "number", "n", 3, "how many examples")
	return c
}

func runShow(o showOptions) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	s, err := train.OpenSession(cfg)
	if err != nil {
		return err
	}
	examples, err := s.Show(o.split, o.n)
	if err != nil {
		return err
	}
	for _, e := range examples {
		fmt.Printf("%s  label %s  %d tokens\n  %s\n  %v\n", e.Where, e.Label, len(e.IDs), e.Text, e.IDs)
	}
	return nil
}
