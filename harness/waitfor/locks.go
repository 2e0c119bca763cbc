// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"maps"
	"slices"
	"strings"

	"plugstorm/harness/frame"
)

// settleLocks works out, lock by lock, what lists don't say: the kind and the
// mode of each hold, from those who wait for it.
func (b *builder) settleLocks() {
	for _, n := range b.nodes {
		if key, _ := n.key(); key != "" && n.takes {
			b.waits[key] = append(b.waits[key], n)
		}
	}
	// A lock with an address is settled by that before its class: "@" is first.
	for _, key := range slices.Sorted(maps.Keys(b.waits)) {
		holders, waiters := b.held[key], b.waits[key]
		for _, h := range holders {
			if h.Kind == Lock && waiters[0].object.Kind.isLock() {
				h.Kind = waiters[0].object.Kind
			}
		}
		settleMode(holders, waiters)
	}
}

// settleMode derives the mode of a lock's holders.
func settleMode(holders []*hold, waiters []*node) {
	mode := Mode("")
	i := slices.IndexFunc(waiters, func(n *node) bool { return n.object.Kind == RWSem || n.object.Kind == PercpuRWSem })
	if i < 0 {
		return
	}
	percpu := waiters[i].object.Kind == PercpuRWSem
	writers, front := 0, 0 // who waits to write; who of them has shut new readers out
	for _, n := range waiters {
		if n.object.Mode == Write {
			writers++
			if percpu && !n.behind {
				front++
			}
		}
	}
	switch {
	case len(holders) > 1, front > 0:
		mode = Read // a writer would be alone
	case writers == 0, percpu:
		mode = Write // nothing else keeps a reader waiting
	}
	for _, h := range holders {
		if h.Mode == "" {
			h.Mode = mode
		}
	}
}

// known returns who keeps a node from going on, as far as the dumps name them.
func (b *builder) known(n *node) []Block {
	var by []Block
	switch {
	case n.object.Kind == KernfsDrain, n.object.Kind.isLock():
		by = b.lockBlocks(n)
		if len(by) == 0 && n.object.Kind == KernfsDrain {
			by = b.inSysfs(n)
		}
	case n.object.Kind == RCU && n.object.Name == "":
		by = b.readers(n)
	}
	if len(by) == 0 {
		if o, ok := b.owners[n.pid]; ok && n.object.Kind.isLock() {
			by = []Block{o}
		}
	}
	return by
}

// lockBlocks lists the holders of a lock and the writers ahead of a reader.
func (b *builder) lockBlocks(n *node) []Block {
	key, sure := n.key()
	if key == "" {
		return nil
	}
	holders := b.held[key]
	if n.object.Kind == Mutex {
		holders, sure = b.owner(holders, sure)
	}
	var by []Block
	writes := false // somebody holds it to write, for sure
	for _, h := range holders {
		if h.Mode != Read || n.object.Kind == KernfsDrain || n.object.Mode != Read && !n.behind {
			by = append(by, h.block(sure))
			writes = writes || h.Mode == Write
		}
	}
	if (n.object.Mode == Read || n.behind) && !writes {
		for _, w := range b.ahead(n, key) {
			by = append(by, Block{w.name(), Queued, Write}.unless(!sure))
		}
	}
	if len(by) == 0 { // a writer whose stack wasn't printed is between them
		for _, h := range holders {
			by = append(by, h.block(false))
		}
	}
	return trim(by)
}

func (h *hold) block(sure bool) Block {
	return Block{h.task, Holds, h.Mode}.unless(!sure || h.implied)
}

// unless marks the block as inferred.
func (b Block) unless(doubtful bool) Block {
	if doubtful {
		b.Why = Inferred
	}
	return b
}

// owner picks the one holder of a mutex. A task whose stack wasn't printed may
// be a waiter that is listed too: then the mutex is the last of its locks.
func (b *builder) owner(holders []*hold, sure bool) ([]*hold, bool) {
	var certain []*hold
	for _, h := range holders {
		if h.of != nil || !h.last {
			certain = append(certain, h)
		}
	}
	if len(certain) > 0 {
		holders = certain
	}
	return holders, sure && len(holders) <= 1
}

// ahead returns the writers that keep a node out which wants to read, or which
// is queued itself. In a percpu_rwsem that is the one that waits for readers.
func (b *builder) ahead(n *node, key string) []*node {
	var front, all []*node
	for _, w := range b.waits[key] {
		if w == n || w.object.Mode != Write {
			continue
		}
		all = append(all, w)
		if !w.behind {
			front = append(front, w)
		}
	}
	if n.object.Kind == PercpuRWSem && len(front) > 0 {
		return front
	}
	if n.object.Mode == Write {
		return nil // two queued writers: nothing tells which one is first
	}
	return all
}

// inSysfs finds the user of a sysfs file where no lock is listed for it.
func (b *builder) inSysfs(n *node) []Block {
	var users []Block
	for _, c := range b.nodes {
		if c != n && slices.ContainsFunc(c.stack, func(f frame.Frame) bool { return strings.HasPrefix(f.Func, "kernfs_fop_") }) {
			users = append(users, Block{c.name(), Inferred, Read})
		}
	}
	if len(users) != 1 {
		return nil
	}
	return users
}

// readers lists those who sleep in an RCU read-side critical section.
func (b *builder) readers(n *node) []Block {
	var by []Block
	for _, c := range b.nodes {
		reading := slices.ContainsFunc(c.holds, func(h *hold) bool { return strings.HasPrefix(h.Name, "rcu_read_lock") })
		if c != n && (reading || b.stalled[c.pid]) {
			by = append(by, Block{c.name(), Holds, Read})
		}
	}
	return trim(by)
}

func trim(by []Block) []Block { return by[:min(len(by), maxBlocks)] }
