package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/nearest"
	"github.com/lor2c/lor2c/internal/place"
)

// These are the groups of commands in lor2c --help.
const (
	groupTrain   = "train"
	groupRuns    = "runs"
	groupMachine = "machine"
)

// addMan adds the command that writes man pages, in a build with the tag man.
var addMan func(root *cobra.Command)

func newRootCommand() *cobra.Command {
	version := false
	c := &cobra.Command{
		Use:   "lor2c",
		Short: "Fine-tune pretrained encoders and decoders with low-rank residual connections (LoR2C) and other methods",
		Long: wrap("lor2c fine-tunes RoBERTa, XLM-RoBERTa, CamemBERT, BERT, DistilBERT and MPNet encoders, on GLUE or on "+
			"your own labelled text, and decoders of the LLaMA family, on instructions. It has LoR2C and the methods to "+
			"compare it with; lor2c methods lists them.", ""),
		Example: "  lor2c train -c run.yaml                train what a run file describes\n" +
			"  lor2c eval --run runs/verdicts         score its best adapter\n" +
			"  lor2c help train                       flags and keys of a command",
		Annotations:  exits(exitDevice, exitMismatch, exitNonFinite, exitCells, exitLost, exitFindings),
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				fmt.Fprintln(c.OutOrStdout(), "lor2c "+versionString())
				return nil
			}
			return c.Help()
		},
	}
	c.Flags().BoolVar(&version, "version", false, "print the version, as lor2c version does")
	c.SetFlagErrorFunc(flagError)
	c.SetHelpFunc(printHelp)
	c.AddGroup(&cobra.Group{ID: groupTrain, Title: "Train and use:"},
		&cobra.Group{ID: groupRuns, Title: "Compare and reproduce:"},
		&cobra.Group{ID: groupMachine, Title: "This program and machine:"})
	for group, commands := range map[string][]*cobra.Command{
		groupTrain: {
			newTrainCommand(), newEvalCommand(), newPredictCommand(), newInfoCommand(), newGenerateCommand(),
			newServeCommand(), newExportCommand(), newShowCommand(), newDataCommand(), newMethodsCommand(), newSchemaCommand(),
		},
		groupRuns: {
			newWatchCommand(), newCompareCommand(), newReplayCommand(), newMergeReportCommand(), newSweepCommand(),
			newReproduceCommand(),
		},
		groupMachine: {newDoctorCommand(), newVersionCommand()},
	} {
		for _, sub := range commands {
			sub.GroupID = group
			c.AddCommand(sub)
		}
	}
	c.AddCommand(newConfigTopic())
	c.SetHelpCommand(newHelpCommand())
	c.SetHelpCommandGroupID(groupMachine)
	c.SetCompletionCommandGroupID(groupMachine)
	addCompletion(c)
	if addMan != nil {
		addMan(c)
	}
	return c
}

// execute runs the command that the process's arguments name.
func execute(ctx context.Context, root *cobra.Command) error {
	if len(os.Args) > 1 && (os.Args[1] == cobra.ShellCompRequestCmd || os.Args[1] == cobra.ShellCompNoDescRequestCmd) {
		unquoteUsages(root)
	}
	err := root.ExecuteContext(ctx)
	if err == nil {
		return nil
	}
	// cobra reports an unknown command before it parses flags, and not as a
	// usageError.
	if c, rest, unknown := root.Find(os.Args[1:]); unknown != nil {
		rest = slices.DeleteFunc(slices.Clone(rest), func(arg string) bool { return strings.HasPrefix(arg, "-") })
		return unknownCommand(c, rest)
	}
	return err
}

// newHelpCommand returns a help command like cobra's, except that an unknown name is a
// usageError.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:         "help [COMMAND]",
		Short:       "Help about a command, or about the keys of a run file",
		Long:        "Help prints what lor2c, a command or the topic config is for.",
		Example:     "  lor2c help train\n  lor2c help config",
		Annotations: exits(),
		ValidArgsFunction: func(c *cobra.Command, args []string, typed string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, sub := range c.Root().Commands() {
					if !sub.Hidden && strings.HasPrefix(sub.Name(), typed) {
						names = append(names, sub.Name()+"\t"+sub.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil {
				about, rest = c.Root(), args
			}
			if err := unknownCommand(about, rest); err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// unknownCommand returns an error about the first of names, which is not a command
// below c, or nil if names is empty.
func unknownCommand(c *cobra.Command, names []string) error {
	if len(names) == 0 {
		return nil
	}
	var known []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			known = append(known, sub.Name())
		}
	}
	text := c.CommandPath() + ": there is no command " + place.Quote(names[0])
	if name, near := nearest.Name(names[0], known); near {
		return usageError{fmt.Errorf("%s; did you mean %s?", text, name)}
	}
	if len(known) == 0 {
		return usageError{fmt.Errorf("%s; %s has none", text, c.CommandPath())}
	}
	return usageError{fmt.Errorf("%s; want one of %s", text, place.List(known))}
}

// noArgs returns an error if a command that takes only flags has other arguments.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := commandName(c) + ": " + place.Quote(args[0]) + " does not follow a flag; every value needs one"
	if strings.HasSuffix(args[0], ".yaml") && c.Flag("config") != nil {
		text += "; did you mean -c " + place.Quote(args[0]) + "?"
	} else if strings.Contains(args[0], "=") && c.Flag("set") != nil {
		text += "; did you mean --set " + place.Quote(args[0]) + "?"
	}
	return usageError{errors.New(text)}
}

// flagError turns an error of pflag into a usageError with the form of our error
// lines.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	text := err.Error()
	switch {
	case errors.As(err, &unknown):
		text = unknownFlag(c, unknown.GetSpecifiedName())
	case errors.As(err, &missing):
		text = fmt.Sprintf("--%s has no value; want %s", missing.GetFlag().Name, flagWant(missing.GetFlag()))
	case errors.As(err, &invalid):
		text = fmt.Sprintf("--%s is %s; want %s", invalid.GetFlag().Name, place.Quote(invalid.GetValue()),
			flagWant(invalid.GetFlag()))
	}
	return usageError{fmt.Errorf("%s: %s", commandName(c), text)}
}

// unknownFlag returns the text of the error about an unknown flag. It suggests the
// nearest flag, or --set with the nearest key of the run file.
func unknownFlag(c *cobra.Command, name string) string {
	dashes := "--"
	if len(name) == 1 {
		dashes = "-"
	}
	text := "there is no flag " + dashes + name
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	key := config.Nearest(name)
	if flag, near := nearest.Name(name, known); near && len(name) > 1 {
		return text + "; did you mean --" + flag + "?"
	} else if key != "" && c.Flag("set") != nil {
		return text + "; did you mean --set " + key + "=VALUE?"
	}
	return text + "; " + c.CommandPath() + " --help lists the flags"
}

// flagWant describes the value that f takes.
func flagWant(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int":
		return "a whole number"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "uintSlice":
		return "whole numbers such as 1,2,3"
	}
	name, usage := pflag.UnquoteUsage(f)
	return name + ": " + usage
}

// commandName returns the name of c in errors, such as "lor2c: train".
func commandName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", ": ") }
