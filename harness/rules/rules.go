// SPDX-License-Identifier: Apache-2.0

// Package rules is the rule checker's texts as data: rules about which locks
// the callers of kernel functions hold, and what the kernel module
// (workloads/kmod/plugstorm_rules) says that it saw. It is pure.
//
// The module's answers come from the guest, which isn't trusted: they are
// bounded, and a line that can't be read is counted, not believed.
package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"plugstorm/harness/blame"
	"plugstorm/harness/fields"
)

// The kernel module, and its directory in the guest with the files that it is
// spoken to by.
const (
	Module        = "plugstorm_rules"
	dir           = "/sys/kernel/debug/plugstorm_rules/"
	RulesFile     = dir + "rules"
	StatusFile    = dir + "status"
	ContractsFile = dir + "contracts"
)

// Bounds, those of the module.
const (
	MaxText   = 256 << 10             // bytes of rules that one guest takes
	MaxDelay  = 10 * time.Millisecond // of a widening: interrupts are off meanwhile
	maxName   = 63
	maxFuncs  = 160 // whose locks are looked at, or that are delayed
	maxCounts = 4096
	maxRules  = 256
	maxTerms  = 8
	maxAlts   = 4
	maxBuses  = 2
	maxLine   = 255 // bytes of a rule's terms
)

// A Set is rules as they were read from a file.
type Set struct {
	Rules   []Rule
	Watches []Func // functions that are only watched
	Counts  []Count
	Widen   []Widening
}

// A Func is a kernel function, or those calls of it that are about a device on
// one of the buses.
type Func struct {
	Symbol string
	Buses  []string
}

// Name is what the module calls it.
func (f Func) Name() string {
	if len(f.Buses) == 0 {
		return f.Symbol
	}
	return f.Symbol + "[bus=" + strings.Join(f.Buses, ",") + "]"
}

// spec is how a rule names it.
func (f Func) spec() string {
	if len(f.Buses) == 0 {
		return f.Symbol
	}
	return f.Symbol + " bus=" + strings.Join(f.Buses, ",")
}

// A Rule says what a caller of a function holds, and must not hold.
type Rule struct {
	Func
	Terms  string   // "mem_hotplug_lock(w) !slab_mutex", single blanks between the terms
	Arch   []string // as uname -m says; none for all
	Since  string   // the first kernel release that it is true of, "" for any
	Before string   // the first one that it isn't true of any more
	Source string   // where it is written: the comment above it
}

// A Widening is a delay at a function's entry.
type Widening struct {
	Func  string        `json:"func"`
	Delay time.Duration `json:"delay_ns"`
}

func (w Widening) String() string { return fmt.Sprintf("%s=%d", w.Func, w.Delay.Microseconds()) }

// Parse reads a rule file. Its grammar is described in docs/rules.md; name
// stands in errors, which are the user's.
func Parse(text, name string) (*Set, error) {
	s := &Set{}
	for line := range fields.Lines(text) {
		if err := s.line(line.Text, line.Comment); err != nil {
			return nil, blame.Errorf(blame.User, "see docs/rules.md", "%s: line %d: %w", name, line.Number, err)
		}
	}
	return s, nil
}

var (
	symbolRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	busRE    = regexp.MustCompile(`^[a-z0-9_-]+$`)
	lockRE   = regexp.MustCompile(`^[A-Za-z_(&][A-Za-z0-9_.>&*()-]*$`)
)

// line reads one line that is neither empty nor a comment.
func (s *Set) line(line, source string) error {
	if at := strings.Index(line, " #"); at >= 0 {
		line = strings.TrimSpace(line[:at])
	}
	words := strings.Fields(line)
	switch words[0] {
	case "watch":
		return s.parseWatch(words[1:], source)
	case "widen":
		if len(words) != 3 {
			return fmt.Errorf("a widening is: widen FUNCTION MICROSECONDS")
		}
		w, err := ParseWidening(words[1] + "=" + words[2])
		s.Widen = append(s.Widen, w)
		return err
	}
	head, terms, ok := strings.Cut(line, ":")
	if !ok {
		return fmt.Errorf("%q: a rule is: FUNCTION: TERM..., a watch is: watch FUNCTION", line)
	}
	r := Rule{Source: source}
	var conditions []string
	var err error
	if r.Func, conditions, err = parseFunc(strings.Fields(head)); err != nil {
		return err
	}
	if err := r.conditions(conditions); err != nil {
		return err
	}
	r.Terms, err = parseTerms(terms)
	s.Rules = append(s.Rules, r)
	return err
}

// parseFunc reads "FUNCTION [bus=NAME,...]" and returns what follows.
func parseFunc(words []string) (f Func, rest []string, err error) {
	if len(words) == 0 || len(words[0]) > maxName || !symbolRE.MatchString(words[0]) {
		return f, nil, fmt.Errorf("no function's name at the beginning of %q", strings.Join(words, " "))
	}
	f.Symbol = words[0]
	for _, word := range words[1:] {
		list, ok := strings.CutPrefix(word, "bus=")
		if !ok {
			rest = append(rest, word)
			continue
		}
		f.Buses = strings.Split(list, ",")
		if len(f.Buses) > maxBuses || slices.ContainsFunc(f.Buses, func(b string) bool { return !busRE.MatchString(b) }) {
			return f, nil, fmt.Errorf("%q: up to %d names of buses, separated by commas", word, maxBuses)
		}
	}
	if len(f.Name()) > maxName {
		return f, nil, fmt.Errorf("%q: longer than %d bytes", f.Name(), maxName)
	}
	return f, rest, nil
}

