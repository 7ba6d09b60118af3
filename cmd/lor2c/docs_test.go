package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"

	"github.com/lor2c/lor2c/internal/config"
)

// docPages are the pages whose blocks of code are checked, relative to the root of the repository.
var docPages = []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "python/README.md", "docs/*.md",
	"docs/howto/*.md", "docs/adr/*.md"}

// languages are what a block may be. Blocks of sh are commands.
var languages = []string{"sh", "text", "yaml", "json", "python", "cpp", "go", "ini", "mermaid"}

// block is a fenced block of code.
type block struct{ place, language, text string }

// blocks returns the blocks of a page.
func blocks(t *testing.T, path string) (list []block) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for i, line := range strings.SplitAfter(string(raw), "\n") {
		language, fence := strings.CutPrefix(strings.TrimRight(line, "\n"), "```")
		switch {
		case fence && !inside:
			list = append(list, block{place: fmt.Sprintf("%s:%d", path, i+1), language: language})
			inside = true
		case fence:
			inside = false
		case inside:
			list[len(list)-1].text += line
		}
	}
	return list
}

// TestDocs: every block of the documentation names its language, and every command in a block of sh can be run: it is
// shell, its flags and arguments are those of the command, and files and keys that it names exist. So do the files and
// headings to which pages link.
func TestDocs(t *testing.T) {
	t.Chdir("../..")
	found := map[string]int{}
	for _, pattern := range docPages {
		pages, err := filepath.Glob(pattern)
		if err != nil || len(pages) == 0 {
			t.Fatalf("%s: %v, %v", pattern, pages, err)
		}
		for _, page := range pages {
			for _, fault := range linkFaults(t, page) {
				t.Errorf("%s: %s", page, fault)
			}
			for _, b := range blocks(t, page) {
				found[b.language]++
				if !slices.Contains(languages, b.language) {
					t.Errorf("%s: the block is %q; want one of %q", b.place, b.language, languages)
				}
				if b.language == "sh" {
					for _, fault := range shellFaults(b.text) {
						t.Errorf("%s: %s", b.place, fault)
					}
				}
			}
		}
	}
	if found["sh"] < 30 {
		t.Errorf("%d blocks of sh were found", found["sh"])
	}
}

// shellFaults returns what is wrong with the commands of a block.
func shellFaults(text string) (faults []string) {
	file, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil {
		return []string{err.Error()}
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			var args []string
			for _, word := range call.Args {
				args = append(args, literal(word))
			}
			if fault := commandFault(args); fault != "" {
				faults = append(faults, strings.Join(args, " ")+": "+fault)
			}
		}
		return true
	})
	return faults
}

// literal returns the text of a word without its quotes.
func literal(w *syntax.Word) string {
	var b bytes.Buffer
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			b.WriteString(literal(&syntax.Word{Parts: p.Parts}))
		case *syntax.Lit:
			b.WriteString(p.Value)
		default:
			_ = syntax.NewPrinter().Print(&b, p)
		}
	}
	return b.String()
}

// others are the programs in commands that are not parts of this repository.
var others = []string{"cat", "cd", "chmod", "curl", "echo", "export", "git", "hf", "llama-cli", "mpirun", "openssl",
	"pip", "printf", "sbatch", "sh", "srun", "tar", "./gpu-check"}

// commandFault returns what is wrong with a command, or "".
func commandFault(args []string) string {
	switch name := args[0]; {
	case name == "lor2c" || name == "bin/lor2c":
		return lor2cFault(args[1:])
	case name == "make":
		return makeFault(args[1:])
	case name == "python" || name == "python3":
		return pythonFault(args[1:])
	case !slices.Contains(others, name):
		return fmt.Sprintf("it is neither a command of this repository nor one of %q", others)
	}
	return ""
}

// lor2cFault parses a command line of lor2c without running it.
func lor2cFault(args []string) string {
	c, rest, err := newRootCommand().Find(args)
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil {
		err = c.ValidateArgs(c.Flags().Args())
	}
	if err != nil {
		return err.Error()
	}
	if f := c.Flags().Lookup("config"); f != nil && f.Changed {
		path := f.Value.String()
		// Pages show these files, and a word in capitals or with a variable stands for a name.
		shown := slices.Contains([]string{"run.yaml", "own.yaml", "sweep.yaml"}, path)
		if !shown && !strings.Contains(path, "$") && path != strings.ToUpper(path) {
			if _, err := os.Stat(path); err != nil {
				return err.Error()
			}
		}
	}
	sets, _ := c.Flags().GetStringArray("set")
	for _, set := range sets {
		key, _, ok := strings.Cut(set, "=")
		if !ok || !slices.ContainsFunc(config.Keys(), func(k config.Key) bool { return k.Name == key }) {
			return fmt.Sprintf("--set %s names no key of a run file", set)
		}
	}
	return ""
}

// makeFault returns an error for a target that the Makefile does not have.
func makeFault(args []string) string {
	raw, err := os.ReadFile("Makefile")
	if err != nil {
		return err.Error()
	}
	for _, target := range args {
		rule := regexp.MustCompile(`(?m)^([a-z0-9-]+ )*` + regexp.QuoteMeta(target) + `( [a-z0-9-]+)*:`)
		if !strings.Contains(target, "=") && !rule.Match(raw) {
			return "the Makefile has no target " + target
		}
	}
	return ""
}

// pythonFault returns an error for a script that does not exist or does not have an option.
func pythonFault(args []string) string {
	raw, err := os.ReadFile(args[0])
	if err != nil {
		return err.Error()
	}
	for _, arg := range args[1:] {
		if strings.HasPrefix(arg, "--") && !strings.Contains(string(raw), `"`+arg+`"`) {
			return args[0] + " has no option " + arg
		}
	}
	return ""
}

// TestDocsFaults: commands that a page must not have are found.
func TestDocsFaults(t *testing.T) {
	t.Chdir("../..")
	for text, want := range map[string]string{
		"lor2c trian -c run.yaml":                                `unknown command "trian"`,
		"lor2c train -c run.yaml --dryrun":                       "unknown flag: --dryrun",
		"lor2c train -c configs/none.yaml":                       "configs/none.yaml: no such file",
		"lor2c train -c run.yaml --set method.rnak=8 && true":    "--set method.rnak=8 names no key",
		"echo a | bin/lor2c predict --adapter":                   "flag needs an argument: --adapter",
		"lor2c export more --run r":                              "more",
		"make buidl":                                             "no target buidl",
		"python scripts/none.py":                                 "scripts/none.py: no such file",
		"python scripts/check_gguf.py --lor2c bin/lor2c --exact": "has no option --exact",
		"lor2c train -c 'run.yaml":                               "quote",
		"for s in a b; do lor2 train -c $s.yaml; done":           "neither a command of this repository",
	} {
		if faults := strings.Join(shellFaults(text), "\n"); !strings.Contains(faults, want) {
			t.Errorf("%s: %q; want %s", text, faults, want)
		}
	}
}
