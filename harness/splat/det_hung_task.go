// SPDX-License-Identifier: Apache-2.0

package splat

import (
	"regexp"
	"strings"

	"plugstorm/harness/frame"
)

// HungTask reads khungtaskd's reports.
var HungTask = register(&Detector{
	Name: "hung_task",
	Doc: "A task blocked for longer than hung_task_timeout_secs (kernel/hung_task.c check_hung_task). " +
		"Identity: the cycle of waits that it leads into, or what its chain of waits ends in (Explain); where the log doesn't " +
		"show that, the three innermost functions that it is blocked in, waiting primitives left out.",
	Anchors: []string{"blocked for more than", "can't die for more than", " for more than "},
	Begins:  hungRE.MatchString,
	Read:    readHungTask,
})

var hungRE = regexp.MustCompile(`INFO: task (.+?:\d+) (blocked|can't die)(?: [\w/ ]+)? for more than \d+ seconds`)

// blocking are parts of the names of functions in which every blocked task
// stands: the scheduler and the waiting primitives.
var blocking = []string{"sched", "_lock", "slowlock", "slowpath", "down", "rwsem", "completion", "kthread", "wait", "synchronize", "__switch_to", "context_switch", "cancel_delayed_work", "flush_work", "cancel_work", "rcu_barrier", "do_read_cache_"}

// gathering are functions that hang whenever something else does: all hangs in
// them share a title, the identity keeps them apart.
var gathering = regexp.MustCompile(`rtnl_(?:net_)?lock|^synchronize_(?:s?rcu|sched|net)`)

func readHungTask(r *Report, f *Finding) {
	m := hungRE.FindStringSubmatch(r.Head())
	f.Type = TypeHang
	f.Task = slashed(m[1])
	f.Stack = r.traceStack(0)
	if m[2] == "can't die" {
		f.in("INFO: task can't die", f.Stack, "schedule", "__switch_to")
		f.also("hang")
		return
	}
	fn := hungIn(f.Stack)
	f.Title = "INFO: task hung in " + orCorrupted(fn)
	f.Corrupted = fn == ""
	f.also("hang")
	if full := hungAt(f.Stack); full != "" {
		f.alt("INFO: task hung in " + full)
		f.alt("hang in " + full)
	}
	var where []string
	for _, fn := range f.Stack {
		if fn = frame.Bare(fn); len(where) < identityFrames && !isNoise(fn) && !containsAny(fn, blocking) {
			where = append(where, fn)
		}
	}
	if len(where) == 0 {
		where = []string{orCorrupted(fn)}
	}
	f.Identity = "hung_task: " + strings.Join(where, " < ")
}

// hungAt returns the gathering function that the task stands in, or "".
func hungAt(stack []string) string {
	for _, fn := range stack {
		if gathering.MatchString(fn) {
			return frame.Bare(fn)
		}
	}
	return ""
}

// hungIn names the function a blocked task is stuck in.
func hungIn(stack []string) string {
	if fn := hungAt(stack); fn != "" {
		if strings.HasPrefix(fn, "synchronize_") {
			return "synchronize_rcu"
		}
		return fn
	}
	for _, fn := range stack {
		if !containsAny(fn, blocking) {
			return frame.Bare(fn)
		}
	}
	return ""
}

// slashed turns "comm:pid" into "comm/pid".
func slashed(task string) string {
	return lastColonRE.ReplaceAllString(task, "/$1")
}

var lastColonRE = regexp.MustCompile(`:(\d+)$`)
