// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strings"

	"plugstorm/harness/triage"
)

// Dot writes the lock cycles and wait-for graphs of a log for Graphviz, a
// subgraph for each complaint.
func Dot(w io.Writer, l *triage.Log) error {
	var b strings.Builder
	b.WriteString("digraph plugstorm {\n\tnode [shape=box, fontname=\"monospace\"];\n\tedge [fontname=\"monospace\"];\n")
	for i, d := range diagrams(l) {
		fmt.Fprintf(&b, "\tsubgraph cluster_%d {\n\t\tlabel=%s;\n", i, quoteDot(d.title))
		for j, n := range d.nodes {
			lines := quoteDot(n.label)
			if n.detail != "" {
				lines = quoteDot(n.label, n.detail)
			}
			fmt.Fprintf(&b, "\t\tn%d_%d [label=%s%s];\n", i, j, lines, dotStyle(n.marked, false))
		}
		for _, a := range d.arrows {
			fmt.Fprintf(&b, "\t\tn%d_%d -> n%d_%d [label=%s%s];\n", i, a.from, i, a.to, quoteDot(a.label), dotStyle(a.marked, a.guessed))
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func dotStyle(marked, guessed bool) string {
	style := ""
	if marked {
		style += ", color=\"#b00020\""
	}
	if guessed {
		style += ", style=dashed"
	}
	return style
}

// quoteDot makes lines of text one double-quoted string of the DOT language. A
// backslash would begin an escape sequence of a label, and a quote would end it.
func quoteDot(lines ...string) string {
	escaped := make([]string, len(lines))
	for i, line := range lines {
		escaped[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\\n`).Replace(line)
	}
	return `"` + strings.Join(escaped, `\n`) + `"`
}
