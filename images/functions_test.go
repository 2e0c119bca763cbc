// SPDX-License-Identifier: Apache-2.0

package images

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"plugstorm/harness/blame"
)

func TestCFiles(t *testing.T) {
	tree := fstest.MapFS{"mm/slub.c": {}, "mm/slab.h": {}, "mm/kasan/init.c": {}, "kernel/cpu.c": {}}
	got, err := cFiles(tree, []string{"mm/", "kernel/cpu.c", "mm/slub.c"})
	if diff := cmp.Diff([]string{"kernel/cpu.c", "mm/kasan/init.c", "mm/slub.c"}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, path := range []string{"mm", "mm/none.c", "kernel/cpu.c/", "../mm/", "/mm/", ""} {
		if _, err := cFiles(tree, []string{path}); blame.Of(err) != blame.User {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestFunctionsOf(t *testing.T) {
	const text = "static int b(void)\n{\n}\n\nint __init a(void)\n{\n}\n\nvoid __meminit c(int\n\tinit)\n{\n}\n"
	if diff := cmp.Diff([]Change{{"mm/x.c", "b"}, {"mm/x.c", "c"}}, functionsOf("mm/x.c", text)); diff != "" {
		t.Error(diff)
	}
}
