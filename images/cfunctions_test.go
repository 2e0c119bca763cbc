// SPDX-License-Identifier: Apache-2.0

package images

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// kernelC has what kernel files are made of.
const kernelC = `// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>

/* not_me(void)
 * {
 */
static DEFINE_MUTEX(table_lock);
struct table {
	int (*read)(int a);
};
static const struct table tables[] = {
	{ .read = table_read },
};

static int __ref _cpu_down(unsigned int cpu, int tasks_frozen,
			   enum cpuhp_state target)
{
	if (cpu)
		goto out;
out:
	return 0;
}

static __printf(1, 2)
void say(const char *fmt, ...)
{
}

ssize_t
old_style(int a)
	__acquires(table_lock)
{
	do { a++; } while (0);
	return a;
}
EXPORT_SYMBOL_GPL(old_style);

#ifdef CONFIG_X
static inline int stub(void) { return 0; }
#else
static int stub(void) {
	return 1;
}
#endif

SYSCALL_DEFINE2(reboot, int, magic1,
		int, magic2)
{
	return 0;
}

static inline struct net *PDE_NET(struct proc_dir_entry *pde)
{
	return pde->parent->data;
}
#define TWICE(x) do {	\
	(x) + (x);	\
} while (0)
`

func TestCFunctions(t *testing.T) {
	functions, rest := cFunctions(kernelC)
	want := []string{"PDE_NET", "_cpu_down", "old_style", "say", "stub"}
	if got := slices.Sorted(maps.Keys(functions)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if text := functions["_cpu_down"]; !strings.HasPrefix(text, "static int __ref _cpu_down") || !strings.HasSuffix(text, "return 0;\n}\n") {
		t.Errorf("_cpu_down is\n%s", text)
	}
	if text := functions["stub"]; !strings.Contains(text, "return 0") || !strings.Contains(text, "return 1") {
		t.Errorf("of two definitions there is only\n%s", text)
	}
	for _, line := range []string{"struct table {", "SYSCALL_DEFINE2", "EXPORT_SYMBOL_GPL", "#define TWICE", "static DEFINE_MUTEX"} {
		if !strings.Contains(rest, line) {
			t.Errorf("outside of all functions there is no %q", line)
		}
	}
	length := len(rest)
	for _, text := range functions {
		length += len(text)
	}
	if length != len(kernelC) {
		t.Errorf("%d bytes of %d are somewhere", length, len(kernelC))
	}
}

// FuzzCFunctions: a patch is whatever a user was sent.
func FuzzCFunctions(f *testing.F) {
	f.Add(kernelC)
	f.Add("int f(void) {}\n{\n}")
	f.Fuzz(func(t *testing.T, text string) {
		functions, rest := cFunctions(text)
		length := len(rest)
		for name, body := range functions {
			if !called.MatchString(name + "(") {
				t.Errorf("the function %q", name)
			}
			length += len(body)
		}
		if length != len(text) {
			t.Errorf("%d bytes of %d are somewhere", length, len(text))
		}
	})
}
