// SPDX-License-Identifier: Apache-2.0

// Package waitfor holds a hang as data: who waits, on what, who has it, and
// the cycle in it. It is pure and knows nothing about consoles' prefixes.
package waitfor

// A Graph says who waits for whom at one time in one kernel.
type Graph struct {
	Waits []Wait `json:"waits"` // one for each task that waits, sorted by task
	// Cycle indexes Waits: each of these waits for the task of the next one,
	// and the last for that of the first. Empty when none is known.
	Cycle []int `json:"cycle,omitempty"`
}

// A Wait is one task that can't go on.
type Wait struct {
	Task   string   `json:"task"`             // "comm/pid"
	Object Object   `json:"object"`           // what it waits for
	Site   string   `json:"site"`             // the function that waits, primitives left out
	By     []Block  `json:"by,omitempty"`     // who keeps it from going on, as far as is known
	Holds  []Object `json:"holds,omitempty"`  // the locks it holds, oldest first
	Stack  []string `json:"stack,omitempty"`  // innermost first, without offsets
	Worker string   `json:"worker,omitempty"` // of a kworker: the function of its work item

	Kthread bool `json:"kthread,omitempty"` // it is a kernel thread: its name is the kernel's, not a user's
}

// An Object is what a task waits for or holds.
type Object struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name,omitempty"` // lock class, normalised as in package lockdep; work function; kthread; "" where nothing tells
	Mode Mode   `json:"mode,omitempty"`
}

// A Kind of object.
type Kind string

// The kinds, with what a task waits for in each.
const (
	Mutex       Kind = "mutex"        // its owner's unlock
	RWSem       Kind = "rwsem"        // its holders' release
	PercpuRWSem Kind = "percpu-rwsem" // the same; a queued writer keeps new readers out
	Spinlock    Kind = "spinlock"
	Lock        Kind = "lock"         // one of the above: held, and the report doesn't say which
	Completion  Kind = "completion"   // somebody's complete()
	KthreadStop Kind = "kthread-stop" // a kthread's end
	KthreadPark Kind = "kthread-park" // a kthread's parking
	KthreadNew  Kind = "kthread-new"  // kthreadd, which makes a kthread
	Work        Kind = "work"         // a work item's, or a workqueue's, end
	KernfsDrain Kind = "kernfs-drain" // the last reader or writer of a sysfs file that is going away
	RCU         Kind = "rcu"          // a grace period
	CPUHP       Kind = "cpuhp"        // a CPU's hotplug thread
	StopMachine Kind = "stop-machine" // the stopper threads of all CPUs
	Other       Kind = "other"        // something that this package doesn't know
)

// A Mode of a lock; "" where it has one mode only, or the report doesn't say.
type Mode string

// The modes.
const (
	Read  Mode = "read"
	Write Mode = "write"
)

// A Block is one task that keeps another from going on.
type Block struct {
	Task string `json:"task"`
	Why  Why    `json:"why"`
	Mode Mode   `json:"mode,omitempty"` // in which it holds, or queues for, the lock
}

// Why says how a Block is known.
type Why string

// The reasons, the surest first.
const (
	Holds    Why = "holds"    // the kernel lists it as holder, or names it as owner
	Queued   Why = "queued"   // it waits for the same lock to write, ahead of a reader
	Runs     Why = "runs"     // it is the thread, or runs the work item, that is waited for, by name
	Inferred Why = "inferred" // the dump doesn't say so, but it is the only one that fits (see Reader.Graph)
)
