// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"iter"
	"strings"
)

// A Line is one of a list that people write for our modules.
type Line struct {
	Number  int // from 1
	Text    string
	Comment string // of the lines right above, which begin with '#', as one
}

// Lines are a list's lines without the empty ones and the comments.
func Lines(text string) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		var comment []string
		number := 0
		for line := range strings.SplitSeq(text, "\n") {
			number++
			line = strings.TrimSpace(line)
			if rest, ok := strings.CutPrefix(line, "#"); ok {
				comment = append(comment, strings.TrimSpace(rest))
				continue
			}
			if line != "" && !yield(Line{number, line, strings.Join(comment, " ")}) {
				return
			}
			comment = nil
		}
	}
}