// conditions reads on which kernels the rule is true.
func (r *Rule) conditions(words []string) error {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		if value == "" {
			return fmt.Errorf("%q: the conditions are arch=NAME,..., since=RELEASE and before=RELEASE", word)
		}
		switch key {
		case "arch":
			r.Arch = strings.Split(value, ",")
		case "since":
			r.Since = value
		case "before":
			r.Before = value
		default:
			return fmt.Errorf("unknown condition %q", word)
		}
		if _, ok := release(value); key != "arch" && !ok {
			return fmt.Errorf("%q: no kernel release", word)
		}
	}
	return nil
}

// parseTerms checks a rule's terms.
func parseTerms(text string) (string, error) {
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > maxTerms {
		return "", fmt.Errorf("a rule has 1 to %d terms", maxTerms)
	}
	for _, word := range words {
		forbidden, alts := word[0] == '!', strings.Split(strings.TrimPrefix(word, "!"), "|")
		if len(alts) > maxAlts || forbidden && len(alts) > 1 {
			return "", fmt.Errorf("%q: up to %d alternatives, and none after '!'", word, maxAlts)
		}
		for _, alt := range alts {
			lock, write := strings.CutSuffix(alt, "(w)")
			lock, read := strings.CutSuffix(lock, "(r)")
			if !write && !read && !forbidden {
				return "", fmt.Errorf("%q: say LOCK(w), LOCK(r) or !LOCK", word)
			}
			if len(lock) > maxName || !lockRE.MatchString(lock) {
				return "", fmt.Errorf("%q: no lock's name", alt)
			}
		}
	}
	joined := strings.Join(words, " ")
	if len(joined) > maxLine {
		return "", fmt.Errorf("the terms are longer than %d bytes", maxLine)
	}
	return joined, nil
}

// ParseWidening reads FUNCTION=MICROSECONDS.
func ParseWidening(text string) (Widening, error) {
	const next = "say FUNCTION=MICROSECONDS, as in kernfs_drain=500"
	name, value, _ := strings.Cut(text, "=")
	us, err := strconv.Atoi(value)
	d := time.Duration(us) * time.Microsecond
	switch {
	case err != nil || len(name) > maxName || !symbolRE.MatchString(name):
		return Widening{}, blame.Errorf(blame.User, next, "%q is no widening", text)
	case d < 0 || d > MaxDelay:
		return Widening{}, blame.Errorf(blame.User, next, "%q: a delay is at most %s, interrupts are off meanwhile", text, MaxDelay)
	}
	return Widening{name, d}, nil
}

// release reads the numbers at the beginning of a kernel release.
func release(text string) (numbers [3]int, ok bool) {
	for i, part := range strings.SplitN(strings.SplitN(text, "-", 2)[0], ".", 3) {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return numbers, i > 1 // "6.12.rc1": the first two tell
		}
		numbers[i] = n
		ok = i > 0
	}
	return numbers, ok
}

// Fits reports whether a rule is meant for a kernel. One whose release can't
// be read is taken to be new.
func (r Rule) Fits(kernel, arch string) bool {
	if len(r.Arch) > 0 && !slices.Contains(r.Arch, arch) {
		return false
	}
	have, ok := release(kernel)
	since, _ := release(r.Since)
	before, _ := release(r.Before)
	if !ok {
		return r.Before == ""
	}
	return slices.Compare(have[:], since[:]) >= 0 && (r.Before == "" || slices.Compare(have[:], before[:]) < 0)
}

// For is the text that the module of a guest is given: the rules that are meant
// for its kernel, and delays. It fails if that is more than the module takes. Of
// functions that are only counted it has those for which there is room.
func (s *Set) For(kernel, arch string, widen []Widening) (string, error) {
	var b strings.Builder
	funcs := map[string]bool{}
	count := 0
	for _, r := range s.Rules {
		if r.Fits(kernel, arch) {
			fmt.Fprintf(&b, "%s: %s\n", r.spec(), r.Terms)
			funcs[r.Name()] = true
			count++
		}
	}
	for _, f := range s.Watches {
		fmt.Fprintf(&b, "watch %s\n", f.spec())
		funcs[f.Name()] = true
	}
	for _, w := range slices.Concat(s.Widen, widen) {
		fmt.Fprintf(&b, "widen %s %d\n", w.Func, w.Delay.Microseconds())
		funcs[w.Func] = true
	}
	if count > maxRules || len(funcs) > maxFuncs || b.Len() > MaxText {
		return "", blame.Errorf(blame.User, "leave some out", "%d rules about %d functions, %d bytes: the checker takes %d, %d and %d",
			count, len(funcs), b.Len(), maxRules, maxFuncs, MaxText)
	}
	counts := 0
	for _, c := range s.Counts {
		// A function that more than counting is asked of mustn't be let go.
		if line := c.Line(); !funcs[c.Symbol] && counts < maxCounts && b.Len()+len(line) <= MaxText {
			b.WriteString(line)
			funcs[c.Symbol] = true
			counts++
		}
	}
	return b.String(), nil
}

// Sources maps each rule, as the module names it, to where it is written.
func (s *Set) Sources() map[string]string {
	all := map[string]string{}
	for _, r := range s.Rules {
		all[r.Name()+": "+r.Terms] = r.Source
	}
	return all
}
