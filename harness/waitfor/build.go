// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"cmp"
	"slices"
	"strings"

	"plugstorm/harness/frame"
	"plugstorm/harness/lockdep"
)

// Bounds on a graph.
const (
	maxWaits  = 1024
	maxBlocks = 32 // of a wait
)

// A node is a task that waits.
type node struct {
	*task
	wait
	lock  *lockdep.Lock // that it is acquiring, if that is listed
	holds []*hold
	by    []Block
}

// A hold is a lock that a task has, waiting or not.
type hold struct {
	Object
	task    string
	of      *node // nil: it doesn't wait, as far as is known
	keys    []string
	last    bool // the last one of its list
	implied bool // no list says so, the place where the task is does
}

// A builder turns what a Reader has read into a Graph.
type builder struct {
	*Reader
	nodes []*node
	index map[string]int     // of nodes, by name
	byPid map[int]*task      // as Reader.tasks
	held  map[string][]*hold // by key
	waits map[string][]*node // who waits for a lock, by key
}

// Graph works out who waits for whom from everything read. A Block is
//
//   - Holds if a list of held locks, or the kernel's own note, names the holder;
//     of a lock printed without address only its class is compared, so where
//     many locks may share that (its name begins with "&") it is Inferred;
//   - Queued for a writer that keeps a reader of the same lock out;
//   - Runs if a kthread or a worker is known by name, from the function that
//     waits for it or from the dump of the workqueues;
//   - Inferred if nothing names the thread, but exactly one that could be meant
//     waits, through locks, for the task that waits for it; or if the boot
//     lists no locks, and a holder is known only by where it is.
//
// A task that is acquiring a lock is listed as holding it (lock_acquire comes
// before the wait): the last lock that its own stack takes isn't a held one.
func (r *Reader) Graph() *Graph {
	b := &builder{Reader: r, index: map[string]int{}, byPid: r.tasks, held: map[string][]*hold{}, waits: map[string][]*node{}}
	r.commitAll() // the input may end within a list
	b.addTasks()
	b.settleLocks()
	for _, n := range b.nodes {
		n.by = b.known(n)
	}
	b.nameServants()
	return b.graph()
}

// addTasks makes nodes of tasks that wait, and holds of all locks listed.
func (b *builder) addTasks() {
	var all []*task
	for _, t := range b.tasks {
		all = append(all, t)
	}
	slices.SortFunc(all, func(x, y *task) int { return cmp.Or(strings.Compare(x.comm, y.comm), cmp.Compare(x.pid, y.pid)) })
	for _, t := range all {
		locks := t.held()
		if t.list < b.complete {
			locks = nil // a later list of everything doesn't have it
		}
		n := &node{task: t, wait: waitOf(t.stack)}
		if !n.told() || !n.blocked(t.state) || t.stale() || len(b.nodes) == maxWaits {
			b.addHolds(t, nil, locks)
			continue
		}
		b.index[t.name()] = len(b.nodes)
		b.nodes = append(b.nodes, n)
		if i := n.acquiring(locks); i >= 0 {
			n.lock = &locks[i]
			locks = slices.Delete(slices.Clone(locks), i, i+1)
			if n.object.Kind.isLock() {
				n.object.Name = lockName(n.lock)
			}
		}
		b.addHolds(t, n, locks)
	}
}

// told reports whether a stack says anything of the wait: it may have been cut off.
func (n *node) told() bool { return n.site < len(n.stack) || n.object.Name != "" }

// stale reports whether a list of locks shows that the task went on after its
// stack was printed.
func (t *task) stale() bool {
	return t.awaited != "" && t.dumped < t.listed && !slices.Contains(t.locks, t.awaited)
}

// held reads the list of the task's locks.
func (t *task) held() []lockdep.Lock {
	var locks []lockdep.Lock
	for _, line := range t.locks {
		if l := lockdep.ParseLock(line); l != nil {
			locks = append(locks, *l)
		}
	}
	return locks
}

// acquiring returns the index of the listed lock that the node waits for, or
// -1: the last one whose place of acquisition is in the wait or calls it.
func (n *node) acquiring(locks []lockdep.Lock) int {
	if !n.takes {
		return -1
	}
	near := n.stack[:min(n.site+2, len(n.stack))]
	for i := len(locks) - 1; i >= 0; i-- {
		l := &locks[i]
		if (n.object.Kind == KernfsDrain) != (l.Class == "kn->active") || strings.HasPrefix(l.Class, "(w") {
			continue // "(work_completion)" and "(wq_completion)" stand for work items
		}
		if n.object.Kind.isLock() && n.object.Name != "" && n.object.Name != lockName(l) {
			continue
		}
		if slices.ContainsFunc(near, func(f frame.Frame) bool { return f.Func == frame.Bare(l.At) }) {
			return i
		}
	}
	return -1
}

// lockName is the class without its nesting subclass, which belongs to an
// acquisition and not to the lock.
func lockName(l *lockdep.Lock) string {
	name := l.Class
	if i := strings.LastIndexByte(name, '/'); i > 0 && i+1 < len(name) && strings.Trim(name[i+1:], "0123456789") == "" {
		name = name[:i]
	}
	return name
}

// keysOf returns the names under which a lock can be found, the surest first.
func keysOf(l *lockdep.Lock) []string {
	keys := []string{l.Name}
	if l.Addr != "" {
		keys = []string{"@" + l.Addr}
	}
	return append(keys, "class "+lockName(l))
}

func (b *builder) addHolds(t *task, n *node, locks []lockdep.Lock) {
	for i := range locks {
		l := &locks[i]
		if strings.HasPrefix(l.Class, "(w") || lent(l.Class, frame.Bare(l.At)) {
			continue
		}
		h := &hold{Object: Object{Lock, lockName(l), modeOf(l)}, task: t.name(), of: n, keys: keysOf(l), last: i == len(locks)-1}
		b.hold(h)
	}
	if n == nil || b.lists > 0 {
		return
	}
	for _, o := range implied(n.stack[n.site:]) {
		b.hold(&hold{Object: o, task: t.name(), of: n, keys: []string{"class " + o.Name}, implied: true})
	}
}

func (b *builder) hold(h *hold) {
	if h.of != nil {
		h.of.holds = append(h.of.holds, h)
	}
	for _, k := range slices.Compact(h.keys) {
		b.held[k] = append(b.held[k], h)
	}
}

// key returns the name under which the lock that a node waits for is found,
// and whether it stands for that lock alone.
func (n *node) key() (key string, sure bool) {
	if n.lock != nil {
		keys := keysOf(n.lock)
		return keys[0], n.lock.Addr != "" || single(n.lock.Class)
	}
	if n.object.Name == "" || !n.object.Kind.isLock() {
		return "", false
	}
	return "class " + n.object.Name, single(n.object.Name)
}

// single reports whether a class has one lock only: its name is then a
// variable's, and not an expression.
func single(class string) bool {
	return frame.IsName(class)
}

// graph makes the result.
func (b *builder) graph() *Graph {
	g := &Graph{Waits: []Wait{}}
	for _, n := range b.nodes {
		w := Wait{Task: n.name(), Object: n.object, By: n.by, Worker: n.worker, Kthread: n.kthread}
		if n.site < len(n.stack) {
			w.Site = n.stack[n.site].Func
		}
		for _, h := range n.holds {
			w.Holds = append(w.Holds, h.Object)
		}
		for _, f := range n.stack {
			w.Stack = append(w.Stack, f.Func)
		}
		g.Waits = append(g.Waits, w)
	}
	g.Cycle = g.smallestCycle(slices.Repeat([]bool{true}, len(g.Waits)))
	return g
}
