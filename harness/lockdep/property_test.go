// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func parsed(t interface{ Fatalf(string, ...any) }, text string) *Report {
	r, ok := Parse(strings.Split(text, "\n"))
	if !ok {
		t.Fatalf("not recognised:\n%s", text)
	}
	return r
}

// TestCycle: what is printed of a cycle is read again, and its identity is
// the same for every rotation (each of its acquisitions may be the one that
// trips lockdep), in every kernel's style and with any instance numbers.
func TestCycle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cycle := drawPath(t, 2, 6)
		want := parsed(t, styles[0].printCircular(cycle))
		for i := range cycle {
			e := Edge{From: cycle[(i+len(cycle)-1)%len(cycle)].class, To: cycle[i].class}
			if !slices.ContainsFunc(want.Edges, func(g Edge) bool { return g.From == e.From && g.To == e.To }) {
				t.Fatalf("edge %v is not in %v", e, want.Edges)
			}
			if l := want.Chain[i]; l.Class != cycle[i].class || !slices.Equal(l.Stack, cycle[i].stack) || (l.Mode == Read) != cycle[i].read {
				t.Fatalf("link %d: %+v, want %+v", i, l, cycle[i])
			}
		}
		if len(want.Edges) != len(cycle) || want.Incomplete {
			t.Fatalf("%d edges, incomplete %v", len(want.Edges), want.Incomplete)
		}
		s := rapid.SampledFrom(styles).Draw(t, "style")
		from := rapid.IntRange(0, len(cycle)-1).Draw(t, "from")
		other := parsed(t, s.printCircular(disguise(t, s, slices.Concat(cycle[from:], cycle[:from]))))
		if got := other.Signature(); got != want.Signature() {
			t.Errorf("%q, want %q", got, want.Signature())
		}
		if relation, why := Related(want, other); relation != Same {
			t.Errorf("%s: %s", relation, why)
		}
	})
}

// TestLostLinks: a chain with links missing says so, unless the rest tells.
func TestLostLinks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cycle := drawPath(t, 3, 6)
		lost := rapid.IntRange(1, len(cycle)-2).Draw(t, "lost")
		text := styles[0].printCircular(cycle)
		_, from, _ := strings.Cut(text, "-> #")
		head := text[:len(text)-len(from)-len("-> #")]
		blocks := strings.Split(from, "-> #") // the last one is #0
		kept := slices.Delete(blocks, len(blocks)-1-lost, len(blocks)-lost)
		r := parsed(t, head+"-> #"+strings.Join(kept, "-> #"))
		if !r.Incomplete {
			t.Errorf("link %d of %d is lost, and the report says nothing", lost, len(cycle))
		}
		if got := r.Edges[len(r.Edges)-1]; got.To != cycle[0].class || got.From != cycle[len(cycle)-1].class {
			t.Errorf("closing edge %v", got)
		}
	})
}

// TestOrder: an order that interrupts make dangerous has one identity, however
// it is found: by a new acquisition anywhere on the path, or by a new usage of
// either end.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := drawPath(t, 2, 6)
		state := rapid.SampledFrom([]string{"HARDIRQ", "SOFTIRQ", "RECLAIM_FS"}).Draw(t, "state")
		s := rapid.SampledFrom(styles).Draw(t, "style")
		at := rapid.IntRange(1, len(path)-1).Draw(t, "at")
		texts := []string{
			s.printOrder(disguise(t, s, path), at, state+"-READ"),
			s.printInversion(disguise(t, s, path), true, state),
			s.printInversion(disguise(t, s, path), false, state),
		}
		want := parsed(t, styles[0].printOrder(path, len(path)-1, state))
		for _, text := range texts {
			r := parsed(t, text)
			if r.Signature() != want.Signature() {
				t.Errorf("%q, want %q, of\n%s", r.Signature(), want.Signature(), text)
			}
			for i := range path[1:] {
				if got := r.Chain[i+1].Stack; !slices.Equal(got, path[i+1].stack) {
					t.Errorf("link %d has the stack %q, want %q, of\n%s", i+1, got, path[i+1].stack, text)
				}
			}
			if r.Usage != state || r.Incomplete {
				t.Errorf("usage %q, incomplete %v", r.Usage, r.Incomplete)
			}
		}
	})
}

