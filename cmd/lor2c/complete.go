package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/train"
)

// completer offers values of a flag that begin with typed.
type completer = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// words offers a fixed list.
func words(list ...string) completer {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// listed offers a fixed list for the part behind the last comma.
func listed(list ...string) completer {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return behindComma(typed, list), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// behindComma puts what is typed before the last comma in front of each of list
// that it does not hold yet.
func behindComma(typed string, list []string) (offers []string) {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	for _, word := range list {
		if !slices.Contains(strings.Split(before, ","), word) {
			offers = append(offers, before+word)
		}
	}
	return offers
}

// directories leaves it to the shell to offer directories.
func directories(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// yamlFiles leaves it to the shell to offer YAML files.
func yamlFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// resumes offers the words of --resume, then directories.
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

// settings offers keys of a run file for --set, and behind the = the values that
// a key can have.
func settings(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	name, value, chosen := strings.Cut(typed, "=")
	var offers []string
	for _, k := range config.Keys() {
		switch {
		case !chosen && strings.HasPrefix(k.Name, name):
			offers = append(offers, k.Name+"=\t"+k.Doc)
		case k.Name != name:
		case k.Path:
			// A shell completes files only where the word begins with them.
			return nil, cobra.ShellCompDirectiveNoFileComp
		case strings.HasPrefix(k.Type, "a list"):
			for _, word := range behindComma(value, k.Values) {
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

// valuesOf is what a key can be, or else what it is and could be.
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

// flagCompleters say what is offered for a flag of a name, in every command that
// has one.
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

// addCompletion makes c and the commands below it complete what a shell asks for.
func addCompletion(c *cobra.Command) {
	for name, complete := range flagCompleters {
		if c.Flags().Lookup(name) == nil {
			continue
		}
		if _, own := c.GetFlagCompletionFunc(name); !own {
			if err := c.RegisterFlagCompletionFunc(name, complete); err != nil {
				panic(err) // a flag that was just found
			}
		}
	}
	// --out is a run directory here and a file there.
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

// runs offers run directories as arguments.
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
