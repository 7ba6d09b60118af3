//go:build man

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// The build tag keeps the code that only `make man` needs out of released binaries.
func init() {
	addMan = func(root *cobra.Command) {
		root.AddCommand(&cobra.Command{
			Use:    "man DIR",
			Hidden: true,
			Args:   cobra.ExactArgs(1),
			RunE:   func(_ *cobra.Command, args []string) error { return writeMan(newRootCommand(), args[0]) },
		})
	}
}

// writeMan writes a man page for each command and topic into dir. Their date is taken
// from SOURCE_DATE_EPOCH, so that the same commit gives the same bytes.
func writeMan(root *cobra.Command, dir string) error {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("lor2c: write man pages: SOURCE_DATE_EPOCH is %s; want the commit's date in seconds since 1970",
			place.Quote(text))
	}
	date := time.Unix(seconds, 0).UTC()
	root.InitDefaultCompletionCmd()
	prepareMan(root)
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "lor2c", Manual: "lor2c", Date: &date}, dir)
}

// prepareMan converts the help of c and of the commands below it to Markdown, from
// which cobra generates man pages, and appends the part that follows the flags.
func prepareMan(c *cobra.Command) {
	c.DisableAutoGenTag = true
	c.Long = markdown(long(c))
	for _, part := range strings.Split(afterFlags(c), "\n\n") {
		title, list, _ := strings.Cut(strings.Trim(part, "\n"), ":\n")
		if list != "" {
			c.Long += "\n\n# " + strings.ToUpper(title) + "\n" + markdown(list)
		}
	}
	if !c.Runnable() && !c.HasSubCommands() {
		c.Run = func(*cobra.Command, []string) {} // a topic is documented only if it could run
	}
	for _, sub := range c.Commands() {
		prepareMan(sub)
	}
}

// markdown returns help as Markdown. Indented lines become code, which Markdown indents
// by four blanks; other text becomes paragraphs.
func markdown(help string) string {
	var b strings.Builder
	indented := false
	for _, line := range strings.Split(help, "\n") {
		if now := strings.HasPrefix(line, " "); now != indented && line != "" {
			indented = now
			b.WriteString("\n")
		}
		if indented && line != "" {
			b.WriteString("    ")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
