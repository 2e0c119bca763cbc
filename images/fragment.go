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
	Before   string // only kernels older than this release are asked, "" for all
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

func featureNames() string {
	var names []string
	for _, f := range Features() {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

var (
	setLine   = regexp.MustCompile(`^(CONFIG_\w+)=("[^"]*"|[^\s"]+)(?:\s+# (optional|before=(\d+\.\d+)))?$`)
	unsetLine = regexp.MustCompile(`^# (CONFIG_\w+) is not set$`)
)

// parseFragment reads a configuration fragment: lines of .config syntax and
// comments. "# optional" behind a value means that a kernel without such an
// option is fine, "# before=6.10" that only kernels older than 6.10 are asked.
func parseFragment(name string, text []byte) ([]wish, error) {
	var all []wish
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if m := setLine.FindStringSubmatch(line); m != nil {
			all = append(all, wish{Option: m[1], Value: m[2], Fragment: name, Optional: m[3] == "optional", Before: m[4]})
		} else if m := unsetLine.FindStringSubmatch(line); m != nil {
			all = append(all, wish{Option: m[1], Value: "n", Fragment: name, Optional: true})
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

// wishesFor leaves out what a kernel of this release isn't asked.
func wishesFor(release string, all []wish) []wish {
	return slices.DeleteFunc(slices.Clone(all), func(w wish) bool {
		return w.Before != "" && !older(release, w.Before)
	})
}

// older compares the first two numbers of kernel releases. One that can't be
// read is new.
func older(release, than string) bool {
	var have, want [2]int
	if _, err := fmt.Sscanf(release, "%d.%d", &have[0], &have[1]); err != nil {
		return false
	}
	if _, err := fmt.Sscanf(than, "%d.%d", &want[0], &want[1]); err != nil {
		return false
	}
	return slices.Compare(have[:], want[:]) < 0
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
// drops what it can't satisfy without a word, so nothing is taken on trust. A
// number that is 0 is off: some switches of today were numbers once (BASE_SMALL).
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
		if !ok || have == "0" && w.Value == "n" {
			have = "n"
		}
		if have != w.Value {
			missed = append(missed, unmet{w, have})
		}
	}
	return missed
}
