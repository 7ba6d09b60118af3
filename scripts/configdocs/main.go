// Command configdocs writes docs/config.md, the reference of run files, and
// docs/run.schema.json, the schema that lor2c schema prints. Run it from the root
// of the repository with `make docs`; its test fails where a file is out of date.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"strings"

	"github.com/lor2c/lor2c/internal/config"
)

func main() {
	for name, text := range files() {
		if err := os.WriteFile(name, text, 0o666); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// files returns what the command writes, by path from the root.
func files() map[string][]byte {
	return map[string][]byte{"docs/config.md": reference(), "docs/run.schema.json": config.JSONSchema()}
}

//go:embed introduction.md
var introduction string

// reference returns docs/config.md.
func reference() []byte {
	var b strings.Builder
	b.WriteString(introduction)
	var sections []string // in the order of a run file; "" has the keys outside of any
	rows := map[string][]string{}
	for _, k := range config.Keys() {
		section, _, nested := strings.Cut(k.Name, ".")
		if !nested {
			section = ""
		}
		if rows[section] == nil {
			sections = append(sections, section)
		}
		rows[section] = append(rows[section], row(k))
	}
	for _, section := range sections {
		title := "`" + section + ":`"
		if section == "" {
			title = "Keys outside of sections"
		}
		b.WriteString("\n## " + title + "\n\n| key | meaning | type | allowed | default | example |\n|---|---|---|---|---|---|\n")
		b.WriteString(strings.Join(rows[section], ""))
	}
	return []byte(b.String())
}

// row returns the line of k in the table of its section.
func row(k config.Key) string {
	kind, _, _ := strings.Cut(k.Type, ", for example")
	allowed := ""
	switch {
	case k.Range != nil:
		allowed = k.Range.String()
	case k.Values != nil:
		allowed = "`" + strings.Join(k.Values, "`, `") + "`"
	}
	initial := "empty"
	switch {
	case k.Required:
		initial = "required"
	case k.Default != "":
		initial = "`" + k.Default + "`"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | `%s` |\n", k.Name, k.Doc, kind, allowed, initial, k.Example)
}
