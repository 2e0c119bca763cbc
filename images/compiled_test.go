// SPDX-License-Identifier: Apache-2.0

package images

import (
	"path/filepath"
	"strings"
	"testing"

	"plugstorm/harness/blame"
)

// TestPatchIsCompiled: a patch of which this configuration compiles nothing is
// the user's mistake; one of headers, or one that is compiled in part, isn't.
func TestPatchIsCompiled(t *testing.T) {
	b := newBench(t)
	b.mustBuild(t, Source{})
	create := func(file string) string {
		return "--- /dev/null\n+++ b/" + file + "\n@@ -0,0 +1 @@\n+new\n"
	}
	for name, tt := range map[string]struct {
		text string
		ok   bool
	}{
		"not":     {create("drivers/far.c") + create("drivers/far.S"), false},
		"in part": {create("drivers/far.c") + create("mm/near.c"), true},
		"header":  {create("include/far.h"), true},
	} {
		t.Run(name, func(t *testing.T) {
			writeTree(t, b.home, map[string]string{name: tt.text})
			_, err := b.build(t, Source{Patches: []string{filepath.Join(b.home, name)}})
			if tt.ok != (err == nil) || err != nil && (blame.Of(err) != blame.User || !strings.Contains(err.Error(), "drivers/far.c, drivers/far.S is not compiled")) {
				t.Errorf("error: %v, of %q", err, blame.Of(err))
			}
		})
	}
}
