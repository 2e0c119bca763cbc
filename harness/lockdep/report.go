// SPDX-License-Identifier: Apache-2.0

// Package lockdep holds the kernel's lock order as data: what a report of the
// lock validator's family says about locks, their classes, modes and acquire
// sites, and the edges of the cycle. It is pure and knows nothing about
// consoles.
package lockdep

// A Report is one complaint of lockdep's family, as a model. A field that the
// complaint doesn't have, or that was cut off, is empty.
type Report struct {
	Kind    Kind     `json:"kind"`
	Classes []string `json:"classes,omitempty"` // the lock classes involved, normalised, sorted, once each
	Edges   []Edge   `json:"edges,omitempty"`   // the path or cycle, in its order; the last edge of a cycle closes it

	Task    string `json:"task,omitempty"`    // who complained, "comm/pid"
	Tried   *Lock  `json:"tried,omitempty"`   // the lock being acquired, released or freed
	Holding *Lock  `json:"holding,omitempty"` // the lock that it conflicts with
	Chain   []Link `json:"chain,omitempty"`   // what lockdep remembers: of a cycle the new acquisition (#0) first, of an irq order the safe lock first
	Steps   []Step `json:"steps,omitempty"`   // the scenario, as the kernel drew it
	Held    []Lock `json:"held,omitempty"`    // all locks the task holds, oldest first
	Holds   int    `json:"holds,omitempty"`   // how many they are, as the kernel says; Held may have fewer
	Others  []Held `json:"others,omitempty"`  // the locks that other tasks hold, where the complaint lists them

	Usage  string  `json:"usage,omitempty"`  // of an inconsistent state as printed, "IN-SOFTIRQ-R -> SOFTIRQ-ON-W"; of an irq order the context, "SOFTIRQ"
	Usages []Usage `json:"usages,omitempty"` // where the usages that exclude each other were seen

	Context int    `json:"context,omitempty"` // of an invalid wait context: the wait type that the task's context allows
	Nest    string `json:"nest,omitempty"`    // the class that should have been held around Tried
	Rule    string `json:"rule,omitempty"`    // the broken rule as the kernel words it: RCU, assertions
	Where   string `json:"where,omitempty"`   // "file:line" of that rule
	Work    string `json:"work,omitempty"`    // the work function that leaked the lock
	RCU     *RCU   `json:"rcu,omitempty"`

	// Incomplete says that links of the chain are missing, and so edges.
	Incomplete bool `json:"incomplete,omitempty"`
}

// A Kind says which of lockdep's complaints a Report is.
type Kind string

// The kinds, with the function that prints each; of kernel/locking/lockdep.c
// where no file is named.
const (
	Circular          Kind = "circular"           // print_circular_bug
	Recursive         Kind = "recursive"          // print_deadlock_bug
	IRQUnsafe         Kind = "irq-unsafe-order"   // print_bad_irq_dependency: X-safe -> X-unsafe lock order
	IRQInversion      Kind = "irq-inversion"      // print_irq_inversion_bug
	InconsistentState Kind = "inconsistent-state" // print_usage_bug
	BadUnlock         Kind = "bad-unlock"         // print_unlock_imbalance_bug
	BadContention     Kind = "bad-contention"     // print_lock_contention_bug
	HeldLockFreed     Kind = "held-lock-freed"    // print_freed_lock_bug
	StillHeld         Kind = "still-held"         // print_held_locks_bug, and exit_robust_list's own in old kernels
	ReturnsHolding    Kind = "returns-holding"    // lockdep_sys_exit
	InvalidWait       Kind = "invalid-wait"       // print_lock_invalid_wait_context
	NestNotTaken      Kind = "nest-not-taken"     // print_lock_nested_lock_not_held
	SuspiciousRCU     Kind = "suspicious-rcu"     // lockdep_rcu_suspicious
	WorkLeak          Kind = "work-leak"          // kernel/workqueue.c process_one_work
	Unregistered      Kind = "unregistered"       // assign_lock_key, lockdep_init_map_type, look_up_lock_class
	Assertion         Kind = "assertion"          // include/linux/lockdep.h lockdep_assert, and what is built on it
	SelfCheck         Kind = "self-check"         // include/linux/debug_locks.h DEBUG_LOCKS_WARN_ON: lockdep is off from then on
)

// An Edge says that To was acquired while From was held.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
	// FromIs and ToIs tell apart classes that print alike: of kn->active the
	// sysfs attribute or other file, of a work item its function. They are
	// empty where no stack tells, and never part of an identity (see Signature).
	FromIs string `json:"from_is,omitempty"`
	ToIs   string `json:"to_is,omitempty"`
}

// A Mode says how a lock was acquired.
type Mode string

// The modes; "" where nothing tells.
const (
	Read      Mode = "read"
	Write     Mode = "write"     // of a lock that also has readers
	Exclusive Mode = "exclusive" // of one that has none
	Sync      Mode = "sync"      // waits until the lock is free without taking it (lock_sync)
)

// A Lock is one line of a report that names a lock.
type Lock struct {
	Class  string `json:"class"`          // normalised, see normalizeClass
	Name   string `json:"name"`           // as printed, "#N" included
	Addr   string `json:"addr,omitempty"` // hexadecimal, as printed; may be hashed
	Usage  string `json:"usage,omitempty"`
	Outer  int    `json:"outer,omitempty"`  // wait types as printed, "-{2:3}" (enum lockdep_wait_type; the numbers differ between kernels)
	Inner  int    `json:"inner,omitempty"`  // of these, the one that limits what may be acquired inside
	At     string `json:"at,omitempty"`     // the function that acquired it, without offset
	Offset string `json:"offset,omitempty"` // into that function, "0x2d/0x107"
	Mode   Mode   `json:"mode,omitempty"`
	Site   string `json:"site,omitempty"` // of the lock tried: the function on whose behalf, see Site
}

// A Link is one step of a dependency chain: Class was acquired, by Stack,
// while the class of the link before it was held.
type Link struct {
	Class string   `json:"class"`
	Key   string   `json:"key,omitempty"` // symbol of the class's key, where the report has it
	Mode  Mode     `json:"mode,omitempty"`
	Site  string   `json:"site,omitempty"`  // the function of the stack that wanted the lock, see Site
	Stack []string `json:"stack,omitempty"` // innermost first, without offsets
}

// A Step is one line of the scenario that lockdep draws.
type Step struct {
	CPU   int    `json:"cpu"`
	Do    string `json:"do"`              // "lock", "rlock", "sync", "local_irq_disable", "interrupt"
	Class string `json:"class,omitempty"` // of the first three
	In    bool   `json:"in,omitempty"`    // it happens in the interrupt
}

// Held is what one task holds.
type Held struct {
	Task  string `json:"task"`  // "comm/pid"
	Count int    `json:"count"` // as the kernel says; Locks may have fewer
	Locks []Lock `json:"locks,omitempty"`
}

// A Usage is the place where a lock was used in a way that excludes another.
type Usage struct {
	Class string   `json:"class"`
	State string   `json:"state"` // "IN-SOFTIRQ-R" as printed, or "HARDIRQ-safe", "HARDIRQ-unsafe"
	Stack []string `json:"stack,omitempty"`
}

// RCU is what a suspicious RCU usage says about the state it was in.
type RCU struct {
	Scheduler  int    `json:"scheduler"`         // rcu_scheduler_active: 0 before, 1 while, 2 after the scheduler came up
	DebugLocks bool   `json:"debug_locks"`       // lockdep was on; otherwise the complaint may be false
	Illegal    string `json:"illegal,omitempty"` // "offline CPU", "idle CPU", "extended quiescent state"
}
