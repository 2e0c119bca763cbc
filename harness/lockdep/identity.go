// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"slices"
	"strings"
)

// Signature names the bug behind a complaint by its lock classes: the same for
// every sighting, whichever task tripped over it, at which side, and through
// which functions.
//
//   - A cycle is its set of edges. lockdep shows the shortest cycle that it
//     knows (a breadth-first search over what this boot has seen), so a bug
//     that needs A -> B may once be A -> B -> A and once A -> C -> B -> A. These
//     are two signatures: the longer one is a deadlock of three parties and may
//     be there without the shorter. Related tells that they are akin. Only the
//     classes in implied are left out, which add nothing to the order.
//   - "X-safe -> X-unsafe" and an irq inversion are one kind: which is printed
//     depends on whether the usage or the order was seen first. The same
//     holds for the two directions of an inconsistent state. Of the irq state
//     the mark for readers is left out.
//   - Recursion adds the site of the second acquisition (see Site): a class
//     such as cpu_hotplug_lock is taken recursively by many a bug, and the code
//     that takes it once too often is what tells them apart. The site of the
//     first acquisition doesn't enter: one drain_all_pages() below several
//     lock holders is one bug.
//   - Edge.FromIs and ToIs don't enter either: one bug in the removal of a
//     device is met through whichever of its files was open.
//   - Where there is no edge it is the classes, and where there are none the
//     broken rule and its file.
func (r *Report) Signature() string {
	kind, parts := string(r.Kind), edgeNames(r.essential())
	if r.Kind.irqOrder() {
		kind = "irq-order"
	}
	if len(parts) == 0 {
		parts = slices.Clone(r.Classes)
	}
	if len(parts) == 0 && r.Rule != "" {
		file, _, _ := strings.Cut(r.Where, ":")
		parts = []string{strings.TrimSpace(file + " " + r.Rule)}
	}
	slices.Sort(parts)
	return strings.TrimSuffix(kind+": "+strings.Join(slices.Compact(parts), ", "), ": ") + r.detail()
}

// detail is what a signature has behind the classes.
func (r *Report) detail() string {
	switch {
	case r.Kind == Recursive && r.Tried != nil && r.Tried.Site != "":
		return " in " + r.Tried.Site
	case r.Kind.irqOrder() && r.Usage != "":
		return " {" + r.Usage + "}"
	case r.Kind == InconsistentState && r.Usage != "":
		return " {" + usageState(r.Usage) + "}"
	case r.Kind == InvalidWait && r.Holding == nil && r.Context > 0:
		return " {context}"
	}
	return ""
}

// implied are classes that tell nothing where they stand between certain
// others: their neighbours are in that order anyway. Whether a cycle is shown
// with them depends on what the boot did first.
var implied = []struct {
	before, class, after string // "" before or after: any
	reason               string
}{
	{"", "cpu_add_remove_lock", "cpu_hotplug_lock",
		"cpu_up and cpu_down take it, and inside it cpu_hotplug_lock (kernel/cpu.c): to wait for one is to wait for the other"},
	{"cpu_hotplug_lock", "cpuhp_state-up", "", "no lock: it stands for the callbacks that run inside cpu_hotplug_lock (kernel/cpu.c cpuhp_lock_acquire)"},
	{"cpu_hotplug_lock", "cpuhp_state-down", "", "the same, downwards"},
}

// essential returns the edges without what is implied. The order of the rules
// decides, not that of the edges: it is the same for every rotation.
func (r *Report) essential() []Edge {
	edges := slices.Clone(r.Edges)
	for _, rule := range implied {
		for i := 0; i < len(edges) && len(edges) > 2; i++ {
			next := (i + 1) % len(edges)
			to, from := edges[i].To, edges[next].From
			if to != rule.class || from != rule.class || !fits(rule.before, edges[i].From) || !fits(rule.after, edges[next].To) {
				continue
			}
			edges[i].To = edges[next].To
			edges = slices.Delete(edges, next, next+1)
		}
	}
	return edges
}

func fits(want, class string) bool { return want == "" || want == class }

func edgeNames(edges []Edge) []string {
	var names []string
	for _, e := range edges {
		names = append(names, e.From+" -> "+e.To)
	}
	return names
}

// usageState returns what "IN-SOFTIRQ-R -> SOFTIRQ-ON-W" is about: "SOFTIRQ".
func usageState(usage string) string {
	first, _, _ := strings.Cut(usage, " -> ")
	first = strings.TrimPrefix(first, "IN-")
	for _, suffix := range []string{"-R", "-W", "-ON"} {
		first = strings.TrimSuffix(first, suffix)
	}
	return first
}

