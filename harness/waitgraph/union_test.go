// SPDX-License-Identifier: Apache-2.0

package waitgraph

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A view is what one guest says.
type view struct{ waits, order string }

func (v view) parse(t fataler) (*Notes, *Order) {
	t.Helper()
	n, o, err := Record{Waits: v.waits, Order: v.order}.Parse()
	if err != nil || n == nil || n.Bad != 0 {
		t.Fatalf("%+v, %v", n, err)
	}
	return n, o
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// united puts together what guests say.
func united(t fataler, views ...view) *Union {
	t.Helper()
	u := NewUnion()
	for i, v := range views {
		n, o := v.parse(t)
		u.Add(fmt.Sprintf("guest %d", i+1), n, o)
	}
	return u
}

func identities(cycles []Cycle) []string {
	var all []string
	for _, c := range cycles {
		all = append(all, c.Identity())
	}
	slices.Sort(all)
	return all
}

// Locks of the kernel's image are their own keys: L, M, X and G here. H1 and H2 are
// keys that were allocated.
const (
	uStopL = "wait stop thread:kcompactd# n=2 inst=(null) many=0 held=G:w:G,L:w:L name= stack=kthread_stop<kcompactd_stop<offline_pages"
	uTakeL = "take thread:kcompactd# key=L mode=r n=3 inst=L many=0 at=kcompactd held=- lock=mem_hotplug_lock"
	uTakeM = "take thread:kcompactd# key=M mode=w n=3 inst=M many=0 at=kcompactd held=- lock=rwsem"
	uFile  = "wait remove kernfs:K n=1 inst=1 many=0 held=L:w:L name=compact stack=kernfs_drain<unregister_one_node"
	uUse   = "take kernfs:K key=L mode=r n=1 inst=L many=0 at=compact_store held=K:rt:0 lock=mem_hotplug_lock"
)

var classes = []string{
	"class 1 L mem_hotplug_lock", "key L mem_hotplug_lock+0x0/0x80", "class 2 M rwsem#3", "key M rwsem+0x0/0x80",
	"class 3 X mutex", "key X mutex+0x0/0x20", "class 4 G device_hotplug_lock", "key G device_hotplug_lock+0x0/0x20",
	"class 5 K kn->active#7", "key K dev_attr_compact+0x8/0x20",
}

// without leaves out lines that contain a text, or puts another one in its place.
func without(text, instead string) string {
	all := slices.Clone(classes)
	for i, line := range all {
		if instead != "" {
			all[i] = strings.ReplaceAll(line, text, instead)
		}
	}
	if instead == "" {
		all = slices.DeleteFunc(all, func(line string) bool { return strings.Contains(line, text) })
	}
	return said(all...)
}

func TestUnion(t *testing.T) {
	direct := []string{"waitcycle: stop kcompactd#: mem_hotplug_lock"}
	full := said(classes...)
	edges := func(lines ...string) string { return full + strings.Join(lines, "\n") + "\n" }
	gated := strings.Replace(uTakeL, "held=-", "held=G:wt:G", 1)
	for name, c := range map[string]struct {
		views []view
		want  []string
		text  []string // in the explanation
	}{
		"halves": {[]view{{said(on, uStopL), full}, {said(on, uTakeL), full}}, direct, []string{
			"was seen 2 times in guest 1 under device_hotplug_lock (write)", "seen 3 times in guest 2, under nothing",
		}},
		"the other way round": {[]view{{said(on, uTakeL), full}, {said(on, uStopL), full}}, direct, nil},
		"seen again": {[]view{{said(on, uStopL), full}, {said(on, uTakeL), full}, {said(on, uTakeL), full}}, direct, []string{
			"seen 3 times in guest 2 (and in guest 3)",
		}},
		"no symbol":          {[]view{{said(on, uStopL), full}, {said(on, uTakeL), without("key L", "")}}, nil, nil},
		"no order":           {[]view{{said(on, uStopL), full}, {said(on, uTakeL), ""}}, nil, nil},
		"another object":     {[]view{{said(on, uStopL), full}, {said(on, uTakeL), without("mem_hotplug_lock+", "some_lock+")}}, nil, nil},
		"another class":      {[]view{{said(on, uStopL), full}, {said(on, uTakeL), without("1 L mem_hotplug_lock", "1 L some_lock")}}, nil, nil},
		"a number of boot's": {[]view{{said(on, uStopL), full}, {said(on, uTakeL), without("1 L mem_hotplug_lock", "1 L mem_hotplug_lock#2")}}, direct, nil},
		"gated":              {[]view{{said(on, uStopL), full}, {said(on, gated), full}}, nil, nil},
		"gated here only":    {[]view{{said(on, uStopL), full}, {said(on, gated), full}, {said(on, uTakeL), full}}, direct, nil},
		"gated there only":   {[]view{{said(on, uStopL, uTakeL), full}, {said(on, gated), full}}, direct, nil},
		"a gate known by name": {[]view{
			{said(on, strings.Replace(uStopL, "G:w:G", "H1:w:h1", 1)), full + "class 9 H1 (wq_completion)x\n"},
			{said(on, strings.Replace(gated, "G:wt:G", "H2:w:h2", 1)), full + "class 9 H2 (wq_completion)x#2\n"},
		}, nil, nil},
		"a gate of another name": {[]view{
			{said(on, strings.Replace(uStopL, "G:w:G", "H1:w:h1", 1)), full + "class 9 H1 (wq_completion)x\n"},
			{said(on, strings.Replace(gated, "G:wt:G", "H1:w:h1", 1)), full + "class 9 H1 (wq_completion)y\n"},
		}, direct, nil},
		"an allocated lock is no common one": {[]view{
			{said(on, strings.Replace(uStopL, "L:w:L", "H1:w:h", 1)), full + "class 9 H1 x\n"},
			{said(on, "take thread:kcompactd# key=H1 mode=w n=3 inst=h many=0 at=f held=- lock=x"), full + "class 9 H1 x\n"},
		}, nil, nil},
		"one lock each": {[]view{
			{said(on, strings.Replace(uStopL, "L:w:L", "L:w:l1", 1)), full},
			{said(on, strings.Replace(uTakeL, "inst=L", "inst=l2", 1)), full},
		}, direct, []string{"not known that they mean the same one"}},
		"a writer elsewhere": {[]view{
			{said(on, strings.Replace(uStopL, "L:w:L", "L:r:L", 1)), full}, {said(on, uTakeL), full}, {said(on, "writer L held=- mem_hotplug_lock"), full},
		}, direct, []string{"one party more"}},
		"a writer always kept away": {[]view{
			{said(on, strings.Replace(uStopL, "L:w:L", "L:r:L", 1)), full}, {said(on, uTakeL), full}, {said(on, "writer L held=G:w:G mem_hotplug_lock"), full},
		}, nil, nil},
		"by way of others": {[]view{
			{said(on, uStopL, "writer X held=- mutex"), edges("edge 2 3 f")}, {said(on, uTakeM, "writer M held=- rwsem"), edges("edge 3 1 f")},
		}, []string{"waitcycle: stop kcompactd#: rwsem -> mutex -> mem_hotplug_lock"}, nil},
		"a file's users": {[]view{{said(on, uFile), full}, {said(on, uUse), full}}, []string{"waitcycle: remove attribute compact: mem_hotplug_lock"}, nil},
		"nobody has used it there": {
			[]view{{said(on, uFile), without("class 5 K", "class 5 Z")}, {said(on, uUse), full}}, []string{"waitcycle: remove attribute compact: mem_hotplug_lock"}, nil,
		},
		"another file's users": {[]view{{said(on, uFile), full}, {said(on, uUse), without("dev_attr_compact", "dev_attr_online")}}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cycles := united(t, c.views...).Cycles()
			if d := cmp.Diff(c.want, identities(cycles)); d != "" {
				t.Fatal(d)
			}
			for _, text := range c.text {
				if !strings.Contains(cycles[0].Chain(), text) {
					t.Errorf("%q isn't in %s", text, cycles[0].Chain())
				}
			}
		})
	}
}