// TestInstances: classes that only numbers tell apart become one, and the
// cycle keeps its kind.
func TestInstances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cycle := drawPath(t, 2, 4)
		twin := cycle[0]
		twin.instance = "#2"
		r := parsed(t, styles[0].printCircular(append(slices.Clone(cycle), twin)))
		if r.Kind != Circular || len(r.Edges) != len(cycle)+1 {
			t.Errorf("%s with %d edges", r.Kind, len(r.Edges))
		}
		if self := twin.class + " -> " + twin.class; !strings.Contains(r.Signature(), self) && !strings.HasPrefix(twin.class, "cpu") {
			t.Errorf("no edge %s in %s", self, r.Signature())
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, file := range goldenFiles(f) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := bytes.Cut(data, []byte(expectation))
		f.Add(string(input))
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		if r, ok := Parse(lines); ok {
			checkReport(t, r)
		}
		if r, ok := ParseWarning(lines, "lockdep_assert_cpus_held"); ok {
			checkReport(t, r)
		}
	})
}

// checkReport checks what holds for every report, however broken.
func checkReport(t *testing.T, r *Report) {
	t.Helper()
	if r.Kind == "" || r.Signature() == "" {
		t.Errorf("no kind or signature: %+v", r)
	}
	printableOnly := func(s string) bool {
		return strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) && c != '\t' }) < 0
	}
	if s := r.Sentence(); !printableOnly(s) || s == "" {
		t.Errorf("sentence %q", s)
	}
	for _, line := range strings.Split(r.Draw(), "\n") {
		if !printableOnly(line) {
			t.Errorf("drawing has %q", line)
		}
	}
	if relation, _ := Related(r, r); relation != Same {
		t.Errorf("it is %s to itself", relation)
	}
	if len(r.Chain) > maxChain+1 || len(r.Classes) > maxChain || len(r.Held) > maxHeld || len(r.Others) > maxHeld || len(r.Steps) > maxSteps {
		t.Errorf("a limit is exceeded: %d links, %d classes, %d held", len(r.Chain), len(r.Classes), len(r.Held))
	}
	for _, l := range r.Chain {
		if len(l.Stack) > maxStack {
			t.Errorf("a stack of %d", len(l.Stack))
		}
	}
}

// TestBounds: endless reports of one line each stay within the limits.
func TestBounds(t *testing.T) {
	parts := map[string]string{
		"WARNING: possible circular locking dependency detected":      "the existing dependency chain\n-> #1 (a){....}:\n       f+0x1/0x2\n",
		"WARNING: possible recursive locking detected":                "1 lock held by a/1:\n #0: ffffffff00000000 (a){....}, at: f+0x1/0x2\n1 lock held by b/2:\n",
		"WARNING: possible irq lock inversion dependency detected":    "the shortest dependencies between\n -> (a){....} {\n  IN-HARDIRQ-W at:\n   f+0x1/0x2\n",
		"WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected": "... which became HARDIRQ-irq-safe at:\n  f+0x1/0x2\n",
		"WARNING: inconsistent lock state":                            "{X} state was registered at:\n unsafe locking scenario\n  lock(a);\n",
		"BUG: Invalid wait context":                                   "Chain exists of:\n a" + strings.Repeat(" --> b", 500) + "\n",
	}
	for heading, part := range parts {
		text := heading + "\n" + strings.Repeat(part, 2000)
		checkReport(t, parsed(t, text))
	}
	// No string of a report has the length of its line.
	x := strings.Repeat("x", 1<<14)
	long := "comm " + x + "/1 is trying to acquire lock:\n (&" + x + "){....}-{3:3}, at: " + x + "+0x1/0x2\n" +
		"but task is already holding lock:\n (&" + x + "y){....}-{3:3}, at: f+0x1/0x2\nthe existing dependency chain (in reverse order) is:\n" +
		"-> #1 (&" + x + "y){....}-{3:3}:\n       " + x + "+0x1/0x2\n-> #0 (&" + x + "){....}-{3:3}:\n       " + x + "+0x1/0x2\n" +
		"Chain exists of:\n  " + x + " --> " + x + "z\n Possible unsafe locking scenario:\n  lock(" + x + ");\n" +
		"1 lock held by " + x + "/1:\n #0: (" + x + "){....}, at: f+0x1/0x2\nworkfn=" + x + "\nstack backtrace:\n " + x + "+0x1/0x2\n"
	for heading := range parts {
		checkStrings(t, reflect.ValueOf(parsed(t, heading+"\n"+long)))
	}
	for _, heading := range []string{"WARNING: " + x + "/1 still has locks held!", "BUG: workqueue leaked lock or atomic: " + x + "/0x00000000/1", "WARNING: suspicious RCU usage"} {
		checkStrings(t, reflect.ValueOf(parsed(t, heading+"\n"+x+".c:1 "+x+"!\n"+long)))
	}
}

// checkStrings looks for strings that are longer than what is kept of a line: two
// pieces of it and what is put between them.
func checkStrings(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			checkStrings(t, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			checkStrings(t, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			checkStrings(t, v.Field(i))
		}
	case reflect.String:
		if v.Len() > 2*maxString+10 {
			t.Errorf("a string of %d bytes: %.60q", v.Len(), v.String())
		}
	}
}
