// SPDX-License-Identifier: Apache-2.0

package images

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plugstorm/harness/blame"
)

const usersC = `int count;

static void first(void)
{
	count++;
}

static void second(void)
{
	count--;
}
`

// usersPatch is a patch of mm/users.c whose hunk has this heading, as git and diff
// -p write it: the function before, or nothing.
func usersPatch(heading string) string {
	return "--- a/mm/users.c\n+++ b/mm/users.c\n@@ -5,6 +5,6 @@" + heading + "\n \tcount++;\n }\n \n static void second(void)\n {\n-\tcount--;\n+\tcount = 0;\n }\n"
}

func TestChanges(t *testing.T) {
	b := newBench(t)
	writeTree(t, b.tree, map[string]string{"mm/users.c": usersC, "include/users.h": "static inline int old(void) { return 0; }\n"})
	for name, tt := range map[string]struct{ text, want string }{
		"heading of the one before": {usersPatch(" static void first(void)"), "mm/users.c:second"},
		"no heading":                {usersPatch(""), "mm/users.c:second"},
		"a new one":                 {"--- a/mm/users.c\n+++ b/mm/users.c\n@@ -1,2 +1,7 @@\n int count;\n \n+int third(void)\n+{\n+\treturn count;\n+}\n+\n", "mm/users.c:third"},
		"outside of any":            {"--- a/mm/users.c\n+++ b/mm/users.c\n@@ -1 +1 @@\n-int count;\n+long count;\n", "mm/users.c:"},
		"a new file":                {"--- /dev/null\n+++ b/mm/new.c\n@@ -0,0 +1,3 @@\n+void fresh(void)\n+{\n+}\n", "mm/new.c:fresh"},
		"a header":                  {"--- a/include/users.h\n+++ b/include/users.h\n@@ -1 +1 @@\n-static inline int old(void) { return 0; }\n+static inline int old(void) { return 1; }\n", "include/users.h:old"},
		"no C":                      {"--- a/README\n+++ b/README\n@@ -1 +1 @@\n-text\n+other text\n", "README:"},
		"two files": {
			usersPatch("") + "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-text\n+other text\n", "README: mm/users.c:second",
		},
	} {
		t.Run(name, func(t *testing.T) {
			writeTree(t, b.home, map[string]string{"p": tt.text})
			got, err := b.Changes(t.Context(), Source{Tree: b.tree, Patches: []string{filepath.Join(b.home, "p")}})
			var names []string
			for _, c := range got {
				names = append(names, c.File+":"+c.Func)
			}
			if text := strings.Join(names, " "); err != nil || text != tt.want {
				t.Errorf("%q, %v; want %q", text, err, tt.want)
			}
		})
	}
}

// TestChangesOfSeveral: patches add up, and what one undoes isn't changed.
func TestChangesOfSeveral(t *testing.T) {
	b := newBench(t)
	writeTree(t, b.tree, map[string]string{"mm/users.c": usersC})
	back := strings.NewReplacer("-\tcount--", "-\tcount = 0", "+\tcount = 0", "+\tcount--").Replace(usersPatch(""))
	writeTree(t, b.home, map[string]string{"there": usersPatch(""), "back": back})
	got, err := b.Changes(t.Context(), Source{Tree: b.tree, Patches: []string{filepath.Join(b.home, "there"), filepath.Join(b.home, "back")}})
	if err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := b.Changes(t.Context(), Source{Tree: b.tree}); err != nil || got != nil {
		t.Errorf("without patches: %v, %v", got, err)
	}
	if _, err := b.Changes(t.Context(), Source{Tree: b.tree, Patches: []string{filepath.Join(b.home, "back")}}); blame.Of(err) != blame.User {
		t.Errorf("a patch that doesn't apply: %v", err)
	}
}

// TestChangesBounded: a huge patch is no huge list.
func TestChangesBounded(t *testing.T) {
	b := newBench(t)
	var functions strings.Builder
	const n = 3 * MaxChanges
	for i := range n {
		fmt.Fprintf(&functions, "+void f%03d(void)\n+{\n+}\n", i)
	}
	writeTree(t, b.home, map[string]string{"p": fmt.Sprintf("--- /dev/null\n+++ b/mm/new.c\n@@ -0,0 +1,%d @@\n%s", 3*n, &functions)})
	got, err := b.Changes(t.Context(), Source{Tree: b.tree, Patches: []string{filepath.Join(b.home, "p")}})
	if err != nil || len(got) != MaxChanges || !slices.Contains(got, Change{"mm/new.c", "f000"}) {
		t.Errorf("%d changes, %v", len(got), err)
	}
}
