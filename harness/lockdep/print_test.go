// SPDX-License-Identifier: Apache-2.0

package lockdep

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// The other way round: reports printed from a model, in the kernel's format,
// for the properties of what is read from them.

// An acquisition is one step of a printed cycle or path.
type acquisition struct {
	class, instance string // "kn->active", "#37"
	stack           []string
	read            bool
}

func (a acquisition) name() string { return a.class + a.instance }

// A style is how one kernel prints.
type style struct {
	waits  string // "-{0:0}" since 5.7
	addr   string // before the name since 4.18
	bullet string // before a frame: "[<ffff>] " before 4.15
	sub    func(class string) string
}

var styles = []style{
	{"-{4:4}", "ffff888005c81e98 ", "", func(c string) string { return c }},
	{"", "ffff888005c81e98 ", "", func(c string) string { return "&(" + c + ")->rlock" }},
	{"", " ", "[<ffffffff8121a8d3>] ", func(c string) string { return c + ".rw_sem" }},
}

func (s style) lock(a acquisition) string {
	return s.addr + "(" + a.name() + "){+.+.}" + s.waits + ", at: " + s.bullet + a.stack[len(a.stack)-1] + "+0x10/0x20"
}

func (s style) frames(b *strings.Builder, indent string, stack []string) {
	for _, fn := range stack {
		fmt.Fprintf(b, "%s%s%s+0x10/0x20\n", indent, s.bullet, fn)
	}
	b.WriteString("\n")
}

// printCircular prints the cycle as lockdep does when the first acquisition is
// the one that closes it.
func (s style) printCircular(cycle []acquisition) string {
	var b strings.Builder
	first, last := cycle[0], cycle[len(cycle)-1]
	b.WriteString("WARNING: possible circular locking dependency detected\n6.12.0 #1 Not tainted\n------\n")
	fmt.Fprintf(&b, "t/1/22 is trying to acquire lock:\n%s\n\nbut task is already holding lock:\n%s\n\n", s.lock(first), s.lock(last))
	b.WriteString("which lock already depends on the new lock.\n\n\nthe existing dependency chain (in reverse order) is:\n")
	for i := len(cycle) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "\n-> #%d (%s){+.+.}%s:\n", i, cycle[i].name(), s.waits)
		s.frames(&b, "       ", cycle[i].stack)
	}
	b.WriteString("other info that might help us debug this:\n\n")
	if len(cycle) > 2 {
		fmt.Fprintf(&b, "Chain exists of:\n  %s --> %s --> %s\n\n", first.name(), cycle[len(cycle)-2].name(), last.name())
	}
	b.WriteString(" Possible unsafe locking scenario:\n\n       CPU0                    CPU1\n       ----                    ----\n")
	fmt.Fprintf(&b, "  lock(%s);\n%31slock(%s);\n%31slock(%s);\n  %s(%s);\n\n *** DEADLOCK ***\n\n", last.name(), "", cycle[len(cycle)-2].name(), "", last.name(),
		map[bool]string{true: "rlock", false: "lock"}[first.read], first.name())
	fmt.Fprintf(&b, "1 lock held by t/1/22:\n #0: %s\n\nstack backtrace:\nCall Trace:\n <TASK>\n", s.lock(last))
	s.frames(&b, " ", slices.Concat([]string{"dump_stack_lvl", "print_circular_bug", "__lock_acquire"}, first.stack))
	return b.String()
}

// printOrder prints an X-safe -> X-unsafe order; the new acquisition is that of
// path[at], at least 1.
func (s style) printOrder(path []acquisition, at int, state string) string {
	var b strings.Builder
	safe, unsafe := path[0], path[len(path)-1]
	fmt.Fprintf(&b, "WARNING: %s-safe -> %s-unsafe lock order detected\n6.12.0 #1 Not tainted\n------\n", state, state)
	fmt.Fprintf(&b, "t/1/22 [HC0[0]:SC0[2]:HE1:SE0] is trying to acquire:\n%s\n\nand this task is already holding:\n%s\n", s.lock(path[at]), s.lock(path[at-1]))
	fmt.Fprintf(&b, "which would create a new lock dependency:\n (%s){+.+.}%s -> (%s){+.+.}%s\n\n", path[at-1].name(), s.waits, path[at].name(), s.waits)
	fmt.Fprintf(&b, "but this new dependency connects a %s-irq-safe lock:\n (%s){+.+.}%s\n\n... which became %s-irq-safe at:\n", state, safe.name(), s.waits, state)
	s.frames(&b, "  ", safe.stack)
	fmt.Fprintf(&b, "to a %s-irq-unsafe lock:\n (%s){+.+.}%s\n\n... which became %s-irq-unsafe at:\n...\n", state, unsafe.name(), s.waits, state)
	s.frames(&b, "  ", unsafe.stack)
	fmt.Fprintf(&b, "the dependencies between %s-irq-safe lock and the holding lock:\n", state)
	for i, a := range path[:at] {
		s.class(&b, a, i > 0)
	}
	fmt.Fprintf(&b, "\nthe dependencies between the lock to be acquired\n and %s-irq-unsafe lock:\n", state)
	for _, a := range slices.Backward(path[at:]) {
		s.class(&b, a, true)
	}
	b.WriteString("\nstack backtrace:\n")
	return b.String()
}

