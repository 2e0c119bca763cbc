// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"regexp"
	"slices"
	"strings"
)

// Has reports whether all of some lock classes are in the report. In none, which
// nil is, there are no classes.
func (r *Report) Has(classes ...string) bool {
	return !slices.ContainsFunc(classes, func(class string) bool { return r == nil || !slices.Contains(r.Classes, class) })
}

// normalizeClass turns the printed name of a lock class into one that is the
// same in every boot and, where the kernel only changed its spelling, in every
// kernel:
//
//   - "#N" goes: it numbers the classes that share a name in the order in
//     which this boot met them (kernel/locking/lockdep.c, count_matching_names).
//     So kn->active#37 and kn->active#12 are one class here; which file it is,
//     Edge.FromIs tells.
//   - "/N" stays: it is the nesting subclass, and part of the code.
//   - "&(&x->lock)->rlock" (spinlocks before 5.5) is "&x->lock".
//   - "x.rw_sem" (the rwsem inside a percpu_rw_semaphore before 5.7) is "x".
//   - Work items and workqueues have the prefix that they got in 4.15, and a
//     workqueue's name isn't quoted (that went in 5.1). The number of the device
//     that it ends in, if any, is "%d".
//   - "__key.123" (a class without a name) is "__key": the compiler counts.
//   - The locks in spellings have their newest name.
func normalizeClass(name string) string {
	name, sub := cutSubclass(strings.TrimSpace(cutInstance(name)))
	for { // a spelling may hide another; each round makes the name shorter or ends
		next := strings.TrimSpace(respell(name))
		if next == name {
			return name + sub
		}
		name = next
	}
}

// respell undoes one layer of spelling. Its own results it leaves alone.
func respell(name string) string {
	if to, ok := spellings[name]; ok {
		return to
	}
	if inner, ok := strings.CutPrefix(name, "&("); ok {
		if inner, ok = strings.CutSuffix(inner, ")->rlock"); ok {
			return inner
		}
	}
	if inner, ok := strings.CutSuffix(name, ".rw_sem"); ok && inner != "" {
		return inner
	}
	if queue, ok := strings.CutPrefix(name, completesQueue); ok {
		return completesQueue + queueName(queue)
	}
	if len(name) > 1 && name[0] == '"' {
		return completesQueue + queueName(name)
	}
	if strings.HasPrefix(name, "(&") && strings.HasSuffix(name, ")") && strings.Contains(name, "work") {
		return completesWork + name // a timer's name has the same form, but not the word
	}
	return keyRE.ReplaceAllString(name, "$1")
}

// The names that work items and workqueues have since 4.15 begin with these.
const (
	completesWork  = "(work_completion)"
	completesQueue = "(wq_completion)"
)

var (
	// A format string and its first argument: "%s"("ipv6_addrconf").
	queueRE = regexp.MustCompile(`^"%s"\s*\(?"?([^")]*)"?\)?$`)
	unitRE  = regexp.MustCompile(`[0-9]+$`)
	keyRE   = regexp.MustCompile(`^(__key|key)\.[0-9]+$`)
)

// queueName makes one name of the spellings of a workqueue's.
func queueName(name string) string {
	if m := queueRE.FindStringSubmatch(name); m != nil {
		name = m[1]
	}
	if len(name) > 1 && name[0] == '"' && name[len(name)-1] == '"' {
		name = name[1 : len(name)-1]
	}
	return unitRE.ReplaceAllString(name, "%d")
}

// spellings are locks that got another name and remained the same lock, with
// the last version that had the old one.
var spellings = map[string]string{
	"s_active":         "kn->active",       // 3.13
	"kn->count":        "kn->active",       // 5.x
	"cpu_hotplug.lock": "cpu_hotplug_lock", // 4.12
	"mem_hotplug.lock": "mem_hotplug_lock", // 4.12
	"&mm->mmap_sem":    "&mm->mmap_lock",   // 5.7
	"&rq->lock":        "&rq->__lock",      // 5.13
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
