// SPDX-License-Identifier: Apache-2.0

package calls

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"plugstorm/harness/fields"
)

// maxOwn bounds the sites that Own makes: the module keeps a probe for each.
const maxOwn = 48

// A fallible is a function that may fail whoever calls it, as a line of
// lists/callees.fallible says.
type fallible struct {
	site   Site     // without a caller
	names  []string // that the source calls it by
	except []string // callers that don't bear it
}

//go:embed lists/callees.fallible
var fallibleText string

var fallibles, spared = readFallible(fallibleText, "lists/callees.fallible")

func readFallible(text, name string) ([]fallible, []string) {
	all, spare, err := parseFallible(text, name)
	if err != nil {
		panic(err) // a test reads it
	}
	return all, spare
}

// parseFallible reads a list. A line is one of
//
//	FUNC ERRNO[,ERRNO] [as=NAME[,NAME]] [except=CALLER[,CALLER]] [arg=NAME] [machine=NAME[,NAME]] [last]
//	spare CALLER[,CALLER]
//
// and has a comment above it; name stands in errors.
func parseFallible(text, name string) (all []fallible, spare []string, err error) {
	for line := range fields.Lines(text) {
		words := strings.Fields(line.Text)
		switch {
		case line.Comment == "":
			err = fmt.Errorf("no comment says where it is written")
		case len(words) < 2:
			err = fmt.Errorf("a line is: FUNCTION ERRNO, or spare CALLER")
		case words[0] == "spare":
			spare = append(spare, strings.Split(words[1], ",")...)
		default:
			var f fallible
			f, err = parseFallibleLine(words)
			f.site.Source = line.Comment
			all = append(all, f)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: line %d: %w", name, line.Number, err)
		}
	}
	return all, spare, nil
}

func parseFallibleLine(words []string) (fallible, error) {
	f := fallible{names: words[:1]}
	rest := words[:0:0]
	for _, word := range words[2:] {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "as":
			f.names = append(slices.Clone(f.names), strings.Split(value, ",")...)
		case "except":
			f.except = strings.Split(value, ",")
		default:
			rest = append(rest, word)
		}
	}
	var err error
	f.site, err = parseSite(append([]string{Ops[0], words[0], words[1]}, rest...)) // whose op it is in the course of isn't known
	f.site.Ops = nil
	if err == nil && strings.Contains(words[0], "<") {
		err = fmt.Errorf("%q: whoever calls it", words[0])
	}
	return f, err
}

// Own makes sites of what functions call themselves, as far as it may fail on a
// machine and its kernel has it: of each function in turn, up to a bound. callees has
// what the source says that they call (images.Callees), which is no more than names.
func Own(callers []string, callees map[string][]string, machine string, has func(name string) bool) []Site {
	byCaller := map[string][]Site{}
	longest := 0
	for _, caller := range callers {
		byCaller[caller] = slices.DeleteFunc(ownOf(caller, callees[caller], machine), func(s Site) bool {
			function, _, _ := strings.Cut(s.Func, ownMark)
			return !has(function)
		})
		longest = max(longest, len(byCaller[caller]))
	}
	var all []Site
	for i := range longest {
		for _, caller := range callers {
			if sites := byCaller[caller]; i < len(sites) {
				all = append(all, sites[i])
			}
		}
	}
	return all[:min(len(all), maxOwn)]
}

func ownOf(caller string, callees []string, machine string) []Site {
	if len(caller) > maxName || slices.Contains(spared, caller) {
		return nil
	}
	var sites []Site
	for _, f := range fallibles {
		if !slices.ContainsFunc(callees, func(name string) bool { return slices.Contains(f.names, name) }) ||
			slices.Contains(f.except, caller) || f.site.Func == caller || len(f.site.Machines) > 0 && !slices.Contains(f.site.Machines, machine) {
			continue
		}
		s := f.site
		s.Func += ownMark + caller
		if funcRE.MatchString(s.Func) {
			sites = append(sites, s)
		}
	}
	return sites
}

// ownMark is between a function and a caller of which only the calls of its own
// count.
const ownMark = "<<"

// Own reports whether the call is one of Own's sites.
func (c Call) Own() bool { return strings.Contains(c.Func, ownMark) }

// Caller is the function whose calls a site means, "" for everybody's.
func (s Site) Caller() string {
	_, caller, _ := strings.Cut(s.Func, "<")
	return strings.TrimPrefix(caller, "<")
}

// Names lists the functions of sites.
func Names(sites []Site) []string {
	var all []string
	for _, s := range sites {
		all = append(all, s.Func)
	}
	return all
}
