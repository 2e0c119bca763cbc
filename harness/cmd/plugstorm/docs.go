// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/known"
)

// What the docs command writes.
const (
	referenceFile   = "reference.md"    // from the commands
	knownIssuesFile = "known-issues.md" // from the known issues
)

func (a *app) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "docs DIR",
		Short:   "write the generated parts of plugstorm's own documentation",
		Long:    "Docs writes reference.md, which is generated from the commands themselves, and known-issues.md into a directory.",
		Example: "  plugstorm docs docs",
		Hidden:  true,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var page strings.Builder
			if err := writeReference(&page, c.Root()); err != nil {
				return err
			}
			err := history.WriteFile(filepath.Join(args[0], referenceFile), []byte(page.String()))
			if err == nil {
				err = history.WriteFile(filepath.Join(args[0], knownIssuesFile), []byte(known.Default().Markdown()))
			}
			return blame.On(blame.User, err, "name a directory that can be written to")
		},
	}
}

const referenceHead = `# Reference

What every command's ` + "`--help`" + ` says, written by ` + "`make docs`" + `. Don't edit it.
`

// writeReference writes a section for each command that --help shows, in the
// order in which it shows them.
func writeReference(w io.Writer, root *cobra.Command) error {
	if _, err := io.WriteString(w, referenceHead); err != nil {
		return blame.On(blame.Host, err, "")
	}
	return writeCommand(w, root)
}

func writeCommand(w io.Writer, c *cobra.Command) error {
	long := c.Long
	if long == "" {
		long = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "."
	}
	_, err := fmt.Fprintf(w, "\n## %s\n\n%s\n", c.CommandPath(), long)
	block := func(title, text string) {
		if err == nil && text != "" {
			_, err = fmt.Fprintf(w, "\n%s:\n\n```\n%s\n```\n", title, strings.TrimRight(text, "\n"))
		}
	}
	if c.Runnable() {
		block("Usage", c.UseLine())
	}
	block("Examples", c.Example)
	block("Flags", c.LocalNonPersistentFlags().FlagUsages())
	block("Flags, of this command and those below it", c.PersistentFlags().FlagUsages())
	if err != nil {
		return blame.On(blame.Host, err, "")
	}
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() || sub.Name() == "completion" {
			continue
		}
		if err := writeCommand(w, sub); err != nil {
			return err
		}
	}
	return nil
}
