package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/train"
)

// completer returns completions of a flag's value that start with typed.
type completer = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// words returns a completer that offers list.
func words(list ...string) completer {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// listed returns a completer that offers list for the part after the last comma.
func listed(list ...string) completer {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return afterComma(typed, list), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// afterComma returns the words of list that typed does not have yet, each prefixed with
// the part of typed up to the last comma.
func afterComma(typed string, list []string) (offers []string) {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	for _, word := range list {
		if !slices.Contains(strings.Split(before, ","), word) {
			offers = append(offers, before+word)
		}
	}
	return offers
}

// directories tells the shell to complete directories.
func directories(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// yamlFiles tells the shell to complete YAML files.
func yamlFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// resumes offers the words of --resume, or directories if typed starts none of them.
func resumes(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	var offers []string
	for _, word := range []string{"auto", "never", "restart"} {
		if strings.HasPrefix(word, typed) {
			offers = append(offers, word)
		}
	}
	if offers == nil {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// checkpoints offers the checkpoints of the run that --run names.
func checkpoints(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	run, _ := c.Flags().GetString("run")
	found, _ := os.ReadDir(run)
	offers := []string{"best", "final"}
	for _, entry := range found {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), "checkpoint-") {
			offers = append(offers, entry.Name())
		}
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}

// settings offers the keys of a run file for --set, and after the = the values of the
// key.
func settings(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	name, value, chosen := strings.Cut(typed, "=")
	var offers []string
	for _, k := range config.Keys() {
		switch {
		case !chosen && strings.HasPrefix(k.Name, name):
			offers = append(offers, k.Name+"=\t"+k.Doc)
		case k.Name != name:
		case k.Path:
			// A shell completes a file name only at the start of a word.
			return nil, cobra.ShellCompDirectiveNoFileComp
		case strings.HasPrefix(k.Type, "a list"):
			for _, word := range afterComma(value, k.Values) {
				offers = append(offers, name+"="+word)
			}
			return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		default:
			for _, word := range valuesOf(k) {
				offers = append(offers, name+"="+word)
			}
			return offers, cobra.ShellCompDirectiveNoFileComp
		}
	}
	return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// valuesOf returns the possible values of a key, or its default and its example if it
// has no fixed set of values.
func valuesOf(k config.Key) []string {
	switch {
	case k.Values != nil:
		return k.Values
	case k.Type == "true or false":
		return []string{"true", "false"}
	}
	values := []string{k.Default}
	if k.Example != k.Default {
		values = append(values, k.Example)
	}
	return slices.DeleteFunc(values, func(v string) bool { return v == "" })
}

// flagCompleters has the completer for each flag name, used in every command with that
// flag.
var flagCompleters = map[string]completer{
	"config":     yamlFiles,
	"set":        settings,
	"device":     words("auto", "cpu", "cuda"),
	"split":      words("train", "dev", "test", "dev_mismatched", "test_mismatched"),
	"checkpoint": checkpoints,
	"resume":     resumes,
	"format":     words(reportFormats...),
	"run":        directories,
	"adapter":    directories,
	"figures":    directories,
	"model":      directories,
	"data":       directories,
}

// addCompletion registers the completers for the flags and arguments of c and of the
// commands below it.
func addCompletion(c *cobra.Command) {
	for name, complete := range flagCompleters {
		if c.Flags().Lookup(name) == nil {
			continue
		}
		if _, own := c.GetFlagCompletionFunc(name); !own {
			if err := c.RegisterFlagCompletionFunc(name, complete); err != nil {
				panic(err) // cannot happen, because the flag exists
			}
		}
	}
	// --out is a run directory in some commands and a file in others.
	if f := c.Flags().Lookup("out"); f != nil && strings.Contains(f.Usage, "`DIR`") {
		c.MarkFlagDirname("out")
	}
	if c.ValidArgsFunction == nil && c.ValidArgs == nil {
		c.ValidArgsFunction = words()
	}
	for _, sub := range c.Commands() {
		addCompletion(sub)
	}
}

// unquoteUsages removes the quotes that mark the names of values in the usage of every flag of
// c and of the commands below it. Help shows the usage without them, and a completion would
// show it with them.
func unquoteUsages(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") })
	for _, sub := range c.Commands() {
		unquoteUsages(sub)
	}
}

// runs offers run directories as the arguments of a command.
func runs(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	folder, begin := filepath.Split(typed)
	found, _ := os.ReadDir(filepath.Join(".", folder))
	var offers []string
	for _, entry := range found {
		path := folder + entry.Name()
		if _, err := os.Stat(filepath.Join(path, train.ConfigFile)); err == nil && strings.HasPrefix(entry.Name(), begin) {
			offers = append(offers, path)
		}
	}
	if offers == nil {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return offers, cobra.ShellCompDirectiveNoFileComp
}
