// SPDX-License-Identifier: Apache-2.0

package known

import (
	"fmt"
	"strings"
)

// Markdown renders the set for docs/known-issues.md.
func (s *Set) Markdown() string {
	var b strings.Builder
	b.WriteString(`# Known issues

What unmodified kernels show under plugstorm, explained from their source. A
finding that matches is reported as known and does not fail a run; the run goes
on with a fresh guest. Written by ` + "`make docs`" + ` from harness/known/issues.toml.
`)
	for _, i := range s.Issues {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", i.ID, strings.TrimSpace(i.Reason))
		row(&b, "title", i.Title)
		row(&b, "type", i.Type)
		row(&b, "stack", strings.Join(i.Stack, " ← "))
		row(&b, "any of", strings.Join(i.Any, ", "))
		row(&b, "locks", strings.Join(i.Locks, ", "))
		row(&b, "access", i.Access)
		row(&b, "address", i.Address)
		row(&b, "cycle", strings.Join(i.Cycle, ", "))
		row(&b, "machines", strings.Join(i.Machines, ", "))
		row(&b, "kernels", i.Kernels)
		if i.Source != "" {
			fmt.Fprintf(&b, "* source: %s\n", i.Source)
		}
		if i.Link != "" {
			fmt.Fprintf(&b, "* link: <%s>\n", i.Link)
		}
	}
	return b.String()
}

// row writes a part of a signature as code.
func row(b *strings.Builder, name, value string) {
	if value != "" {
		fmt.Fprintf(b, "* %s: `%s`\n", name, value)
	}
}
