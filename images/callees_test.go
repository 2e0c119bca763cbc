// SPDX-License-Identifier: Apache-2.0

package images

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const callersC = `static int deepest(void)
{
	return hidden();
}

static int deep(void)
{
	return deepest() || device_online(dev);
}

int far(void)
{
	return unseen();
}

/* what add() calls: comment() */
static int add(int a)
{
	int rc;

	if (sizeof(a) > limit(a))
		say("text()");
	rc = kzalloc(8, GFP_KERNEL | __GFP_NOFAIL);
	rc = first(a);
	if (rc)
		return undo(a);
	a++;
	a--;
	a++;
	BUG_ON(second(a));
	rc = third();
	if (WARN_ON_ONCE(rc))
		return rc;
	rc = fourth();
	if (rc) {
		pr_err("no");
		panic("no");
	}
	kfree(a);
	quiet();
	far();
	return deep() ?: add(a - 1);
}
`

// TestMayFail: what is met with a BUG(), or may not fail, isn't named, nor are
// comments and texts.
func TestMayFail(t *testing.T) {
	functions, _ := cFunctions(callersC)
	got := strings.Join(calleesOf("add", functions, 0), " ")
	for _, never := range []string{"kzalloc", "second", "third", "fourth", "comment", "text", "add", "unseen", "if", "sizeof"} {
		if slices.Contains(strings.Fields(got), never) {
			t.Errorf("%s is among %q", never, got)
		}
	}
	for _, want := range []string{"first", "undo", "quiet", "far", "deep", "device_online", "deepest", "hidden"} {
		if !slices.Contains(strings.Fields(got), want) {
			t.Errorf("%s isn't among %q", want, got)
		}
	}
	if got := calleesOf("none", functions, 0); len(got) > 0 {
		t.Errorf("a function that isn't there calls %q", got)
	}
}

// TestCalleesBounded: functions that call each other, and many, come to an end.
func TestCalleesBounded(t *testing.T) {
	functions := map[string]string{"a": "static int a(void)\n{\n\tb(); a();\n}\n", "b": "static int b(void)\n{\n\ta(); c();\n}\n"}
	if got := calleesOf("a", functions, 0); !slices.Equal(got, []string{"b", "a", "c"}) {
		t.Errorf("%q", got)
	}
	var many strings.Builder
	many.WriteString("int f(void)\n{\n")
	for i := range 3 * maxCallees {
		many.WriteString(strings.Repeat("x", 1+i) + "();\n")
	}
	if got := calleesOf("f", map[string]string{"f": many.String() + "}\n"}, 0); len(got) != maxCallees {
		t.Errorf("%d names", len(got))
	}
}

// TestCallees: of a patched source it is the text after the patch that counts.
func TestCallees(t *testing.T) {
	b := newBench(t)
	writeTree(t, b.tree, map[string]string{"mm/users.c": usersC})
	writeTree(t, b.home, map[string]string{"p": strings.ReplaceAll(usersPatch(""), "count = 0;", "count = device_add(0);")})
	second, gone := Change{"mm/users.c", "second"}, Change{"mm/gone.c", "second"}
	src := Source{Tree: b.tree, Patches: []string{filepath.Join(b.home, "p")}}
	got, err := b.Callees(t.Context(), src, []Change{second, gone, {File: "mm/users.c"}, {Func: "second"}})
	if err != nil || !slices.Equal(got[second], []string{"device_add"}) || len(got[gone]) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := b.Callees(t.Context(), Source{Tree: b.tree}, []Change{second}); err != nil || len(got[second]) > 0 {
		t.Errorf("without the patch: %v, %v", got, err)
	}
}

// FuzzCallees: a patch is whatever a user was sent.
func FuzzCallees(f *testing.F) {
	f.Add(callersC)
	f.Fuzz(func(t *testing.T, text string) {
		functions, _ := cFunctions(text)
		for name := range functions {
			for _, callee := range calleesOf(name, functions, 0) {
				if !called.MatchString(callee + "(") {
					t.Errorf("%s calls %q", name, callee)
				}
			}
		}
	})
}
