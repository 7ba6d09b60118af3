// Command configdocs writes docs/config.md, the reference of run files,
// docs/run.schema.json, the schema that lor2c schema prints, docs/methods.md, and
// the table of methods in README.md. Run it from the
// root of the repository with `make docs`. Its test fails if a file is out of
// date.
package main

import (
	"cmp"
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
)

func main() {
	for name, text := range files(".") {
		if err := os.WriteFile(name, text, 0o666); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// files returns the content of the files that the command writes, by path from
// the root of the repository.
func files(root string) map[string][]byte {
	return map[string][]byte{
		"docs/config.md": reference(), "docs/run.schema.json": config.JSONSchema(), "docs/methods.md": methodsPage(),
		"README.md": withTable(root),
	}
}

//go:embed introduction.txt
var introduction string

// reference returns docs/config.md.
func reference() []byte {
	var b strings.Builder
	b.WriteString(introduction)
	var sections []string // in the order of a run file; "" has the keys outside of sections
	keys := map[string][]config.Key{}
	for _, k := range config.Keys() {
		section, _, nested := strings.Cut(k.Name, ".")
		if !nested {
			section = ""
		}
		if keys[section] == nil {
			sections = append(sections, section)
		}
		keys[section] = append(keys[section], k)
	}
	for _, section := range sections {
		title := "`" + section + ":`"
		if section == "" {
			title = "Keys outside of sections"
		}
		b.WriteString("\n## " + title + "\n\n" + table(keys[section]))
		if section == "method" {
			b.WriteString("\n" + methods())
		}
	}
	return []byte(b.String())
}

// table returns a table of keys. It has a column of methods if a key belongs to
// some methods only.
func table(keys []config.Key) string {
	depend := slices.ContainsFunc(keys, func(k config.Key) bool { return k.Methods != nil })
	text := "| key | meaning | type | allowed | default | example |\n|---|---|---|---|---|---|\n"
	if depend {
		text = "| key | methods | meaning | type | allowed | default | example |\n|---|---|---|---|---|---|---|\n"
	}
	for _, k := range keys {
		text += "| `" + k.Name + "` | "
		if depend {
			text += cmp.Or(code(k.Methods...), "all") + " | "
		}
		kind, _, _ := strings.Cut(k.Type, ", for example")
		allowed := code(k.Values...)
		if k.Range != nil {
			allowed = k.Range.String()
		}
		initial := "empty"
		if k.Required {
			initial = "required"
		} else if k.Default != "" {
			initial = code(k.Default)
		} else if k.Unset != "" {
			initial = k.Unset
		}
		text += strings.Join([]string{k.Doc, kind, allowed, initial, code(k.Example)}, " | ") + " |\n"
	}
	return text
}

// methods returns the table of the methods with their learning rates and the keys that each takes.
func methods() string {
	text := "| `method.name` | what it is | default of `optim.lr` | keys of `method:` that it takes |\n|---|---|---|---|\n"
	for _, name := range adapter.Names() {
		rate := fmt.Sprint(adapter.NewConfig(name).LearningRate())
		text += "| `" + name + "` | " + adapter.About(name) + " | " + rate + " | " +
			cmp.Or(code(adapter.Keys(name)...), "none") + " |\n"
	}
	return text
}

// code returns a list of words as code.
func code(words ...string) string {
	if words == nil {
		return ""
	}
	return "`" + strings.Join(words, "`, `") + "`"
}
