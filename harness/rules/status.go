// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bufio"
	"fmt"
	"strings"

	"plugstorm/harness/fields"
)

// Header is the first line of what the module says; its number is the format's.
const Header = "plugstorm_rules 1"

// MaxAnswer bounds each of the module's two answers, in bytes.
const MaxAnswer = 1 << 20

// Bounds on what is kept of an answer. They are above the module's own.
const (
	maxLocks   = 64   // of a function
	maxAnswers = 1024 // contracts, rules
	maxHits    = 8192 // functions
)

// A Status is what the module of one guest did, and what it saw. Counts are
// since the rules were loaded.
type Status struct {
	DebugLocks bool     `json:"debug_locks"` // lockdep was still on
	Printed    int64    `json:"printed"`     // reports of violations
	Unprinted  int64    `json:"unprinted"`   // reports that found no room
	Nested     int64    `json:"nested"`      // violations inside another one about the same lock, not reported
	Funcs      []Hits   `json:"funcs"`
	Rules      []Result `json:"rules"`
	Bad        int      `json:"bad,omitempty"` // lines that could not be read
}

// Hits are the calls of a watched function.
type Hits struct {
	Func        string `json:"func"`
	Symbol      string `json:"symbol"`
	Unavailable string `json:"unavailable,omitempty"` // why it isn't watched: an errno's number
	Spent       bool   `json:"spent,omitempty"`       // let go after Hits calls, see Count: there were more
	Hits        int64  `json:"hits"`
	Off         int64  `json:"off"`      // while lockdep was off
	Self        int64  `json:"self"`     // by tasks that had switched it off for themselves
	Missed      int64  `json:"missed"`   // not seen by the kprobe
	WidenUS     int64  `json:"widen_us"` // delay of each
}

// Checked is how many calls were looked at.
func (h Hits) Checked() int64 { return max(0, h.Hits-h.Off-h.Self) }

// A Result is what came of one rule.
type Result struct {
	Rule        string `json:"rule"` // "FUNC: TERM..."
	Unavailable bool   `json:"unavailable,omitempty"`
	Hits        int64  `json:"hits"` // calls that were checked
	Violations  int64  `json:"violations"`
}

// lines returns the lines below the header of an answer. An answer without it
// is none.
func lines(text string) ([]string, error) {
	if len(text) > MaxAnswer {
		text = text[:MaxAnswer]
	}
	scanner := bufio.NewScanner(strings.NewReader(text))
	scanner.Buffer(nil, MaxAnswer+1)
	if !scanner.Scan() || strings.TrimSpace(scanner.Text()) != Header {
		return nil, fmt.Errorf("the rule checker's answer doesn't begin with %q", Header)
	}
	var all []string
	for scanner.Scan() {
		if line := strings.TrimRight(scanner.Text(), "\r"); line != "" {
			all = append(all, line)
		}
	}
	return all, scanner.Err()
}

// ParseStatus reads the module's status file.
func ParseStatus(text string) (*Status, error) {
	all, err := lines(text)
	if err != nil {
		return nil, err
	}
	s := &Status{Funcs: []Hits{}, Rules: []Result{}}
	for _, line := range all {
		if !s.line(line) {
			s.Bad++
		}
	}
	return s, nil
}

func (s *Status) line(line string) bool {
	kind, rest, _ := strings.Cut(line, " ")
	switch kind {
	case "debug_locks":
		s.DebugLocks = rest == "1"
		return rest == "0" || rest == "1"
	case "reports":
		f := fields.Of(rest)
		s.Printed, s.Unprinted, s.Nested = f.Count("printed"), f.Count("unprinted"), f.Count("nested")
		return f.OK()
	case "func":
		name, rest, _ := strings.Cut(rest, " ")
		f := fields.Of(rest)
		h := Hits{
			Func: name, Symbol: f.Text("symbol"), Hits: f.Count("hits"), Off: f.Count("off"), Self: f.Count("self"),
			Missed: f.Count("missed"), WidenUS: f.Count("widen"),
		}
		state := f.Text("state")
		h.Spent = state == "spent"
		if state != "ok" && !h.Spent {
			_, h.Unavailable, _ = strings.Cut(state, ":")
			if !strings.HasPrefix(state, "unavailable:") {
				f.Fail()
			}
		}
		if !f.OK() || !plain(name) || !plain(h.Symbol) || !plain(h.Unavailable) || len(s.Funcs) == maxHits {
			return false
		}
		s.Funcs = append(s.Funcs, h)
		return true
	case "rule":
		return s.rule(rest)
	}
	return false
}

// rule reads "INDEX FUNC state=... hits=N violations=N : TERMS".
func (s *Status) rule(line string) bool {
	head, terms, ok := strings.Cut(line, " : ")
	words := strings.SplitN(head, " ", 3)
	if !ok || len(words) != 3 || len(s.Rules) == maxAnswers {
		return false
	}
	f := fields.Of(words[2])
	r := Result{Rule: words[1] + ": " + terms, Unavailable: f.Text("state") != "ok", Hits: f.Count("hits"), Violations: f.Count("violations")}
	if !f.OK() || !plain(r.Rule) {
		return false
	}
	s.Rules = append(s.Rules, r)
	return true
}

// plain reports whether a text of the guest's is short and printable.
func plain(text string) bool { return fields.Plain(text, 2*maxLine) }
