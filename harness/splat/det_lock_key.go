// SPDX-License-Identifier: Apache-2.0

package splat

import "strings"

// LockKey reads lockdep's complaints about locks whose class it can't tell.
var LockKey = register(&Detector{
	Name: "lock_key",
	Doc: "A lock used before it was initialised, or whose key isn't static and wasn't registered, or that is nested too deeply " +
		"(kernel/locking/lockdep.c assign_lock_key, lockdep_init_map_type, look_up_lock_class). Identity: the function that used the lock, and its callers.",
	Anchors: []string{"non-static key", "not in .data!", "has not been registered!", "looking up invalid subclass"},
	Begins:  matching(`INFO: trying to register non-static key|BUG: key \S+ (?:not in \.data|has not been registered)!|BUG: looking up invalid subclass`),
	Read: func(r *Report, f *Finding) {
		f.Type, f.Blinds = TypeNone, true
		f.Stack = r.traceStack(0)
		f.Locks = r.locks()
		f.in(keyTitle(r.Head()), f.Stack, "lock", "stack")
		f.Corrupted = f.Corrupted || len(f.Stack) == 0
	},
})

// keyTitle is the complaint without the key's address and the subclass.
func keyTitle(head string) string {
	switch {
	case strings.Contains(head, "invalid subclass"):
		return "BUG: looking up invalid lock subclass"
	case strings.Contains(head, "BUG: key"):
		return "BUG: lock key not registered"
	}
	return "INFO: trying to register non-static key"
}
