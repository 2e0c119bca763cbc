// SPDX-License-Identifier: Apache-2.0

// Package page writes tables into Markdown pages, between markers, so that what
// was measured can be written anew without touching the words around it.
package page

import (
	"fmt"
	"regexp"
	"strings"

	"plugstorm/harness/console"
)

// section is a pair of markers and what stands between them.
var section = regexp.MustCompile(`(?s)(<!-- bench ([a-z]+): ([a-z]+) -->\n).*?(<!-- end -->)`)

// Rewrite puts texts between the markers of a page that are for a benchmark:
//
//	<!-- bench BENCH: NAME -->
//	...
//	<!-- end -->
//
// It returns the new page and how many pairs it has for that benchmark. Those
// without a text stay as they are. A marker within a text, whose names may come
// from a guest or a patch, is made none.
func Rewrite(page, bench string, texts map[string]string) (string, int) {
	pairs := 0
	page = section.ReplaceAllStringFunc(page, func(old string) string {
		parts := section.FindStringSubmatch(old)
		if parts[2] != bench {
			return old
		}
		pairs++
		text, ok := texts[parts[3]]
		if !ok {
			return old
		}
		return parts[1] + strings.ReplaceAll(text, "<!--", "<! --") + parts[4]
	})
	return page, pairs
}

// Row writes a row of a table.
func Row(b *strings.Builder, cells ...string) {
	for _, c := range cells {
		fmt.Fprintf(b, "| %s ", strings.ReplaceAll(console.Escape(c), "|", `\|`))
	}
	b.WriteString("|\n")
}

// Head writes the head of a table.
func Head(b *strings.Builder, cells ...string) {
	Row(b, cells...)
	b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
}