// A Relation says how two complaints are related.
type Relation string

// The relations, the closest first.
const (
	Same      Relation = "same"      // one signature
	Akin      Relation = "akin"      // probably one bug, met in two ways
	Unrelated Relation = "unrelated" // nothing speaks for it
)

// Related compares two complaints and says why, in words that can follow a
// colon. It is symmetric but for those.
func Related(a, b *Report) (relation Relation, why string) {
	if a.Signature() == b.Signature() {
		if x, y := a.told(), b.told(); len(x) > 0 && len(y) > 0 && !overlap(x, y) {
			return Same, "the same lock classes, met through " + strings.Join(x, ", ") + " and through " + strings.Join(y, ", ")
		}
		return Same, "the same kind, lock classes and rule"
	}
	if a.Kind == Circular && b.Kind == Circular && len(a.Edges) > 0 && len(b.Edges) > 0 {
		return relatedCycles(a, b)
	}
	if a.Kind == Recursive && b.Kind == Recursive && len(a.Edges) > 0 && slices.Equal(edgeNames(a.Edges), edgeNames(b.Edges)) {
		return Unrelated, "the same lock class, taken twice by different code: " + a.Tried.Site + ", " + b.Tried.Site
	}
	if a.aboutIRQ() && b.aboutIRQ() && overlap(a.Classes, b.Classes) && a.irqContext() == b.irqContext() {
		return Akin, "the same interrupt context and a lock in common"
	}
	return Unrelated, "different complaints"
}

// relatedCycles compares the edges of two cycles.
func relatedCycles(a, b *Report) (Relation, string) {
	short, long := a, b
	if len(short.Edges) > len(long.Edges) {
		short, long = long, short
	}
	shared := common(edgeNames(a.essential()), edgeNames(b.essential()))
	if len(shared) == 0 {
		return Unrelated, "no lock order in common"
	}
	if between := short.detour(long); between != "" {
		return Akin, "the same cycle, once with a detour through " + between
	}
	x, y := a.closing(), b.closing()
	if x == y && x != "" {
		return Akin, "both are closed by " + x
	}
	if slices.Contains(shared, x) || slices.Contains(shared, y) {
		return Akin, "what closes one of them is part of the other: " + strings.Join(shared, ", ")
	}
	return Unrelated, "they share " + strings.Join(shared, ", ") + ", but neither is closed by it"
}

// closing returns the acquisition that made lockdep complain, as an edge.
func (r *Report) closing() string {
	if len(r.Edges) == 0 {
		return ""
	}
	return edgeNames(r.Edges[len(r.Edges)-1:])[0]
}

// detour returns the classes that long has besides those of short, if it
// passes all of short's in the same cyclic order; otherwise "".
func (short *Report) detour(long *Report) string {
	if len(short.Edges) >= len(long.Edges) || short.Incomplete {
		return ""
	}
	own := short.nodes()
	var order, between []string
	for _, class := range long.nodes() {
		if slices.Contains(own, class) {
			order = append(order, class)
		} else {
			between = append(between, class)
		}
	}
	if len(order) != len(own) {
		return ""
	}
	twice := slices.Concat(order, order)
	for i := range order {
		if slices.Equal(twice[i:i+len(own)], own) {
			return strings.Join(between, ", ")
		}
	}
	return ""
}

// nodes returns the classes that the edges start from, in order.
func (r *Report) nodes() []string {
	var all []string
	for _, e := range r.Edges {
		all = append(all, e.From)
	}
	return all
}

// told returns what tells classes of one name apart.
func (r *Report) told() []string {
	var all []string
	for _, e := range r.Edges {
		if e.FromIs != "" && !slices.Contains(all, e.FromIs) {
			all = append(all, e.FromIs)
		}
	}
	return all
}

func (r *Report) aboutIRQ() bool { return r.Kind.irqOrder() || r.Kind == InconsistentState }

func (r *Report) irqContext() string {
	if r.Kind == InconsistentState {
		return usageState(r.Usage)
	}
	return r.Usage
}

func common(a, b []string) []string {
	var both []string
	for _, s := range a {
		if slices.Contains(b, s) && !slices.Contains(both, s) {
			both = append(both, s)
		}
	}
	return both
}

func overlap(a, b []string) bool { return len(common(a, b)) > 0 }
