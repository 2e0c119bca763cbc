// SPDX-License-Identifier: Apache-2.0

package triage

import (
	"fmt"
	"slices"
	"strings"

	"plugstorm/harness/lockdep"
	"plugstorm/harness/splat"
	"plugstorm/harness/waitfor"
)

// An edge says that to was acquired while from was held.
type edge struct{ from, to string }

// edges returns the lock dependencies of a complaint, once each.
func edges(f *complaint) []edge {
	if f.Locks == nil {
		return nil
	}
	var all []edge
	for _, dependency := range f.Locks.Edges {
		if e := (edge{dependency.From, dependency.To}); !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	return all
}

func common(a, b []edge) []edge {
	var both []edge
	for _, e := range a {
		if slices.Contains(b, e) {
			both = append(both, e)
		}
	}
	return both
}

func spell(edges []edge) string {
	var words []string
	for _, e := range edges {
		words = append(words, e.from+" -> "+e.to)
	}
	return strings.Join(words, ", ")
}

func sameEdges(a, b *complaint) string {
	ea, eb := edges(a), edges(b)
	if len(ea) == 0 || len(ea) != len(eb) || len(common(ea, eb)) != len(ea) {
		return ""
	}
	return "different identities, but the same lock dependencies: " + spell(ea)
}

// shortCut: lockdep reports the shortest cycle among the dependencies that it
// has seen so far, so that one bug may be found with a detour in one boot and
// without it in another. The dependency that closes the cycle, the one that
// breaks the order, is then the same.
func shortCut(a, b *complaint) string {
	ea, eb := edges(a), edges(b)
	if len(ea) < 2 || len(eb) < 2 || a.Locks.Kind != lockdep.Circular || b.Locks.Kind != lockdep.Circular {
		return ""
	}
	closing := ea[len(ea)-1]
	if closing != eb[len(eb)-1] {
		return ""
	}
	return fmt.Sprintf("the same dependency closes both cycles: %s is taken under %s; lockdep knew different ways back", closing.to, closing.from)
}

// akin: lockdep's own reader knows more ways in which one bug shows itself.
func akin(a, b *complaint) string {
	if a.Locks == nil || b.Locks == nil {
		return ""
	}
	if relation, why := lockdep.Related(a.Locks, b.Locks); relation == lockdep.Akin {
		return "probably the same: " + why
	}
	return ""
}

func sharedEdges(a, b *complaint) string {
	both := common(edges(a), edges(b))
	if len(both) == 0 {
		return ""
	}
	return "the cycles differ, but have dependencies in common: " + spell(both)
}

// predicted: a deadlock that has happened in one log is the one that lockdep
// warned of in the other.
func predicted(a, b *complaint) string {
	hung, warned := waiting(a.Waits), edges(b)
	if len(hung) == 0 {
		hung, warned = waiting(b.Waits), edges(a)
	}
	if len(hung) < 2 || len(common(hung, warned)) != len(hung) {
		return ""
	}
	return "the deadlock that lockdep warns of in one log has happened in the other: " + spell(hung)
}

// waiting returns the lock dependencies of the cycle of a hang, or nil if it
// isn't made of locks alone.
func waiting(g *waitfor.Graph) []edge {
	if g == nil {
		return nil
	}
	var all []edge
	for i, at := range g.Cycle {
		held, wanted := g.Waits[at].Object, g.Waits[g.Cycle[(i+1)%len(g.Cycle)]].Object
		if !isLock(held) || !isLock(wanted) {
			return nil
		}
		e := edge{held.Name, wanted.Name}
		if held.Name != wanted.Name && !slices.Contains(all, e) { // else a reader waits behind a writer that waits
			all = append(all, e)
		}
	}
	return all
}

func isLock(o waitfor.Object) bool {
	switch o.Kind {
	case waitfor.Mutex, waitfor.RWSem, waitfor.PercpuRWSem, waitfor.Spinlock, waitfor.Lock:
		return o.Name != ""
	}
	return false
}

// maxFrames bounds the stacks that are compared.
const maxFrames = 64

// difference lists edges and stacks of two complaints, see Comparison.Diff.
func difference(a, b *complaint) []string {
	lines := []string{}
	ea, eb := edges(a), edges(b)
	if len(ea)+len(eb) > 0 {
		lines = append(lines, against(words(ea), words(eb), "lock order: ")...)
	}
	sa, sb := splat.Trim(a.Stack), splat.Trim(b.Stack)
	return append(lines, against(sa[:min(len(sa), maxFrames)], sb[:min(len(sb), maxFrames)], "")...)
}

// words spells edges, sorted.
func words(edges []edge) []string {
	var all []string
	for _, e := range edges {
		all = append(all, spell([]edge{e}))
	}
	slices.Sort(all)
	return all
}

// against sets two lists against each other by their longest common
// subsequence. It takes len(a)*len(b) steps.
func against(a, b []string, label string) []string {
	length := make([][]int, len(a)+1) // of what a[i:] and b[j:] have in common
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = 1 + length[i+1][j+1]
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var lines []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			lines = append(lines, "  "+label+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			lines = append(lines, "- "+label+a[i])
			i++
		default:
			lines = append(lines, "+ "+label+b[j])
			j++
		}
	}
	return lines
}
