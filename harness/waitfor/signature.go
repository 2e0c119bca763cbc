// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"slices"
	"strings"
)

// siteFrames is how many functions name a wait that nothing explains.
const siteFrames = 3

// Signature names the hang: its cycle, by what each wait is for and where, the
// same for whichever task was reported, in whatever order; else its roots, the
// waits that wait for nobody who waits. Pids, numbers of threads and names of
// user programs don't enter it. It is "" for a graph without waits.
func (g *Graph) Signature() string {
	if len(g.Cycle) == 0 {
		var roots []string
		for _, i := range g.roots(nil) {
			roots = append(roots, g.Waits[i].root())
		}
		slices.Sort(roots)
		return strings.Join(slices.Compact(roots), ", ")
	}
	var steps []string
	for _, i := range g.Cycle {
		steps = append(steps, g.Waits[i].step())
	}
	var first []string // of all rotations
	for i := range steps {
		turned := slices.Concat(steps[i:], steps[:i])
		if first == nil || slices.Compare(turned, first) < 0 {
			first = turned
		}
	}
	return strings.Join(first, " -> ")
}

// step names a wait within a cycle.
func (w *Wait) step() string {
	s := w.Object.normal()
	if w.Site != "" {
		s += " in " + w.Site
	}
	if w.Kthread {
		s = commStem(commOf(w.Task)) + ": " + s
	}
	return s
}

// root names a wait with which a chain ends.
func (w *Wait) root() string {
	if w.Object.Kind.isLock() && w.Object.Name != "" && len(w.By) > 0 {
		return w.Object.lock() + " held" // by a task that runs, whoever waits for it
	}
	at := slices.Index(w.Stack, w.Site)
	if w.Site == "" || at < 0 {
		return w.Object.normal()
	}
	where := w.Stack[at : at+1]
	for _, fn := range w.Stack[at+1:] {
		if len(where) == siteFrames || slices.Contains(beneath, fn) {
			break
		}
		where = append(slices.Clip(where), fn)
	}
	return w.Object.normal() + " in " + strings.Join(where, " < ")
}

// beneath are functions from which all work of some sort is called: they, and
// what calls them, name no bug, and differ between machines.
var beneath = []string{"kthread", "process_one_work", "process_scheduled_works", "worker_thread", "smpboot_thread_fn", "kthread_worker_fn",
	"do_syscall_64", "do_syscall_x64", "do_fast_syscall_32", "system_call_exception", "invoke_syscall", "__do_syscall", "do_trap_ecall_u", "do_syscall"}

func (o Object) lock() string { return string(o.Kind) + " " + o.Name }

// normal writes an object without what numbers it.
func (o Object) normal() string {
	s := string(o.Kind)
	switch {
	case o.Kind == Other && o.Name != "":
		s = o.Name
	case o.Kind.isLock() && o.Name != "":
		s = o.lock()
	case o.Name != "" && commStem(o.Name) != s:
		s += " " + commStem(o.Name)
	}
	if o.Mode != "" {
		s += " (" + string(o.Mode) + ")"
	}
	return s
}

// roots returns, of the given waits or of all, those that wait for nobody who
// waits, in order, one of each name.
func (g *Graph) roots(among []int) []int {
	out := g.edges(false)
	if among == nil {
		for i := range g.Waits {
			among = append(among, i)
		}
	}
	var roots []int
	named := map[string]bool{}
	for _, i := range slices.Sorted(slices.Values(among)) {
		if name := g.Waits[i].root(); len(out[i]) == 0 && !named[name] {
			named[name] = true
			roots = append(roots, i)
		}
	}
	return roots
}

// commOf returns the name in "comm/pid".
func commOf(task string) string { return task[:max(strings.LastIndexByte(task, '/'), 0)] }
