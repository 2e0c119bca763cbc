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
	b.WriteString(format)
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

// format says how a file of issues is written. A test holds it against Issue.
const format = `## A file of one's own

` + "`--known FILE`" + ` takes a TOML file with an ` + "`[[issue]]`" + ` for each. All of a signature that is
given must match, and at least one of title, stack, locks and cycle is. An issue that
names too little explains away what nobody knows yet.

| key | what |
|---|---|
| ` + "`id`" + ` | its name: lower-case words joined by dashes |
| ` + "`title`" + ` | regular expression for the whole title, or for one of the alternative ones |
| ` + "`type`" + ` | the finding's type, as in [json.md](json.md) |
| ` + "`stack`" + ` | functions, innermost first, in this order within one stack; others may stand between |
| ` + "`any`" + ` | functions, one of which is in one of the stacks |
| ` + "`locks`" + ` | lock classes, all of them in the complaint |
| ` + "`access`" + ` | of a page fault: ` + "`read`, `write` or `execute`" + ` |
| ` + "`address`" + ` | of a page fault: regular expression for all 16 hex digits of the address |
| ` + "`cycle`" + ` | functions in which the tasks of a hang that wait for each other do so: these and no others |
| ` + "`machines`" + ` | where it applies; left out: everywhere |
| ` + "`kernels`" + ` | releases: comparisons that must all hold, ` + "`>=6.1 <=6.12`" + ` |
| ` + "`reason`" + ` | why it is real, in a sentence or more |
| ` + "`source`" + ` | where it was seen; this or a link |
| ` + "`link`" + ` | a discussion or a fix |
`
