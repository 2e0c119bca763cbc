// SPDX-License-Identifier: Apache-2.0

// Package lockdep holds the kernel's lock order as data: lock classes, modes,
// the edges of a reported cycle. It is pure and knows nothing about consoles.
package lockdep

// A Report is one complaint of lockdep's family, as a model. A field that the
// complaint doesn't have, or that was cut off, is empty.
type Report struct {
	Kind    Kind     `json:"kind"`
	Classes []string `json:"classes,omitempty"` // the lock classes involved, normalised, sorted, once each
	Edges   []Edge   `json:"edges,omitempty"`   // the cycle's edges, in its order; the last one closes it

	Task    string `json:"task,omitempty"`    // who complained, "comm/pid"
	Tried   *Lock  `json:"tried,omitempty"`   // the lock being acquired, released or freed
	Holding *Lock  `json:"holding,omitempty"` // the lock that it conflicts with
	Chain   []Link `json:"chain,omitempty"`   // what lockdep remembers, #0 (the new acquisition) first
	Held    []Lock `json:"held,omitempty"`    // all locks the task holds, oldest first
	Usage   string `json:"usage,omitempty"`   // of an inconsistent state: "IN-SOFTIRQ-R -> SOFTIRQ-ON-W"
}

// A Kind says which of lockdep's complaints a Report is.
type Kind string

// The kinds, with the function of kernel/locking/lockdep.c that prints each.
const (
	Circular          Kind = "circular"           // print_circular_bug
	Recursive         Kind = "recursive"          // print_deadlock_bug
	IRQUnsafe         Kind = "irq-unsafe-order"   // print_bad_irq_dependency: X-safe -> X-unsafe lock order
	IRQInversion      Kind = "irq-inversion"      // print_irq_inversion_bug
	InconsistentState Kind = "inconsistent-state" // print_usage_bug
	BadUnlock         Kind = "bad-unlock"         // print_unlock_imbalance_bug
	HeldLockFreed     Kind = "held-lock-freed"    // print_freed_lock_bug
	StillHeld         Kind = "still-held"         // print_held_locks_bug
	ReturnsHolding    Kind = "returns-holding"    // lockdep_sys_exit
	InvalidWait       Kind = "invalid-wait"       // print_lock_invalid_wait_context
	NestNotTaken      Kind = "nest-not-taken"     // print_lock_nested_lock_not_held
	SuspiciousRCU     Kind = "suspicious-rcu"     // lockdep_rcu_suspicious
)

// An Edge says that To was acquired while From was held.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// A Lock is one line of a report that names a lock.
type Lock struct {
	Class string `json:"class"`          // normalised, see NormalizeClass
	Name  string `json:"name"`           // as printed, "#N" included
	Addr  string `json:"addr,omitempty"` // hexadecimal, as printed; may be hashed
	Usage string `json:"usage,omitempty"`
	At    string `json:"at,omitempty"` // the function that acquired it, without offset
}

// A Link is one step of the existing dependency chain: Class was acquired, by
// Stack, while the class of the link before it was held.
type Link struct {
	Class string   `json:"class"`
	Stack []string `json:"stack,omitempty"` // innermost first, without offsets
}
