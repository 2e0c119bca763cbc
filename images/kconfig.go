// SPDX-License-Identifier: Apache-2.0

package images

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"plugstorm/harness/blame"
)

// explainUnmet turns unmet wishes into one error that names each option, the
// fragment that asked and what the kernel's Kconfig files say about it. It
// returns nil when only optional wishes for unknown options are left.
func explainUnmet(tree fs.FS, kernel string, missed []unmet) error {
	known, err := findOptions(tree, missed)
	if err != nil {
		return err
	}
	var lines []string
	for _, m := range missed {
		depends, ok := known[m.Option]
		if !ok && m.Optional {
			continue
		}
		lines = append(lines, "  "+m.state(depends, ok))
	}
	if len(lines) == 0 {
		return nil
	}
	return blame.Errorf(blame.User, "use a kernel that has these options, or correct the fragments",
		"%s can't be configured as asked:\n%s", kernel, strings.Join(lines, "\n"))
}

// state says in one line what became of a wish.
func (m unmet) state(depends []string, known bool) string {
	s := fmt.Sprintf("%s=%s, asked for by %s, ", m.Option, m.Value, m.Fragment)
	switch {
	case !known:
		return s + "is unknown to this kernel"
	case m.Got == "n":
		s += "is not set"
	default:
		s += "came out as " + m.Got
	}
	if len(depends) > 0 {
		s += " (depends on " + strings.Join(depends, " and ") + ")"
	}
	return s
}

var configEntry = regexp.MustCompile(`^\s*(?:menu)?config\s+(\w+)\s*$`)

// findOptions looks the missed options up in all Kconfig files. The result
// has an entry, perhaps empty, for each option that is defined at all.
func findOptions(tree fs.FS, missed []unmet) (map[string][]string, error) {
	wanted := map[string]bool{}
	for _, m := range missed {
		wanted[m.Option] = true
	}
	known := map[string][]string{}
	if len(wanted) == 0 {
		return known, nil
	}
	return known, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) || name == objDir:
			return fs.SkipDir
		case err != nil:
			return err
		case !d.Type().IsRegular() || !isKconfig(name):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err == nil {
			readOptions(string(text), wanted, known)
		}
		return err
	})
}

// readOptions adds the wanted options that a Kconfig file defines to known,
// with the conditions of their "depends on" lines.
func readOptions(text string, wanted map[string]bool, known map[string][]string) {
	option := ""
	for line := range strings.Lines(text) {
		if m := configEntry.FindStringSubmatch(line); m != nil {
			if option = "CONFIG_" + m[1]; wanted[option] {
				known[option] = known[option][:len(known[option]):len(known[option])]
			}
			continue
		}
		condition, ok := strings.CutPrefix(strings.TrimSpace(line), "depends on ")
		if ok && wanted[option] {
			known[option] = append(known[option], condition)
		}
		if line != "\n" && !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, " ") {
			option = ""
		}
	}
}

// isKconfig reports whether a path can change what Kconfig makes of a .config.
func isKconfig(name string) bool {
	base := name[strings.LastIndexByte(name, '/')+1:]
	return strings.HasPrefix(base, "Kconfig") || strings.HasSuffix(base, ".config") ||
		strings.HasPrefix(name, "scripts/kconfig/")
}
