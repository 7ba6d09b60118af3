package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
)

// columns is the largest width of a line of help.
const columns = 80

// exitTexts has the meaning of each exit code, in the order of the help.
var exitTexts = []struct {
	code int
	text string
}{
	{0, "done"},
	{exitFailure, "failure"},
	{exitUsage, "mistake on the command line, in the run file, the data or the model; nothing was changed"},
	{exitDevice, "no usable device"},
	{exitMismatch, "the adapter does not match the model or the data, or is of a kind that lor2c does not read"},
	{exitNonFinite, "a loss, score or parameter is not finite"},
	{exitCells, "cells of a sweep failed; the others are done"},
	{exitLost, "the device failed, or has too little memory; checkpoints are intact"},
	{exitFindings, "the data has what is probably a mistake; the output lists it"},
}

// These are the keys of a command's annotations.
const (
	exitsNote = "exits" // the exit codes of the command besides 0, 1 and 2, as in "3 4"
	keysNote  = "keys"  // set if the help of the command lists the keys of a run file
)

// exits returns annotations with the exit codes of a command besides 0, 1 and 2, which
// every command has.
func exits(codes ...int) map[string]string {
	words := make([]string, len(codes))
	for i, code := range codes {
		words[i] = strconv.Itoa(code)
	}
	return map[string]string{exitsNote: strings.Join(words, " ")}
}

// withKeys adds to annotations that the help of the command lists the keys of a run
// file, and returns them.
func withKeys(annotations map[string]string) map[string]string {
	annotations[keysNote] = "yes"
	return annotations
}

// afterFlags returns the part of the help of c that follows its flags.
func afterFlags(c *cobra.Command) string {
	var b strings.Builder
	if c.Annotations[keysNote] != "" {
		b.WriteString("\nKeys of the run file (lor2c help config has more on each):\n")
		for _, k := range config.Keys() {
			b.WriteString(entry(k.Name, summary(k), 24))
		}
	}
	if codes, ok := c.Annotations[exitsNote]; ok {
		b.WriteString("\nExit status:\n")
		may := append([]string{"0", "1", "2"}, strings.Fields(codes)...)
		for _, e := range exitTexts {
			for _, code := range may {
				if code == strconv.Itoa(e.code) {
					b.WriteString(entry(code, e.text, 5))
				}
			}
		}
		b.WriteString(entry("128+N", "stopped by signal N (INT, TERM, HUP or USR1); a run has saved its state", 5))
	}
	return b.String()
}

// summary explains k in one or two lines, with its values and its default.
func summary(k config.Key) string {
	text := k.Doc
	if k.Values != nil {
		text += ": " + strings.Join(k.Values, ", ")
	}
	if initial := cmp.Or(k.Default, k.Unset); initial != "" {
		text += " (" + initial + ")"
	}
	return text
}

// entry formats a line of a list: a name, padded to width, and a text, whose further
// lines are indented to the same column.
func entry(name, text string, width int) string {
	indent := strings.Repeat(" ", width+4)
	return fmt.Sprintf("  %-*s  %s\n", width, name, strings.TrimPrefix(wrap(text, indent), indent))
}

// wrap breaks text at blanks into lines of at most columns characters, each starting
// with indent.
func wrap(text, indent string) string {
	var lines []string
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && len(line)+1+len(word) > columns {
			lines, line = append(lines, line), indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}

// configHelp explains every key of a run file.
func configHelp() string {
	var b strings.Builder
	section := ""
	for _, k := range config.Keys() {
		if head, _, nested := strings.Cut(k.Name, "."); nested && head != section {
			section = head
			fmt.Fprintf(&b, "\n%s:\n", head)
		} else if !nested && section != "" {
			section = ""
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "  %s\n%s\n", k.Name, wrap(k.Doc, "      "))
		kind, _, _ := strings.Cut(k.Type, ", for example")
		about := []string{kind}
		if k.Range != nil {
			about = append(about, k.Range.String())
		}
		if k.Values != nil {
			about = append(about, strings.Join(k.Values, " | "))
		}
		if k.Methods != nil {
			about = append(about, "for "+strings.Join(k.Methods, ", "))
		}
		if initial := cmp.Or(k.Default, k.Unset); initial != "" {
			about = append(about, "default "+initial)
		}
		if k.Example != k.Default {
			about = append(about, "example "+k.Example)
		}
		b.WriteString(wrap(strings.Join(about, "; "), "      ") + "\n")
	}
	return b.String()
}

// newConfigTopic returns the topic of lor2c help config.
func newConfigTopic() *cobra.Command {
	return &cobra.Command{
		Use:   configTopic,
		Short: "Every key of a run file",
		Long: "A run file is YAML, with the keys of a section indented under its name. A value\n" +
			"comes from, weakest first, the default, the run file, the environment and --set:\n\n" +
			"  optim: {lr: 1e-4}                    in the run file\n" +
			"  LOR2C_OPTIM_LR=1e-4 lor2c train ...  a variable LOR2C_SECTION_KEY\n" +
			"  lor2c train ... --set optim.lr=1e-4  the last --set of a key counts\n\n" +
			"An empty variable counts as unset, and one that begins with LOR2C_ and names no\n" +
			"key is refused. Relative paths start at the current directory. A path that\n" +
			"begins with ~ or holds $NAME is refused: only a shell expands those. On the\n" +
			"command line and in the environment a list can do without its brackets, as in\n" +
			"--set data.text=question,answer. null stands for a default that is in words, and\n" +
			"takes back what a weaker source says.",
	}
}

const configTopic = "config"

// long returns the description of c. The list of all keys is part of that of the topic config and is made here, for
// those who read it, because every command of lor2c starts with all commands.
func long(c *cobra.Command) string {
	if c.Name() != configTopic {
		return c.Long
	}
	return c.Long + "\n\n" + strings.TrimRight(configHelp(), "\n")
}

// printHelp is the help function of all commands. Every line fits in a terminal of 80
// columns, and the flags come before the long lists of keys and exit codes.
func printHelp(c *cobra.Command, _ []string) {
	var b strings.Builder
	b.WriteString(long(c) + "\n")
	if c.HasAvailableSubCommands() {
		b.WriteString("\nUsage:\n  " + c.CommandPath() + " COMMAND\n")
	} else if c.Runnable() {
		b.WriteString("\nUsage:\n  " + c.UseLine() + "\n")
	}
	for _, g := range c.Groups() {
		b.WriteString("\n" + g.Title + "\n" + commandList(c, g.ID))
	}
	if others := commandList(c, ""); others != "" {
		b.WriteString("\nCommands:\n" + others)
	}
	if flags := c.Flags(); flags.HasAvailableFlags() {
		b.WriteString("\nFlags:\n" + strings.TrimRight(flags.FlagUsagesWrapped(columns), "\n") + "\n")
	}
	if c.Example != "" {
		b.WriteString("\nExamples:\n" + c.Example + "\n")
	}
	b.WriteString(afterFlags(c))
	if c.HasHelpSubCommands() {
		b.WriteString("\nMore help:\n")
		for _, topic := range c.Commands() {
			if topic.IsAdditionalHelpTopicCommand() {
				b.WriteString(entry(c.Name()+" help "+topic.Name(), topic.Short, 24))
			}
		}
	}
	io.WriteString(c.OutOrStdout(), b.String())
}

// commandList returns the list of the commands below c that are in a group.
func commandList(c *cobra.Command, group string) string {
	var b strings.Builder
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.GroupID == group {
			b.WriteString(entry(sub.Name(), sub.Short, 14))
		}
	}
	return b.String()
}
