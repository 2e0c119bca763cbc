// SPDX-License-Identifier: Apache-2.0

package images

import (
	"path"
	"slices"
	"strings"

	"plugstorm/harness/blame"
)

// checkCompiled refuses a patch of the user's of whose C files this
// configuration compiled none: a kernel that doesn't hold the patch says nothing
// about it, and least of all that it is clean.
func (j *job) checkCompiled(w *workTree) error {
	for i, p := range j.patches {
		if !strings.HasPrefix(p.Name, userPatch) {
			continue
		}
		var sources []string
		for _, file := range j.parsed[i].Written() {
			if path.Ext(file) == ".c" || path.Ext(file) == ".S" {
				sources = append(sources, file)
			}
		}
		compiled := func(source string) bool { return exists(w.object(strings.TrimSuffix(source, path.Ext(source)) + ".o")) }
		if len(sources) > 0 && !slices.ContainsFunc(sources, compiled) {
			return blame.Errorf(blame.User, "add a --feature whose options compile it (plugstorm images build --help), or choose another --machine",
				"%s has no effect on a kernel for %s: %s is not compiled with this configuration", p.Name, j.arch.Name, strings.Join(sources, ", "))
		}
	}
	return nil
}
