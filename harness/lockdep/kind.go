// SPDX-License-Identifier: Apache-2.0

package lockdep

import "strings"

// A kindPattern recognises the heading of one kind.
type kindPattern struct {
	mark string
	kind Kind
}

var kinds = []kindPattern{
	{"possible circular locking dependency detected", Circular},
	{"possible recursive locking detected", Recursive},
	{"-safe -> ", IRQUnsafe},
	{"possible irq lock inversion dependency detected", IRQInversion},
	{"inconsistent lock state", InconsistentState},
	{"bad unlock balance detected", BadUnlock},
	{"bad contention detected", BadContention},
	{"held lock freed", HeldLockFreed},
	{"still has locks held", StillHeld},
	{"lock held at task exit", StillHeld},
	{"lock held when returning to user space", ReturnsHolding},
	{"nvalid wait context", InvalidWait},
	{"ested lock was not taken", NestNotTaken},
	{"suspicious RCU usage", SuspiciousRCU},
	{"workqueue leaked", WorkLeak},
	{"trying to register non-static key", Unregistered},
	{"not in .data!", Unregistered},
	{"has not been registered!", Unregistered},
	{"looking up invalid subclass", Unregistered},
}

// kindOf reads the kind from a report's heading line, or returns "". The kinds
// of warnings, Assertion and SelfCheck, have no heading of their own.
func kindOf(heading string) Kind {
	for _, k := range kinds {
		if strings.Contains(heading, k.mark) {
			return k.kind
		}
	}
	return ""
}

// irqOrder reports whether the kind is about interrupts and a path of locks.
func (k Kind) irqOrder() bool { return k == IRQUnsafe || k == IRQInversion }
