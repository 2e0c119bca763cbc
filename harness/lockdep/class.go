// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"slices"
	"strings"
)

// NormalizeClass turns the printed name of a lock class into one that is the
// same in every boot and, where the kernel only changed its spelling, in every
// kernel:
//
//   - "#N" goes: it numbers the classes that share a name in the order in
//     which this boot met them (kernel/locking/lockdep.c, count_matching_names).
//   - "/N" stays: it is the nesting subclass, and part of the code.
//   - "&(&x->lock)->rlock" (spinlocks before 5.5) is "&x->lock".
//   - "x.rw_sem" (the rwsem inside a percpu_rw_semaphore before 5.7) is "x".
func NormalizeClass(name string) string {
	name = strings.TrimSpace(name)
	name = cutInstance(name)
	name, sub := cutSubclass(name)
	if inner, ok := strings.CutPrefix(name, "&("); ok {
		if inner, ok = strings.CutSuffix(inner, ")->rlock"); ok {
			name = inner
		}
	}
	return strings.TrimSuffix(name, ".rw_sem") + sub
}

// cutInstance removes every "#digits".
func cutInstance(name string) string {
	if !strings.Contains(name, "#") {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		if name[i] == '#' {
			end := i + 1 + digits(name[i+1:])
			if end > i+1 {
				i = end
				continue
			}
		}
		b.WriteByte(name[i])
		i++
	}
	return b.String()
}

// cutSubclass splits a trailing "/digits" off.
func cutSubclass(name string) (base, sub string) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 || i+1 == len(name) || digits(name[i+1:]) != len(name)-i-1 {
		return name, ""
	}
	return name[:i], name[i:]
}

// digits counts the leading decimal digits of s.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// Signature names the complaint by its lock classes alone: the kind and its
// sorted set of edges, or of classes where there is no cycle. Which task
// tripped over it, at which end of the cycle, and through which functions
// makes no difference.
func (r *Report) Signature() string {
	var parts []string
	for _, e := range r.Edges {
		parts = append(parts, e.From+" -> "+e.To)
	}
	if len(parts) == 0 {
		parts = slices.Clone(r.Classes)
	}
	slices.Sort(parts)
	parts = slices.Compact(parts)
	sig := string(r.Kind) + ": " + strings.Join(parts, ", ")
	if r.Usage != "" {
		sig += " {" + r.Usage + "}"
	}
	return sig
}
