package main

import (
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/lor2c/lor2c/internal/config"
)

// every calls visit with each command and topic of lor2c that the help lists.
func every(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "completion" { // written by cobra
			every(sub, visit)
		}
	}
}

// TestHelp: the help of every command describes what it does, its usage and its
// exit codes, within the width of a terminal.
func TestHelp(t *testing.T) {
	root := newRootCommand()
	root.InitDefaultHelpCmd()
	every(root, func(c *cobra.Command) {
		t.Run("command="+c.Name(), func(t *testing.T) {
			args := strings.Fields(c.CommandPath())[1:]
			r := run(t, append(append([]string{"help"}, args...), "")[:1+len(args)]...)
			if r.code != 0 || r.stderr != "" || r.stdout == "" {
				t.Fatalf("%+v", r)
			}
			for _, line := range strings.Split(r.stdout, "\n") {
				if len([]rune(line)) > columns {
					t.Errorf("a line has %d columns; want at most %d: %s", len([]rune(line)), columns, line)
				}
			}
			if !c.Runnable() {
				return // a topic
			}
			for _, part := range []string{"\nUsage:\n", "\nFlags:\n", "\nExit status:\n  0 ", "\n  1 ", "\n  2 ", "\n  128+N"} {
				if !strings.Contains(r.stdout, part) {
					t.Errorf("the help has no %q", part)
				}
			}
			if c.Name() != "version" && !strings.Contains(r.stdout, "\nExamples:\n  lor2c ") {
				t.Error("the help has no example")
			}
			for _, line := range strings.Split(c.Example, "\n") {
				checkExample(t, root, line)
			}
		})
	})
}

// checkExample checks that the flags in a line of an example exist.
func checkExample(t *testing.T, root *cobra.Command, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " | ")
	for _, command := range strings.Split(line, " && ") {
		words := strings.Fields(command)
		if len(words) == 0 {
			continue
		}
		c, rest, err := root.Find(words[1:])
		if err != nil || words[0] != "lor2c" {
			t.Errorf("%q: %v", command, err)
			continue
		}
		for _, word := range rest {
			if name, long := strings.CutPrefix(word, "--"); long && c.Flags().Lookup(name) == nil {
				t.Errorf("%q: there is no flag %s", command, word)
			}
		}
	}
}

// TestExitsAreKnown: exitTexts explains every exit code in the annotations of
// commands, and some command has every code that it explains.
func TestExitsAreKnown(t *testing.T) {
	used := map[string]bool{"0": true, "1": true, "2": true}
	every(newRootCommand(), func(c *cobra.Command) {
		for _, code := range strings.Fields(c.Annotations[exitsNote]) {
			used[code] = true
		}
	})
	for _, e := range exitTexts {
		if !used[strconv.Itoa(e.code)] {
			t.Errorf("no command ends with %d", e.code)
		}
		delete(used, strconv.Itoa(e.code))
	}
	if len(used) > 0 {
		t.Errorf("codes without an explanation: %v", used)
	}
}

// TestHelpNamesEveryKey: the help of train and of config lists every key. That
// of config also has its environment variable, type and values.
func TestHelpNamesEveryKey(t *testing.T) {
	short, long := run(t, "train", "--help").stdout, run(t, "help", "config").stdout
	for _, k := range config.Keys() {
		if !strings.Contains(short, "\n  "+k.Name+" ") {
			t.Errorf("train --help has no %s", k.Name)
		}
		if !strings.Contains(long, "\n  "+k.Name+"\n") {
			t.Errorf("help config has no %s", k.Name)
		}
	}
	if i, j := strings.Index(short, "--device"), strings.Index(short, "optim.lr  "); i < 0 || i > j {
		t.Error("the keys come before the flags")
	}
}

// TestVersion: the flag and the command print the same.
func TestVersion(t *testing.T) {
	flag, command := run(t, "--version"), run(t, "version")
	if flag != command || flag.code != 0 || !strings.HasPrefix(flag.stdout, "lor2c ") {
		t.Errorf("--version: %+v; version: %+v", flag, command)
	}
}

// TestCompletion asks for completions as the scripts of shells do.
func TestCompletion(t *testing.T) {
	for _, tt := range []struct {
		args string
		want []string // the first offers
		rule string   // the last line
	}{
		{"tra|", []string{"train"}, ":4"},
		{"train |", nil, ":4"},
		{"train -c |", []string{"yaml", "yml"}, ":8"},
		{"train --set optim.l|", []string{"optim.lr="}, ":6"},
		{"train --set schedule.keep=|", []string{"schedule.keep=richer", "schedule.keep=first"}, ":4"},
		{"train --set method.share=|", []string{"method.share=true", "method.share=false"}, ":4"},
		{"train --set optim.lr=|", []string{"optim.lr=1e-4"}, ":4"},
		{"train --set method.target_modules=query,|",
			[]string{"method.target_modules=query,key", "method.target_modules=query,value"}, ":6"},
		{"train --device |", []string{"auto", "cpu", "cuda"}, ":4"},
		{"train --resume |", []string{"auto", "never", "restart"}, ":4"},
		{"train --resume runs/|", nil, ":16"},
		{"train --out |", nil, ":16"},
		{"eval --split |", []string{"train", "dev", "test"}, ":4"},
		{"eval --run none --checkpoint |", []string{"best", "final"}, ":4"},
		{"merge-report --format |", []string{"html", "json", "md", "csv"}, ":4"},
		{"merge-report --out |", nil, ":0"},
		{"merge-report none|", nil, ":16"},
		{"watch none|", nil, ":16"},
		{"compare none|", nil, ":16"},
		{"replay --run |", nil, ":16"},
		{"reproduce |", []string{"table1", "table2", "fig2", "fig6", "fig7"}, ":4"},
		{"reproduce --methods lora,|", []string{"lora,full", "lora,adapter16"}, ":6"},
		{"reproduce --profile |", []string{"paper", "mini"}, ":4"},
		{"help ev|", []string{"eval"}, ":4"},
	} {
		t.Run("args="+tt.args, func(t *testing.T) {
			typed := strings.TrimSuffix(tt.args, "|")
			args := append([]string{"__complete"}, strings.Fields(typed)...)
			if strings.HasSuffix(typed, " ") {
				args = append(args, "")
			}
			r := run(t, args...)
			lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
			var offers []string
			for _, line := range lines[:len(lines)-1] {
				word, _, _ := strings.Cut(line, "\t")
				offers = append(offers, word)
			}
			if last := lines[len(lines)-1]; last != tt.rule || len(offers) < len(tt.want) || tt.want == nil && len(offers) > 0 {
				t.Fatalf("got %q and %s; want %q and %s", offers, last, tt.want, tt.rule)
			}
			for i, word := range tt.want {
				if offers[i] != word {
					t.Errorf("offer %d is %q; want %q", i, offers[i], word)
				}
			}
		})
	}
	// The usage of a flag is shown as help shows it.
	const want = "--out\trun directory DIR, instead of the run file's\n"
	if r := run(t, "__complete", "train", "--"); !strings.Contains(r.stdout, want) {
		t.Errorf("got %q; want %q in it", r.stdout, want)
	}
}
