// SPDX-License-Identifier: Apache-2.0

package splat

import "testing"

// TestWording gives headings that kernels print rarely, or printed once, a stack.
func TestWording(t *testing.T) {
	const stack = "RIP: 0010:at_fault+0x1/0x2\nCall Trace:\n <TASK>\n victim+0x1/0x2\n caller+0x1/0x2\n </TASK>\n"
	for _, c := range []struct{ heading, typ, title string }{
		{"WARNING: CPU: 1 PID: 12 at foo+0x1/0x2", TypeWarning, "WARNING in at_fault"},
		{"WARNING: [cond] fs/x.c:12 at foo+0x1/0x2, CPU#1: a/12", TypeWarning, "WARNING in at_fault"},
		{"BUG: scheduling in a non-blocking section: a/123/1", TypeAtomic, "BUG: scheduling in a non-blocking section in victim"},
		{"BUG: assuming atomic context at kernel/x.c:12", TypeAtomic, "BUG: assuming atomic context in victim"},
		{"BUG: assuming non migratable context at kernel/x.c:12", TypeAtomic, "BUG: assuming non migratable context in victim"},
		{"BUG: failure at mm/slub.c:12/foo()!", TypeBug, "kernel BUG in at_fault"},
		{"Kernel bug detected[#1]:", TypeBug, "kernel BUG in at_fault"},
		{"BUG: KMSAN: use-after-free in foo+0x1/0x2", "KMSAN-USE-AFTER-FREE-READ", "KMSAN: use-after-free in foo"},
		{"BUG: KASan: use after free in foo+0x1/0x2 at addr ffff8880\nRead of size 8 by task a/123", "KASAN-USE-AFTER-FREE-READ", "KASAN: use after free Read in foo"},
	} {
		found := Find([]byte(c.heading + "\n" + stack))
		if len(found) != 1 || found[0].Type != c.typ || found[0].Title != c.title {
			t.Errorf("%q: got %+v, want one %s %q", c.heading, found, c.typ, c.title)
		}
	}
}
