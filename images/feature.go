// SPDX-License-Identifier: Apache-2.0

package images

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Feature is an optional fragment. The comments on top of it are data: the
// first line is its Doc, and a line
//
//	# brings: WORD...
//
// says that it doesn't only look for bugs but compiles code in that no other
// kernel of ours has, and which words of a patch's header are about that code.
type Feature struct {
	Name, Doc string
	Brings    []string // in small letters; none: it only looks for bugs
}

const bringsKey = "brings:"

// Features lists what Options.Features may name, in alphabetical order.
func Features() []Feature {
	files, err := fs.Glob(fragmentFS, "fragments/features/*.config")
	if err != nil {
		panic(err) // a bad pattern
	}
	var all []Feature
	for _, file := range files {
		text, err := fragmentFS.ReadFile(file)
		if err != nil {
			panic(err) // embedded, so it is there
		}
		all = append(all, parseFeature(strings.TrimSuffix(path.Base(file), ".config"), string(text)))
	}
	return all
}

// parseFeature reads the comments on top of a feature's fragment.
func parseFeature(name, text string) Feature {
	f := Feature{Name: name}
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		comment = strings.TrimSpace(comment)
		if words, ok := strings.CutPrefix(comment, bringsKey); ok {
			f.Brings = append(f.Brings, strings.Fields(words)...)
		} else if f.Doc == "" {
			f.Doc = comment
		}
	}
	return f
}

// FeaturesFor lists the features without which a patch's code may not be
// compiled, going by its header: those that bring code in (Feature.Brings), when
// it has one of their words, in any letters and with - for _, or names an option
// (with or without CONFIG_) that they set and no kernel of ours has without them.
func FeaturesFor(header string) []string {
	base, options, words := mustWishes(nil), map[string]bool{}, map[string]bool{}
	for _, word := range optionWord.FindAllString(header, -1) {
		options["CONFIG_"+strings.TrimPrefix(word, "CONFIG_")] = true
	}
	for _, word := range headerWord.FindAllString(header, -1) {
		words[strings.ReplaceAll(strings.ToLower(word), "-", "_")] = true
	}
	var needed []string
	for _, f := range Features() {
		if len(f.Brings) == 0 {
			continue
		}
		own := slices.DeleteFunc(mustWishes([]string{f.Name}), func(w wish) bool {
			return w.Value == "n" || slices.ContainsFunc(base, func(b wish) bool { return b.Option == w.Option && b.Value != "n" })
		})
		if slices.ContainsFunc(f.Brings, func(word string) bool { return words[word] }) ||
			slices.ContainsFunc(own, func(w wish) bool { return options[w.Option] }) {
			needed = append(needed, f.Name)
		}
	}
	return needed
}

// mustWishes are the wishes of a kernel with features that there are.
func mustWishes(features []string) []wish {
	all, err := wishes(X8664, features)
	if err != nil {
		panic(err) // the fragments are embedded
	}
	return all
}

var (
	optionWord = regexp.MustCompile(`\b[A-Z][A-Z0-9_]{2,}\b`)
	headerWord = regexp.MustCompile(`\w+(?:-\w+)*`)
)
