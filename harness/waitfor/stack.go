// SPDX-License-Identifier: Apache-2.0

package waitfor

import (
	"cmp"

	"plugstorm/harness/frame"
)

// A wait is what a stack says about the wait of its task.
type wait struct {
	object   Object
	site     int  // index of the first frame that is no primitive
	takes    bool // a lock is being acquired, which lockdep lists already
	behind   bool // in the queue of a percpu_rwsem
	generic  bool
	sleeping bool // a timer ends it
	spinning bool
}

// waitOf reads a stack, innermost frame first.
func waitOf(frames []frame.Frame) wait {
	var w wait
	for w.site < len(frames) {
		if _, ok := schedules.find(frames[w.site].Func); !ok {
			break
		}
		w.site++
	}
	if w.site == 0 {
		w.spinning = true // it didn't give up its CPU
	}
	for w.site < len(frames) {
		p, ok := primitiveOf.find(frames[w.site].Func)
		if !ok || !w.add(p) {
			break
		}
		w.site++
	}
	if w.object.Kind == "" {
		w.object.Kind = Other
	}
	return w
}

// add takes in the next primitive outwards. It reports false when that belongs
// to another wait, and so is the caller.
func (w *wait) add(p *primitive) bool {
	o := p.object
	switch {
	case p.how&asleep != 0:
		w.sleeping = w.sleeping || w.object.Kind == ""
	case w.object.Kind == "":
		w.object, w.generic = o, p.how&generic != 0
		w.spinning = w.spinning && p.how&spins != 0
	case w.generic && !o.Kind.isLock():
		w.object, w.generic = o, p.how&generic != 0
	case o.Kind == w.object.Kind:
		if o.Mode != "" && w.object.Mode != "" && o.Mode != w.object.Mode {
			return false
		}
		w.object.Mode = cmp.Or(w.object.Mode, o.Mode)
		w.object.Name = cmp.Or(w.object.Name, o.Name)
	case w.object.Kind != RCU || !o.Kind.isLock():
		return false // but percpu_down_write waits for a grace period first
	}
	w.takes = w.takes || o.Kind.isLock() || o.Kind == KernfsDrain
	w.behind = w.behind || p.how&behind != 0
	return true
}

// isLock reports whether objects of the kind have holders.
func (k Kind) isLock() bool {
	switch k {
	case Mutex, RWSem, PercpuRWSem, Spinlock, Lock:
		return true
	}
	return false
}

// blocked reports whether a task in the given state, as sched_show_task
// prints it, waits in a way that somebody has to end.
func (w *wait) blocked(state byte) bool {
	switch state {
	case 'D':
		return !w.sleeping
	case 'R':
		return w.spinning && w.object.Kind != Other
	case 'S', 'I':
		// Threads without work wait interruptibly or idly; only what nobody
		// waits for without need counts.
		return !w.sleeping && w.object.Kind != Other && w.object.Kind != Completion && w.object.Kind != RCU
	}
	return false
}
