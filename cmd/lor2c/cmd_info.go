package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

func newInfoCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "info DIR",
		Short: "Describe an adapter or a run directory",
		Long: wrap("Info says what an adapter is, for which base model it was trained and whether that is found from here, "+
			"what it predicts, which programs load it, and the command that uses it. DIR is an adapter or a checkpoint, of "+
			"lor2c or of PEFT, or a run directory, of which it lists the adapters and describes the best. Files with "+
			"checksums are compared with them.", ""),
		Example:     "  lor2c info runs/reviews\n  lor2c info runs/reviews/best --json | jq .base",
		Annotations: exits(exitMismatch),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("lor2c: info: name one directory of an adapter or a run")}
			}
			return nil
		},
		ValidArgsFunction: directories,
		RunE: func(c *cobra.Command, args []string) error {
			i, err := describe(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetEscapeHTML(false)
				return e.Encode(i)
			}
			i.print(screenOfStdout(c))
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// info is what lor2c info prints.
type info struct {
	Dir string `json:"dir"`
	// Run and Adapters are those of a run directory; Dir is then the adapter that is described.
	Run      string   `json:"run,omitempty"`
	Adapters []string `json:"adapters,omitempty"`
	// Method is the section of a run file with every setting.
	Method adapter.Config `json:"method"`
	About  string         `json:"about"`
	Base   adapter.Base   `json:"base"`
	// FoundBase is where the base model is from here, empty if it was not found.
	FoundBase string       `json:"found_base"`
	Task      adapter.Task `json:"task"`
	Outputs   int          `json:"outputs"`
	MaxLength int          `json:"max_length"`
	// Scalars is the number of trained scalars without the head.
	Scalars int `json:"scalars"`
	// Data is the number of examples of each split that the run read.
	Data     map[string]int `json:"data,omitempty"`
	Verified bool           `json:"checksums_verified"`
	Resumes  bool           `json:"can_be_continued"`
	Library  string         `json:"library"`
	Loading  string         `json:"loading"`
	Use      string         `json:"use"`
}

// describe returns the description of an adapter or a run directory.
func describe(dir string) (*info, error) {
	if err := checkPath("DIR", dir); err != nil {
		return nil, err
	}
	i := &info{Dir: dir}
	if _, err := os.Stat(filepath.Join(dir, train.ConfigFile)); err == nil {
		i.Run = dir
		if i.Adapters, err = train.Adapters(dir); err != nil {
			return nil, err
		}
		if len(i.Adapters) == 0 {
			return nil, place.Mistake(fmt.Errorf("lor2c: info: %s is a run that has saved no checkpoint yet", dir))
		}
		name := i.Adapters[0]
		if name != "best" {
			name = i.Adapters[len(i.Adapters)-1]
		}
		i.Dir = filepath.Join(dir, name)
	}
	saved, err := adapter.Open(i.Dir)
	if err != nil {
		return nil, err
	}
	defer saved.Close()
	i.Method, i.About, i.Base, i.Task, i.MaxLength = saved.Method, adapter.About(saved.Method.Name()), saved.Base,
		saved.Task, saved.MaxLength
	i.Outputs, i.Scalars, i.Verified = saved.Outputs(), saved.Scalars(), saved.Sealed
	i.Library, i.Loading = saved.Loading()
	if saved.Identity != nil {
		i.Data = map[string]int{}
		for name, split := range saved.Identity.Data {
			i.Data[name] = split.Examples
		}
	}
	i.Resumes = train.Continues(i.Dir)
	if base, err := saved.FindBase(); err == nil {
		i.FoundBase = base
	}
	i.Use = "lor2c predict --adapter " + i.Dir + " FILE"
	if i.Task.Name == dataset.Instruct || i.Outputs == 0 {
		i.Use = "lor2c generate --adapter " + i.Dir + " -p TEXT"
	}
	return i, nil
}

// print prints the description for people.
func (i *info) print(s *terminal.Screen) {
	line := func(name, format string, a ...any) {
		s.Print(terminal.Plain, fmt.Sprintf("%-10s %s", name, fmt.Sprintf(format, a...)), 11)
	}
	if i.Run != "" {
		line("run", "%s with %s", i.Run, strings.Join(i.Adapters, ", "))
	}
	line("adapter", "%s", i.Dir)
	line("method", "%s", i.About)
	line("settings", "%s", i.Method)
	line("trained", "%d scalars besides the head%s", i.Scalars, i.examples())
	line("base", "%s%s", i.Base.Path, i.shape())
	switch {
	case i.FoundBase == "":
		line("", "not found from here; name its directory with --model")
	case i.FoundBase != i.Base.Path:
		line("", "found at %s", i.FoundBase)
	}
	line("predicts", "%s", i.predicts())
	switch {
	case i.Verified:
		line("files", "their checksums are right")
	default:
		line("files", "have no checksums")
	}
	if i.Resumes {
		line("", "the optimizer's state is there, so that lor2c train --resume %s continues", i.Dir)
	}
	line("loading", "%s", i.Loading)
	line("use", "%s", i.Use)
}

func (i *info) examples() string {
	if i.Data == nil {
		return ""
	}
	return fmt.Sprintf(", on %s; evaluated on %d", place.Count(i.Data["train"], "example", "examples"), i.Data["dev"])
}

func (i *info) shape() string {
	if i.Base.Type == "" {
		return ""
	}
	return fmt.Sprintf(", a %s of %s and width %d, weights %.12s", i.Base.Type,
		place.Count(i.Base.Layers, "layer", "layers"), i.Base.Width, i.Base.SHA256)
}

// predicts says what the head predicts, and from what.
func (i *info) predicts() string {
	from := ""
	if len(i.Task.Text) > 0 {
		from = " from " + place.List(i.Task.Text)
	}
	if i.MaxLength > 0 {
		from += ", at most " + place.Count(i.MaxLength, "token", "tokens")
	}
	switch {
	case i.Outputs == 0:
		return "the next token" + from
	case i.Task.Kind == adapter.MultiLabel:
		return fmt.Sprintf("any of %d labels (%s), each from a probability of %g%s", len(i.Task.Labels),
			place.List(i.Task.Labels), i.Task.Threshold, from)
	case i.Task.Kind == adapter.Tokens:
		return fmt.Sprintf("one of %d tags for each word (%s)%s", len(i.Task.Labels), place.List(i.Task.Labels), from)
	case i.Task.Labels != nil:
		return fmt.Sprintf("one of %d labels (%s)%s", len(i.Task.Labels), place.List(i.Task.Labels), from)
	case i.Outputs == 1:
		return "a number" + from
	}
	return fmt.Sprintf("one of %d labels, which it does not name%s", i.Outputs, from)
}