func (s style) class(b *strings.Builder, a acquisition, acquired bool) {
	fmt.Fprintf(b, " -> (%s){+.+.}%s ops: 7 {\n    INITIAL USE at:\n", a.name(), s.waits)
	s.frames(b, "                     ", []string{"lock_acquire", "setup"})
	b.WriteString("  }\n  ... key      at: [<ffffffff8b363860>] __key.10+0x0/0x40\n")
	if acquired {
		b.WriteString("  ... acquired at:\n")
		s.frames(b, "   ", a.stack)
	}
}

// printInversion prints the same order as an inversion, found from its safe
// end (forward) or from its unsafe one.
func (s style) printInversion(path []acquisition, forward bool, state string) string {
	var b strings.Builder
	this, other := path[len(path)-1], path[0]
	sentence := "was taken by another, " + state + "-safe"
	if forward {
		this, other, sentence = other, this, "took another, "+state+"-unsafe"
	}
	b.WriteString("WARNING: possible irq lock inversion dependency detected\n6.12.0 #1 Not tainted\n------\n")
	fmt.Fprintf(&b, "t/1/22 just changed the state of lock:\n%s\nbut this lock %s lock in the past:\n (%s){+.+.}%s\n\n\n", s.lock(this), sentence, other.name(), s.waits)
	b.WriteString("and interrupts could create inverse lock ordering between them.\n\n\nthe shortest dependencies between 2nd lock and 1st lock:\n")
	if forward {
		for _, a := range slices.Backward(path) {
			s.class(&b, a, true)
		}
	} else {
		for i, a := range path { // each with the stack of the next
			s.class(&b, acquisition{a.class, a.instance, path[(i+1)%len(path)].stack, false}, true)
		}
	}
	b.WriteString("\nstack backtrace:\n")
	return b.String()
}

// drawPath draws between least and most acquisitions of different classes.
func drawPath(t *rapid.T, least, most int) []acquisition {
	classes := []string{"kn->active", "device_hotplug_lock", "mem_hotplug_lock", "slab_mutex", "cpu_hotplug_lock", "&zone->lock",
		"(wq_completion)kacpi_hotplug", "cpu_add_remove_lock", "cpuhp_state-up", "(work_completion)(&hpw->work)", "&sb->s_type->i_mutex_key", "&o_tty->termios_rwsem/1"}
	names := rapid.Permutation(classes).Draw(t, "classes")[:rapid.IntRange(least, most).Draw(t, "n")]
	var path []acquisition
	for i, c := range names {
		read := rapid.Bool().Draw(t, "read")
		primitive := "down_write"
		if read {
			primitive = "down_read"
		}
		stack := []string{"lock_acquire", primitive}
		if rapid.Bool().Draw(t, "sysfs") {
			stack = append(stack, "online_store", "dev_attr_store")
		}
		path = append(path, acquisition{c, "", append(stack, fmt.Sprintf("site_%d", i)), read})
	}
	return path
}

// disguise returns the path as another kernel in another boot would print it.
func disguise(t *rapid.T, s style, path []acquisition) []acquisition {
	other := slices.Clone(path)
	for i := range other {
		base, sub := cutSubclass(other[i].class)
		if sub == "" && base[0] != '(' && base[0] != '&' {
			base = s.sub(base)
		}
		other[i].class, other[i].instance = base, rapid.SampledFrom([]string{"", "#3", "#77"}).Draw(t, "instance")+sub
	}
	return other
}
