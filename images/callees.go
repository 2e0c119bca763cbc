// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Bounds of what is read of calls: the source may be a user's patch.
const (
	maxCallees = 256 // names of one function
	maxInlined = 3   // how deep functions of the file are looked into that the compiler may have inlined
)

// Callees names what functions call, in the source with all its patches, in the
// order of the text and each name once. A static function of the same file that one
// calls may have become part of it, so what that calls is named as well.
//
// Left out is what a function doesn't let fail (see mayFail). A change without a
// function, or whose file isn't there, has none. The source is unpacked if need be.
func (s *Store) Callees(ctx context.Context, src Source, of []Change) (map[Change][]string, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	callees, err := s.callees(ctx, src, of)
	return callees, s.blameDisk(err)
}

func (s *Store) callees(ctx context.Context, src Source, of []Change) (map[Change][]string, error) {
	all := map[Change][]string{}
	err := s.patched(ctx, src, func(j *job, root *os.Root) error {
		o, err := j.applied(root)
		if err != nil {
			return err
		}
		files := map[string]map[string]string{}
		for _, c := range of {
			if c.File == "" || c.Func == "" {
				continue
			}
			if files[c.File] == nil {
				files[c.File], _ = cFunctions(o.Text(c.File))
			}
			all[c] = calleesOf(c.Func, files[c.File], 0)
		}
		return nil
	})
	return all, err
}

// calleesOf names what a function calls, at a depth below the one that is asked for.
func calleesOf(name string, functions map[string]string, depth int) []string {
	var all []string
	for _, callee := range mayFail(functions[name]) {
		if callee == name {
			continue
		}
		all = append(all, callee)
		if head, _, _ := strings.Cut(functions[callee], "{"); depth < maxInlined && strings.Contains(head, "static ") {
			all = append(all, calleesOf(callee, functions, depth+1)...)
		}
		if len(all) > maxCallees {
			break
		}
	}
	all = unique(all)
	return all[:min(len(all), maxCallees)]
}

// unique drops repetitions, in place, and keeps the order.
func unique(names []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(name string) bool {
		again := seen[name]
		seen[name] = true
		return again
	})
}

var (
	// comments and texts of C, in which nothing is called.
	uncalled = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])+'`)

	// fatal is what a function makes of a failure that it doesn't bear, or says of a
	// call that can't fail.
	fatal = regexp.MustCompile(`\b\w*(BUG_ON|BUG|WARN|WARN_ON|WARN_ON_ONCE|WARN_ONCE|panic)\s*\(|NOFAIL|SLAB_PANIC`)
)

// keywords are C's own words that stand before a parenthesis.
var keywords = map[string]bool{"if": true, "for": true, "while": true, "switch": true, "return": true, "sizeof": true}

// nextSteps is behind how many statements nobody judges a call's result any more.
// What is fatal among them may be about something else: then a call is missed.
const nextSteps = 3

// mayFail names what a function's text calls and lets fail: not what stands in a
// statement that is fatal or is followed by such a one.
func mayFail(text string) []string {
	_, body, _ := strings.Cut(uncalled.ReplaceAllString(text, " "), "{")
	steps := strings.FieldsFunc(body, func(r rune) bool { return strings.ContainsRune(";{}", r) })
	var names []string
	for i, step := range steps {
		if fatal.MatchString(strings.Join(steps[i:min(len(steps), i+1+nextSteps)], ";")) {
			continue
		}
		for _, found := range called.FindAllString(step, -1) {
			if name := strings.TrimRight(found, " \t("); !keywords[name] {
				names = append(names, name)
			}
		}
	}
	return unique(names)
}
