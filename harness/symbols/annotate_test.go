// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAnnotate has a console print references in all the forms that kernels
// have for them; $x stands for a Ref and @x for what is to stand behind it.
func TestAnnotate(t *testing.T) {
	text := strings.NewReplacer("\n\t\t", "\n").Replace(`
		[   12.345678][  T123] RIP: 0010:$twin@twin
		[   12.345678][  T123] Code: 00 ff
		[   12.345678][  T123]  <TASK>
		[   12.345678][  T123]  ? $early@early
		[   12.345678][  T123]  [<ffffffff81234567>] $early@early
		NIP [c0000000000f3e5c] $twin@twin
		LR [c0000000000f3e50] $early@early
		[c000000003a4b9c0] [c0000000000f3e5c] $early@early (unreliable)
		--- interrupt: 700 at $twin@twin
		pc : $twin@twin
		Krnl PSW : 0704c00180000000 00000000001f3e5c ($twin@twin)
		 #0: c00000000112a3f0 (&x->lock#2){+.+.}-{3:3}, at: $early@early
		 $work@work
		hardirqs last  enabled at (1): [<ffffffff81234567>] $leaf@leaf
		a $twin@twin and $early@early in one line
		$twin (mm/b.c:1 mm/b.c:2) from decode_stacktrace.sh
		not these: f+0x1, 0x1+0x2/0x3, f+0xg/0x1, +0x1/0x2
		no_such+0x1/0x2 no_such+0x1/0x2 gone+0x4/0x8
		mm_a+0x1/0x12340 f+0x1/0x2 [nvme]
		`)
	for _, g := range targets {
		t.Run(g.name, func(t *testing.T) {
			b := compiled(t, g)
			table := b.open(t)
			in, want := b.fill(t, table, text)
			got, places := Annotate(in, table)
			want += fmt.Sprintf("symbols: 3 of 8 references not found: no_such+0x1/0x2: there is no no_such in %s (another build's?)\n", b.vmlinux) +
				fmt.Sprintf("symbols: 1 of 8 references not found: there is no module nvme below %s\n", b.modules)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if len(places) != 4 {
				t.Errorf("places of %d references: %v", len(places), places)
			}
			for key := range places {
				if r, ok := parseRef(key); !ok || r.String() != key {
					t.Errorf("key %q", key)
				}
			}
			if again, _ := Annotate(strings.Join(strings.SplitAfter(got, "\n")[:20], ""), table); again != got {
				t.Errorf("annotating twice:\n%s", cmp.Diff(got, again))
			}
		})
	}
}

// fill replaces $x, and @x in the one that it returns second.
func (b *build) fill(t *testing.T, table *Table, text string) (in, want string) {
	t.Helper()
	o := table.vmlinux
	m, err := table.object("my_mod")
	if err != nil {
		t.Fatal(err)
	}
	found := probes(t, o)
	refs := map[string]Ref{
		"twin": refTo(t, o, found["large twin"][0]), "early": refTo(t, o, found["early"][0]), "leaf": refTo(t, o, found["leaf"][0]),
		"work": refTo(t, m, probes(t, m)["work"][0]),
	}
	var bare, annotated []string
	for name, r := range refs {
		if name == "work" {
			r.Module = "my_mod"
		}
		places, err := table.Locate(r)
		if err != nil || len(places) > 1 != (name == "leaf") {
			t.Fatalf("%v: %v, %v", r, places, err)
		}
		behind := " (" + strings.TrimSuffix(positions(places), " ") + ")"
		bare = append(bare, "$"+name, r.String(), "@"+name, "")
		annotated = append(annotated, "$"+name, r.String(), "@"+name, behind)
	}
	return strings.NewReplacer(bare...).Replace(text), strings.NewReplacer(annotated...).Replace(text)
}

// TestAnnotateReturn: the place of a frame is the call, that of a register
// the instruction itself.
func TestAnnotateReturn(t *testing.T) {
	for _, g := range targets {
		t.Run(g.name, func(t *testing.T) {
			b := compiled(t, g)
			table := b.open(t)
			r := behindCall(t, table)
			at, err := table.Locate(r)
			if err != nil {
				t.Fatal(err)
			}
			r.Return = true
			call, err := table.Locate(r)
			if err != nil || positions(call) == positions(at) {
				t.Fatalf("%v: %v, %v", r, call, err)
			}
			for before, want := range map[string][]Place{
				"RIP: 0010:": at, "EIP: ": at, "NIP [c0000000000f3e5c] ": at, "pc : ": at, "--- interrupt: 900 at ": at, "epc : ": at,
				"WARNING: CPU: 0 PID: 1 at mm/slub.c:12 ": at, "PC is at ": at,
				" ": call, "LR [c0000000000f3e5c] ": call, "lr : ": call, " ? ": call, " #0: (x){+.+.}, at: ": call, "LR is at ": call,
				" [<ffffffff81000000>] ": call, "BUG: KASAN: use-after-free in ": call,
			} {
				text, _ := Annotate(before+r.String(), table)
				if want := before + r.String() + " (" + strings.TrimSuffix(positions(want), " ") + ")"; text != want {
					t.Errorf("got  %s\nwant %s", text, want)
				}
			}
		})
	}
}

// behindCall finds a place behind a call that is of another line.
func behindCall(t *testing.T, table *Table) Ref {
	t.Helper()
	o := table.vmlinux
	start := probes(t, o)["start"][0]
	r := refTo(t, o, start)
	base := start - r.Offset
	for r.Offset = 4; r.Offset < r.Size; r.Offset++ {
		here, err := table.Locate(r)
		if err != nil || !o.afterCall(base+r.Offset) {
			continue
		}
		before := r
		before.Return = true
		if call, err := table.Locate(before); err == nil && positions(call) != positions(here) {
			return r
		}
	}
	t.Fatal("no call is the end of its line")
	return Ref{}
}

// TestAnnotateBounded: what a console may hold doesn't take time or memory
// out of proportion, and only so many references are looked up.
func TestAnnotateBounded(t *testing.T) {
	b := compiled(t, targets[0])
	table := b.open(t)
	var many strings.Builder
	for i := range 3 * maxRefs {
		fmt.Fprintf(&many, "f%d+0x1/0x2 (", i)
	}
	text, places := Annotate(many.String(), table)
	if len(places) != 0 || !strings.Contains(text, fmt.Sprintf("%d of %d references", maxRefs, maxRefs)) {
		t.Errorf("%d places, end %q", len(places), text[many.Len():])
	}
	for _, hostile := range []string{"a+0x", "+0x1/0x2 ", "f+0x1/0x2 (", "mm_a+0x1/0x2 [", strings.Repeat("a", 4000) + "+0x"} {
		n := 2000000 / len(hostile)
		if got, _ := Annotate(strings.Repeat(hostile, n), table); !strings.HasPrefix(got, hostile) {
			t.Errorf("%.20q: lost", hostile)
		}
	}
	if got, _ := Annotate("", table); got != "" {
		t.Errorf("of nothing it makes %q", got)
	}
}
