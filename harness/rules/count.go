// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Count is a function of which it is only asked whether it is called, up to a
// number of calls: nobody knows how often that is, and a probe is dear.
type Count struct {
	Symbol string
	Upto   int    // calls
	Source string // the comment above it: with `plugstorm images functions` the file that defines it
}

// MaxCount is how many calls are counted where nobody says otherwise: some tenths
// of a second's worth of probes under TCG.
const MaxCount = 10000

// Line is the count as a line of a rule file.
func (c Count) Line() string { return fmt.Sprintf("watch %s upto=%d\n", c.Symbol, c.Upto) }

// CountLines are the lines of a rule file that count calls of functions which the
// set doesn't count already.
func (s *Set) CountLines(functions []string) string {
	var b strings.Builder
	for _, symbol := range functions {
		if !slices.ContainsFunc(s.Counts, func(c Count) bool { return c.Symbol == symbol }) {
			b.WriteString(Count{Symbol: symbol, Upto: MaxCount}.Line())
		}
	}
	return b.String()
}

// parseWatch reads what follows "watch".
func (s *Set) parseWatch(words []string, source string) error {
	f, rest, err := parseFunc(words)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		s.Watches = append(s.Watches, f)
		return nil
	}
	text, ok := strings.CutPrefix(rest[0], "upto=")
	upto, bad := strconv.Atoi(text)
	if !ok || len(rest) > 1 || len(f.Buses) > 0 || bad != nil || upto < 1 {
		return fmt.Errorf("%q: a watch is: watch FUNCTION [bus=NAME,...], or watch FUNCTION upto=CALLS", strings.Join(rest, " "))
	}
	s.Counts = append(s.Counts, Count{f.Symbol, upto, source})
	return nil
}
