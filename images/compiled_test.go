// SPDX-License-Identifier: Apache-2.0

package images

import (
	"path/filepath"
	"strings"
	"testing"

	"plugstorm/harness/blame"
)

// TestPatchIsCompiled: a patch of which this configuration uses nothing is the
// user's mistake; one that is used in part, or through another file, isn't.
func TestPatchIsCompiled(t *testing.T) {
	b := newBench(t)
	b.edit(t, "mm/util.c", "#include \"../include/near.h\"\n#include \"part.c\"\n")
	writeTree(t, b.tree, map[string]string{"include/near.h": "old\n", "include/far.h": "old\n"})
	b.mustBuild(t, Source{})
	create := func(file string) string { return "--- /dev/null\n+++ b/" + file + "\n@@ -0,0 +1 @@\n+new\n" }
	change := func(file string) string { return "--- a/" + file + "\n+++ b/" + file + "\n@@ -1 +1 @@\n-old\n+new\n" }
	for name, tt := range map[string]struct{ text, refused string }{
		"not":        {create("drivers/far.c") + create("drivers/far.S"), "drivers/far.c, drivers/far.S is not compiled"},
		"in part":    {create("drivers/far.c") + create("mm/near.c"), ""},
		"header":     {change("include/near.h"), ""},
		"far header": {change("include/far.h"), "include/far.h is not compiled"},
		"included":   {create("mm/part.c"), ""},
		"page":       {create("Documentation/mm/part.c.rst"), "Documentation/mm/part.c.rst is not compiled"},
		"Makefile":   {create("drivers/Makefile"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			writeTree(t, b.home, map[string]string{name: tt.text})
			_, err := b.build(t, Source{Patches: []string{filepath.Join(b.home, name)}})
			if (tt.refused == "") != (err == nil) || err != nil && (blame.Of(err) != blame.User || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("error: %v, of %q", err, blame.Of(err))
			}
		})
	}
}
