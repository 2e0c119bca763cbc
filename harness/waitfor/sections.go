// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"plugstorm/harness/frame"
)

// maxKept bounds a line that something of is kept of.
const maxKept = 256

// stackLine takes a line of a task's dump behind its first.
func (r *Reader) stackLine(s *section, message string) bool {
	t := s.task
	if t == nil || t.dumped != s.dumped { // another source prints it too, and later
		return false
	}
	m := strings.TrimLeft(message, " ")
	switch {
	case strings.HasPrefix(m, "Workqueue: "):
		t.worker = workFunction(m)
	case m == "</TASK>":
		s.done = true
	case m == "</IRQ>", m == "</NMI>":
		t.stack = nil // this far it was the interrupt's
	default:
		if at, ok := frame.At(m); ok {
			s.interrupted(at)
			return true
		}
		f, ok := frame.Parse(message)
		if ok && !f.Doubtful && !s.done {
			t.push(f)
		}
		return ok
	}
	return true
}

// interrupted takes the place that an exception interrupted, or that the CPU
// was in: what the stack shows above it is the interrupt's. In user space, the
// kernel's part of the stack is over.
func (s *section) interrupted(at frame.Spot) {
	switch {
	case at.Func == "":
		s.done = s.done || len(s.task.stack) > 0
	case !s.done:
		s.task.stack = nil
		s.task.push(frame.Frame{Func: at.Func})
	}
}

// push adds a frame to a stack, as far as there is room.
func (t *task) push(f frame.Frame) {
	f.Func = frame.Bare(f.Func)
	switch f.Func {
	case "kthread":
		t.kthread = true
	case "process_one_work":
		if n := len(t.stack); t.worker == "" && n > 0 {
			t.worker = t.stack[n-1].Func
		}
	}
	if len(t.stack) < maxFrames {
		f.Func, f.Module = strings.Clone(f.Func), strings.Clone(f.Module)
		t.stack = append(t.stack, f)
	}
}

// workFunction reads print_worker_info's "Workqueue: events func (name)"
// (kernel/workqueue.c).
func workFunction(m string) string {
	f := strings.Fields(m)
	if len(f) < 3 || !frame.IsName(f[2]) {
		return ""
	}
	return strings.Clone(frame.Bare(f[2]))
}

// heldHeading begins a task's list of locks.
func (r *Reader) heldHeading(s *section, m string) bool {
	f := heldRE.FindStringSubmatch(m)
	if f == nil {
		return false
	}
	r.commit(s)
	r.clock++
	s.task, s.holder, s.begun = nil, r.task(f[2], f[3]), r.clock
	s.want, _ = strconv.Atoi(f[1])
	if s.number = s.whole; s.number == 0 {
		s.number = r.lists
	}
	return true
}

// lockLine takes an entry of a list of held locks. print_lock prints it in
// pieces, and when others print too each piece has a line of its own.
func (r *Reader) lockLine(s *section, message string) bool {
	if s.holder == nil || len(message) > maxKept {
		return false
	}
	if m := strings.TrimLeft(message, " "); entryRE.MatchString(m) {
		if _, lock, ok := strings.Cut(m, ":"); ok && len(s.locks) < maxLocks {
			s.locks = append(s.locks, strings.Clone(strings.TrimSpace(lock)))
		}
		return true
	}
	last := len(s.locks) - 1
	if last < 0 || whole(s.locks[last]) || len(s.locks[last])+len(message) > maxKept {
		return false
	}
	s.locks[last] += message
	return true
}

// whole reports whether an entry has its last piece.
func whole(lock string) bool { return strings.Contains(lock, ", at: ") }

// entryRE tells "#4: ..." from "#2){+.+.}", the end of a class's name.
var entryRE = regexp.MustCompile(`^#\d+:`)

// commit ends a list of locks. Several tasks may list all locks at a time, and
// a list may be cut short: of one task the latest complete list counts.
func (r *Reader) commit(s *section) {
	t, locks := s.holder, s.locks
	s.holder, s.locks = nil, nil
	switch {
	case t == nil, t.listed > s.begun:
	case len(locks) < s.want && t.listed > t.dumped:
		t.list = max(t.list, s.number)
	default:
		if n := len(t.locks); n > 0 && t.awaited == "" && t.dumped < t.listed {
			t.awaited = t.locks[n-1]
		}
		t.locks, t.list, t.listed = locks, max(t.list, s.number), s.begun
	}
}

// commitAll ends what all sources are listing.
func (r *Reader) commitAll() {
	for _, source := range slices.Sorted(maps.Keys(r.sources)) {
		r.commit(r.sources[source])
	}
}

var (
	// pr_cont_worker_id and pr_cont_work (kernel/workqueue.c)
	workerRE  = regexp.MustCompile(`^(\d+)(?:\(RESCUER\))?:([\w.]+)$`)
	barrierRE = regexp.MustCompile(`^BAR\((\d+)\)$`)
	workRE    = regexp.MustCompile(`^(?:\d+\*)?([A-Za-z_][\w.]*)$`)
	// rcu_print_task_stall (kernel/rcu/tree_stall.h)
	stalledRE = regexp.MustCompile(` P(\d+)\b`)
)

// other takes what stands outside of dumps: the state of workqueues, and the
// tasks that RCU says are in its way.
func (r *Reader) other(m string) {
	switch {
	case strings.HasPrefix(m, "in-flight:"), strings.HasPrefix(m, "pending:"), strings.HasPrefix(m, "inactive:"):
		r.works(m)
	case strings.Contains(m, "Tasks blocked on level-"):
		for _, f := range stalledRE.FindAllStringSubmatch(m, maxTasks) {
			if pid, err := strconv.Atoi(f[1]); err == nil && len(r.stalled) < maxTasks {
				r.stalled[pid] = true
			}
		}
	}
}

// works reads "in-flight: 12:func BAR(34), 56:other" and "pending: func,
// BAR(34)". A barrier is what flush_work queues behind the work item.
func (r *Reader) works(m string) {
	worker, function := 0, ""
	for _, word := range strings.FieldsFunc(m, func(c rune) bool { return c == ' ' || c == ',' }) {
		if f := workerRE.FindStringSubmatch(word); f != nil {
			worker, _ = strconv.Atoi(f[1])
			function = strings.Clone(frame.Bare(f[2]))
			if len(r.running) < maxTasks {
				r.running[worker] = function
			}
		} else if f := barrierRE.FindStringSubmatch(word); f != nil {
			pid, _ := strconv.Atoi(f[1])
			switch {
			case len(r.barriers)+len(r.flushed) >= maxTasks:
			case worker != 0:
				r.barriers[pid] = worker
			case function != "":
				r.flushed[pid] = function
			}
		} else if f := workRE.FindStringSubmatch(word); f != nil && worker == 0 {
			function = strings.Clone(frame.Bare(f[1]))
		}
	}
}
