// SPDX-License-Identifier: Apache-2.0

package report

import (
	"io"
	"strings"

	"plugstorm/harness/triage"
)

// answers are what a Comparison says, for people.
var answers = map[triage.Answer]string{
	triage.Same:      "the same bug",
	triage.Different: "different bugs",
	triage.Unknown:   "can't tell",
}

// Same writes what the comparison of two logs says, for people.
func Same(w io.Writer, c triage.Comparison) error {
	t := &text{w: w}
	t.f("%s\n", strings.ToUpper(answers[c.Same][:1])+answers[c.Same][1:])
	t.field("why", c.Why)
	t.side("A", c.A)
	t.side("B", c.B)
	if c.Same != triage.Same || c.A.Title != c.B.Title || c.A.Identity != c.B.Identity {
		for i, line := range c.Diff {
			label := ""
			if i == 0 {
				label = "- A  + B"
			}
			t.f("    %-*s%s\n", labelWidth-4, label, line)
		}
	}
	return t.err
}

func (t *text) side(label string, s triage.Side) {
	t.field(label, s.File)
	if s.Title != "" {
		t.field("", s.Title)
		t.f("%*s%s\n", labelWidth, "", s.Identity) // in one piece, to be copied
	}
	for _, other := range s.Only {
		t.field("", "only here: "+other)
	}
}