// TestCovers: an order is too old if it lacks a class, or a file, of a wait's.
func TestCovers(t *testing.T) {
	full := said(classes...)
	for name, tt := range map[string]struct {
		order, waits string
		want         bool
	}{
		"all there":       {full, said(on, uStopL, uFile, uTakeM), true},
		"a lock lacks":    {without(" G ", ""), said(on, uStopL), false},
		"a file lacks":    {without(" K ", ""), said(on, uFile), false},
		"a take's lock":   {without(" M ", ""), said(on, uTakeM), true},
		"no waits at all": {"", said(on), true},
		"no answer":       {full, "nonsense", true},
	} {
		if got := Covers(tt.order, tt.waits); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestUnionBounds: what repeats itself in every guest takes no more room.
func TestUnionBounds(t *testing.T) {
	u := NewUnion()
	for i := range 100 {
		n, o := view{said(on, uStopL, uTakeL, strings.Replace(uFile, "=compact", fmt.Sprintf("=memory%d", i), 1)), said(classes...)}.parse(t)
		u.Add(fmt.Sprintf("guest %d", i), n, o)
	}
	if len(u.notes.Takes) != 1 || len(u.notes.Waits) != 2 || len(u.notes.Waits[0].Guests) != maxGuests {
		t.Errorf("%d takes, %d waits, in %d guests", len(u.notes.Takes), len(u.notes.Waits), len(u.notes.Waits[0].Guests))
	}
	if text := u.Cycles()[0].Chain(); !strings.Contains(text, "in guest 0 (and in guest 1, guest 2, guest 3, others)") {
		t.Error(text)
	}
}

// TestTrimmedForOthers: a record keeps the ways to what another guest has waited under.
func TestTrimmedForOthers(t *testing.T) {
	way := said(append(slices.Clone(classes), "edge 2 3 f", "edge 3 1 f")...)
	first := united(t, view{said(on, uStopL, "writer X held=- mutex"), said(classes...)})
	for others, want := range map[*Union]bool{nil: false, first: true} {
		r, err := NewRecord(said(on, uTakeM, "writer M held=- rwsem"), way, others)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(r.Order, "edge 2 3") != want || !strings.Contains(r.Order, "key M rwsem+") {
			t.Errorf("kept %s", r.Order)
		}
		u := first.Clone()
		n, o := view{r.Waits, r.Order}.parse(t)
		u.Add("guest 2", n, o)
		if cycles := u.Cycles(); len(cycles) == 1 != want || len(first.Cycles()) != 0 {
			t.Errorf("cycles %v, and the first has %v", identities(cycles), identities(first.Cycles()))
		}
	}
}

// TestSplit: what one guest notes gives the same cycles if two note it, in whatever
// way it is shared out, told again, or put together from two unions.
func TestSplit(t *testing.T) {
	names := []string{"A", "B", "C", "D", "E"}
	rapid.Check(t, func(t *rapid.T) {
		lock := rapid.SampledFrom(names)
		who := rapid.SampledFrom([]string{"thread:a", "work:b", "kernfs:E"})
		held := func(label string) string {
			var all []string
			for _, key := range rapid.SliceOfNDistinct(lock, 0, 3, rapid.ID).Draw(t, label) {
				all = append(all, fmt.Sprintf("%s:%s:%s", key, rapid.SampledFrom([]string{"r", "w", "wt"}).Draw(t, "mode"), key))
			}
			if len(all) == 0 {
				return "-"
			}
			return strings.Join(all, ",")
		}
		var lines, order []string
		for i := range rapid.IntRange(1, 4).Draw(t, "waits") {
			lines = append(lines, fmt.Sprintf("wait stop %s n=%d inst=0 many=0 held=%s name= stack=f", who.Draw(t, "who"), i+1, held("held")))
		}
		for _, id := range rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) takeID {
			return takeID{who.Draw(t, "who"), lock.Draw(t, "lock"), rapid.Bool().Draw(t, "write")}
		}), 0, 6, rapid.ID).Draw(t, "takes") {
			lines = append(lines, fmt.Sprintf("take %s key=%s mode=%c n=1 inst=%s many=0 at=f held=%s lock=%s", id.who, id.key, mode(id.write)[0], id.key, held("held"), id.key))
		}
		for _, key := range rapid.SliceOfNDistinct(lock, 0, 5, rapid.ID).Draw(t, "writers") {
			lines = append(lines, fmt.Sprintf("writer %s held=%s %s", key, held("held"), key))
		}
		for _, e := range rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 4), 2, 2), 0, 6).Draw(t, "edges") {
			order = append(order, fmt.Sprintf("edge %d %d %x", e[0], e[1], rapid.IntRange(1, 15).Draw(t, "dep")))
		}
		var heads []string
		for i, key := range names {
			heads = append(heads, fmt.Sprintf("class %d %s %s", i, key, key), fmt.Sprintf("key %s %s+0x0/0x8", key, key))
		}
		var parts [2][2][]string
		share := func(what int, all []string) {
			for _, line := range all {
				i := rapid.IntRange(0, 1).Draw(t, "share")
				parts[i][what] = append(parts[i][what], line)
			}
		}
		share(0, lines)
		share(1, order)
		see := func(lines, order []string) view {
			return view{said(append([]string{on}, lines...)...), said(slices.Concat(heads, order)...)}
		}
		n, o := see(lines, order).parse(t)
		want := identities(Find(n, o))
		first, second := see(parts[0][0], parts[0][1]), see(parts[1][0], parts[1][1])
		joined := united(t, first)
		joined.Join(united(t, second), "slot 2 ")
		for how, u := range map[string]*Union{"two": united(t, first, second), "told again": united(t, first, second, first), "joined": joined} {
			if d := cmp.Diff(want, identities(u.Cycles())); d != "" {
				t.Fatalf("%s: %s", how, d)
			}
		}
	})
}
