package main

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
)

//go:embed methods.txt
var methodsIntroduction string

// prose has one file for each method: its formula, what it trains, the number
// of its parameters, its source and its divergences.
//
//go:embed methods
var prose embed.FS

// headings are what the prose of every method must have.
var headings = []string{"**Trains**", "**Parameters**", "**Source**", "**Divergences**"}

// methodsPage returns docs/methods.md.
func methodsPage() []byte {
	text := methodsIntroduction + methodTable("")
	keys := map[string][]config.Key{}
	for _, k := range config.Keys() {
		if strings.HasPrefix(k.Name, "method.") {
			for _, name := range k.Methods {
				k.Methods = nil
				keys[name] = append(keys[name], k)
			}
		}
	}
	for _, name := range adapter.Names() {
		text += fmt.Sprintf("\n## %s\n\n%s\n**Merging into the weights of the base model**: %s.\n\n", name, proseOf(name),
			merging(name))
		if keys[name] == nil {
			text += "The method has no settings.\n"
			continue
		}
		text += table(keys[name])
	}
	return []byte(text)
}

// proseOf returns what is written about a method by hand.
func proseOf(name string) string {
	text, err := prose.ReadFile("methods/" + name + ".txt")
	if err != nil {
		return fmt.Sprintf("scripts/configdocs/methods/%s.txt does not exist.\n", name)
	}
	return string(text)
}

// merging says whether a method can be merged into the base model.
func merging(name string) string {
	if reason := adapter.WhyNotFolded(name); reason != "" {
		if adapter.InGraph(name) {
			reason += ". `lor2c export --format onnx` writes the modules as a part of the graph"
		}
		return "not possible, because " + reason
	}
	text := "`lor2c export --format merged` or `merged-nf4`, for encoders `onnx` and for decoders `gguf`"
	if setting := adapter.FoldedWith(name); setting != "" {
		text += ", with `" + setting + "`"
	}
	return text
}

// begin and end are the lines of README.md around the table of methods.
const begin, end = "<!-- methods: make docs -->\n", "<!-- /methods -->\n"

// withTable returns README.md with the table of methods as it should be.
func withTable(root string) []byte {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	before, rest, opened := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if err != nil || !opened || !closed {
		panic(fmt.Sprintf("README.md has no lines %q and %q: %v", begin, end, err))
	}
	return []byte(before + begin + methodTable("docs/methods.md") + end + after)
}

// methodTable returns a table of the methods with links to their sections on
// page.
func methodTable(page string) string {
	text := "| `method.name` | what it is |\n|---|---|\n"
	for _, name := range adapter.Names() {
		text += fmt.Sprintf("| [`%s`](%s#%s) | %s |\n", name, page, name, adapter.About(name))
	}
	return text
}
