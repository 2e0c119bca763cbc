// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"slices"
	"strings"

	"plugstorm/harness/frame"
)

// nameServants finds the threads that are waited for: to stop, to park, to
// finish a work item, to complete.
func (b *builder) nameServants() {
	back := b.reverse()
	for _, n := range b.nodes {
		if len(n.by) > 0 || n.object.Kind.isLock() {
			continue
		}
		if n.object.Name == "" {
			n.object.Name = servantOf(n.object.Kind, n.stack, n.site)
		}
		if n.object.Kind == Work && b.barrier(n) {
			continue
		}
		n.by = b.servants(n, b.leadingTo(n, back))
		if n.object.Kind == Work && n.by == nil {
			n.by = b.worker()
		}
		b.adoptName(n)
	}
}

// worker is who keeps a work item from being run that nobody is seen to run:
// kthreadd, if it waits itself, for then no pool gets a new worker
// (kernel/workqueue.c create_worker).
func (b *builder) worker() []Block {
	for _, n := range b.nodes {
		if n.kthread && n.comm == "kthreadd" {
			return []Block{{Task: n.name(), Why: Inferred}}
		}
	}
	return nil
}

// barrier takes what the dump of the workqueues says of a flush.
func (b *builder) barrier(n *node) bool {
	if f := b.flushed[n.pid]; f != "" {
		n.object.Name = f
	}
	worker, ok := b.barriers[n.pid]
	if !ok {
		return false
	}
	if f := b.running[worker]; f != "" {
		n.object.Name = f
	}
	if t := b.byPid[worker]; t != nil {
		n.by = []Block{{Task: t.name(), Why: Runs}}
	}
	return true
}

// reverse lists, for each node, those that wait for it through a lock.
func (b *builder) reverse() [][]int {
	back := make([][]int, len(b.nodes))
	for i, n := range b.nodes {
		for _, by := range n.by {
			if to, ok := b.index[by.Task]; ok {
				back[to] = append(back[to], i)
			}
		}
	}
	return back
}

// leadingTo returns the nodes that wait for n, directly or through others.
func (b *builder) leadingTo(n *node, back [][]int) map[*node]bool {
	seen := map[*node]bool{}
	queue := slices.Clone(back[b.index[n.name()]])
	for len(queue) > 0 {
		c := b.nodes[queue[0]]
		if !seen[c] {
			seen[c] = true
			queue = append(queue, back[queue[0]]...)
		}
		queue = queue[1:]
	}
	return seen
}

// servants returns the threads that n may wait for: the one that is known by
// name; else, of those that could be meant, the one that waits for n, or all
// of them if they are alike.
func (b *builder) servants(n *node, leading map[*node]bool) []Block {
	var named, fitting []*node
	for _, c := range b.nodes {
		if c == n || !b.couldServe(n, c) {
			continue
		}
		if n.object.Name != "" {
			named = append(named, c)
		}
		if leading[c] {
			fitting = append(fitting, c)
		}
	}
	switch {
	case len(named) == 1:
		return blocksOf(named, Runs)
	case len(fitting) > 0 && alike(fitting):
		return blocksOf(fitting, Inferred)
	}
	return nil
}

// couldServe reports whether c is a thread of the sort that n waits for, and of
// the right name if that is known.
func (b *builder) couldServe(n, c *node) bool {
	name := n.object.Name
	switch n.object.Kind {
	case Work:
		return c.worker != "" && (name == "" || c.worker == name)
	case KthreadStop, KthreadPark, KthreadNew, CPUHP:
		return c.kthread && c.worker == "" && (name == "" || commStem(c.comm) == name)
	case Completion:
		if name != "" {
			return c.comm == name
		}
		// Anybody might complete it. It is worth a guess only within one
		// module: code that waits for its own.
		module := n.stack[min(n.site, len(n.stack)-1)].Module
		return module != "" && slices.ContainsFunc(c.stack, func(f frame.Frame) bool { return f.Module == module })
	}
	return false
}

// alike reports whether the nodes differ by number only, so that whichever is
// meant, the same can be said of it.
func alike(nodes []*node) bool {
	what := func(n *node) string {
		site := ""
		if n.site < len(n.stack) {
			site = n.stack[n.site].Func
		}
		return strings.Join([]string{commStem(n.comm), n.worker, string(n.object.Kind), n.object.Name, site}, " ")
	}
	return !slices.ContainsFunc(nodes, func(n *node) bool { return what(n) != what(nodes[0]) })
}

func blocksOf(nodes []*node, why Why) []Block {
	var by []Block
	for _, n := range nodes {
		by = append(by, Block{Task: n.name(), Why: why})
	}
	return trim(by)
}

// adoptName names what n waits for after the only one that can be meant.
func (b *builder) adoptName(n *node) {
	if len(n.by) != 1 {
		return
	}
	c := b.nodes[b.index[n.by[0].Task]]
	switch n.object.Kind {
	case KthreadStop, KthreadPark, CPUHP:
		n.object.Name = c.comm
	case Work:
		n.object.Name = c.worker
	}
}
