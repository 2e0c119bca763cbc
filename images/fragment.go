// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"plugstorm/harness/blame"
)

//go:embed fragments
var fragmentFS embed.FS

// everyKernel lists the fragments that go into each kernel, before the
// architecture's own and the features'. A later wish overrides an earlier one.
var everyKernel = []string{"common", "trim", "lockdep", "hotplug"}

// A wish is one option that a fragment asks for.
type wish struct {
	Option   string // "CONFIG_SMP"
	Value    string // as in .config; "n" for "is not set"
	Fragment string // the file that asks, for error messages
	Optional bool   // a kernel that doesn't know the option is fine
}

// A Feature is an optional fragment.
type Feature struct{ Name, Doc string }

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
		first, _, _ := strings.Cut(string(text), "\n")
		all = append(all, Feature{strings.TrimSuffix(path.Base(file), ".config"), strings.TrimPrefix(first, "# ")})
	}
	return all
}

// wishes gathers what a kernel is to be configured with, in the order in which
// options were first named.
func wishes(arch *Arch, features []string) ([]wish, error) {
	var files []string
	for _, name := range everyKernel {
		files = append(files, "fragments/"+name+".config")
	}
	files = append(files, "fragments/"+arch.Fragment+".config")
	for _, name := range slices.Sorted(slices.Values(features)) {
		if !slices.ContainsFunc(Features(), func(f Feature) bool { return f.Name == name }) {
			return nil, blame.Errorf(blame.User, "choose from: "+featureNames(), "unknown kernel feature %q", name)
		}
		files = append(files, "fragments/features/"+name+".config")
		own := "fragments/features/" + arch.Fragment + "/" + name + ".config" // what the feature needs of this architecture
		if _, err := fs.Stat(fragmentFS, own); err == nil {
			files = append(files, own)
		}
	}
	var all []wish
	for _, file := range files {
		text, err := fragmentFS.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("fragment of %s: %w", arch.Name, err)
		}
		more, err := parseFragment(path.Base(file), text)
		if err != nil {
			return nil, err
		}
		all = mergeWishes(all, more)
	}
	return all, nil
}

// FeaturesFor lists the features without which a patch's code may not be
// compiled, going by the options (with or without CONFIG_) that its header
// names: those that set one of them which no kernel of ours has without it.
func FeaturesFor(header string) []string {
	base, err := wishes(X8664, nil)
	if err != nil {
		panic(err) // the fragments are embedded
	}
	named := map[string]bool{}
	for _, word := range optionWord.FindAllString(header, -1) {
		named["CONFIG_"+strings.TrimPrefix(word, "CONFIG_")] = true
	}
	var needed []string
	for _, f := range Features() {
		if f.Name != "users" {
			continue // the others look for bugs, they don't add what has some
		}
		all, err := wishes(X8664, []string{f.Name})
		if err != nil {
			panic(err)
		}
		if slices.ContainsFunc(all, func(w wish) bool {
			return named[w.Option] && w.Value != "n" && !slices.ContainsFunc(base, func(b wish) bool { return b.Option == w.Option && b.Value != "n" })
		}) {
			needed = append(needed, f.Name)
		}
	}
	return needed
}

var optionWord = regexp.MustCompile(`\b[A-Z][A-Z0-9_]{2,}\b`)

func featureNames() string {
	var names []string
	for _, f := range Features() {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

var (
	setLine   = regexp.MustCompile(`^(CONFIG_\w+)=("[^"]*"|[^\s"]+)(\s+# optional)?$`)
	unsetLine = regexp.MustCompile(`^# (CONFIG_\w+) is not set$`)
)

// parseFragment reads a configuration fragment: lines of .config syntax and
// comments. "# optional" behind a value means that a kernel without such an
// option is fine.
func parseFragment(name string, text []byte) ([]wish, error) {
	var all []wish
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if m := setLine.FindStringSubmatch(line); m != nil {
			all = append(all, wish{m[1], m[2], name, m[3] != ""})
		} else if m := unsetLine.FindStringSubmatch(line); m != nil {
			all = append(all, wish{m[1], "n", name, true})
		} else if line != "" && !strings.HasPrefix(line, "#") {
			return nil, fmt.Errorf("%s:%d: neither an option nor a comment: %q", name, i+1, line)
		}
	}
	return all, nil
}

// mergeWishes appends more to all; a wish for the same option replaces the
// earlier one in place.
func mergeWishes(all, more []wish) []wish {
	for _, w := range more {
		if i := slices.IndexFunc(all, func(o wish) bool { return o.Option == w.Option }); i >= 0 {
			all[i] = w
		} else {
			all = append(all, w)
		}
	}
	return all
}

// configText writes wishes in the syntax of .config.
func configText(all []wish) []byte {
	var b bytes.Buffer
	for _, w := range all {
		if w.Value == "n" {
			fmt.Fprintf(&b, "# %s is not set\n", w.Option)
		} else {
			fmt.Fprintf(&b, "%s=%s\n", w.Option, w.Value)
		}
	}
	return b.Bytes()
}

// An unmet wish, with what the kernel's configuration says instead.
type unmet struct {
	wish
	Got string // "n" for not set
}

// verifyConfig compares a finished .config with what was asked for. Kconfig
// drops what it can't satisfy without a word, so nothing is taken on trust.
func verifyConfig(config []byte, all []wish) []unmet {
	got := map[string]string{}
	for line := range strings.Lines(string(config)) {
		option, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if ok && strings.HasPrefix(option, "CONFIG_") {
			got[option] = value
		}
	}
	var missed []unmet
	for _, w := range all {
		have, ok := got[w.Option]
		if !ok {
			have = "n"
		}
		if have != w.Value {
			missed = append(missed, unmet{w, have})
		}
	}
	return missed
}
