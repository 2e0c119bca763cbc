// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/splat"
	"plugstorm/harness/vm"
)

// suspectAfter is how long tasks may be blocked, without running for a moment,
// before the kernel is asked who holds what. Not stretched: to ask too early
// costs a few lines on the console.
const suspectAfter = 5 * time.Second

// These are stretched by the guest's slowness.
const (
	// stuckLook is the pause between two looks at the blocked tasks.
	stuckLook = 2 * time.Second

	// suspectAgain is how long nobody is asked again after that.
	suspectAgain = 15 * time.Second

	// confirmAfter is how long a cycle must last after the kernel has shown it.
	// A thread that is known by its name only may be another one's twin.
	confirmAfter = 2 * time.Second

	// stuckAfter is how long a task may stay blocked in a guest whose storm is over.
	stuckAfter = 15 * time.Second

	// stuckWords is how long khungtaskd may take to say what it thinks of it.
	stuckWords = hungTask/hungTaskLooks + 10*time.Second
)

// standstill says since when tasks have been blocked without running.
type standstill map[agent.BlockedTask]time.Time

// narrow forgets the tasks that are not blocked any more, or have run.
func (s standstill) narrow(now []agent.BlockedTask) {
	maps.DeleteFunc(s, func(t agent.BlockedTask, _ time.Time) bool { return !slices.Contains(now, t) })
}

// look takes in which tasks are blocked now.
func (s standstill) look(now []agent.BlockedTask) {
	s.narrow(now)
	for _, t := range now {
		if _, known := s[t]; !known {
			s[t] = time.Now()
		}
	}
}

// of lists the tasks that have stood still for at least d.
func (s standstill) of(d time.Duration) []agent.BlockedTask {
	var tasks []agent.BlockedTask
	for t, since := range s {
		if time.Since(since) >= d {
			tasks = append(tasks, t)
		}
	}
	slices.SortFunc(tasks, func(a, b agent.BlockedTask) int { return a.PID - b.PID })
	return tasks
}

// watchDeadlock looks for tasks that wait for each other, until ctx ends.
// The kernel's own hung-task detector takes a minute and more.
func (g *guest) watchDeadlock(ctx context.Context) {
	still := standstill{}
	var asked time.Time
	for op.Pause(ctx, g.vm.Deadline(stuckLook)) {
		tasks, _ := g.blocked(ctx) // one that doesn't answer is watchHealth's
		still.look(tasks)
		if len(still.of(suspectAfter)) == 0 || time.Since(asked) < g.vm.Deadline(suspectAgain) {
			continue
		}
		asked = time.Now()
		if g.deadlocked(ctx, still) {
			return
		}
	}
}

// deadlocked asks the kernel who holds what, and looks in its answer for tasks
// that wait for each other. They must have stood still since before the kernel
// was asked, and must still do so confirmAfter later. Then it is a complaint.
func (g *guest) deadlocked(ctx context.Context, still standstill) bool {
	tasks := still.of(suspectAfter)
	g.live.record()
	g.askWaits(ctx)
	g.awaitAnswer(ctx)
	said, from, to := g.live.play()
	if _, ok := splat.Deadlock(said, pids(tasks)); !ok || !op.Pause(ctx, g.vm.Deadline(confirmAfter)) {
		return false
	}
	now, _ := g.blocked(ctx)
	still.narrow(now)
	tasks = slices.DeleteFunc(tasks, func(t agent.BlockedTask) bool { return still[t].IsZero() })
	found, ok := splat.Deadlock(said, pids(tasks))
	if !ok {
		return false
	}
	g.history.Add(history.Event{
		Type: history.Stuck, Guest: g.number, Text: "they wait for each other: " + names(tasks),
		Stuck: &history.Tasks{PIDs: pids(tasks), For: suspectAfter + g.vm.Deadline(confirmAfter), From: from, To: to},
	})
	g.deadlock.Store(true)
	g.onComplaint(found)
	return true
}

// blockedHeading begins the answer to SysRq-w (drivers/tty/sysrq.c).
const blockedHeading = "Show Blocked State"

// awaitAnswer waits until the kernel has answered a SysRq-w, for a while.
func (g *guest) awaitAnswer(ctx context.Context) {
	short, cancel := context.WithTimeout(ctx, g.vm.Deadline(sysrqLimit))
	defer cancel()
	for !g.live.recorded(blockedHeading) && op.Pause(short, quietAfter/5) {
	}
	g.letSpeak(ctx)
}

// stuck sees to it that no hang goes unnoticed because the guest's time was up
// before the kernel's hung-task timeout: the guest is kept for as long as tasks
// are blocked that were so when its storm ended. If some never run in
// stuckAfter, with nobody asking anything of the guest, or wait for each other,
// it is recorded, and the kernel is made to speak. It reports whether there are
// such tasks.
func (g *guest) stuck() bool {
	ctx, cancel := context.WithTimeout(g.parent, g.vm.Deadline(confirmAfter+stuckAfter+stuckWords+collectLimit))
	defer cancel()
	now, err := g.blocked(ctx)
	still := standstill{}
	still.look(now)
	for asked := false; err == nil && len(still) > 0; still.narrow(now) {
		if tasks := still.of(g.vm.Deadline(stuckAfter)); len(tasks) > 0 {
			g.history.Add(history.Event{
				Type: history.Stuck, Guest: g.number, Text: "blocked although the storm is over: " + names(tasks),
				Stuck: &history.Tasks{PIDs: pids(tasks), For: g.vm.Deadline(stuckAfter)},
			})
			g.makeSpeak(ctx)
			return true
		}
		if !asked && len(still.of(suspectAfter)) > 0 {
			if asked = true; g.deadlocked(ctx, still) {
				g.makeSpeak(ctx)
				return true
			}
		}
		if !op.Pause(ctx, g.vm.Deadline(stuckLook/4)) {
			return false
		}
		now, err = g.blocked(ctx)
	}
	if err != nil && !op.Gone(err) && g.parent.Err() == nil {
		g.blame(lost(blame.Harness, "see the end of its "+vm.ConsoleLog, "the guest's agent does not say at the end which tasks are blocked: %w", err))
	}
	return false
}

// blocked asks which tasks are blocked.
func (g *guest) blocked(ctx context.Context) ([]agent.BlockedTask, error) {
	ctx, cancel := context.WithTimeout(ctx, g.vm.Deadline(answerLimit))
	defer cancel()
	var reply agent.BlockedReply
	err := g.vm.Agent.Call(ctx, agent.MethodBlocked, nil, &reply)
	return reply.Tasks, err
}

func pids(tasks []agent.BlockedTask) []int {
	var all []int
	for _, t := range tasks {
		all = append(all, t.PID)
	}
	return all
}

func names(tasks []agent.BlockedTask) string {
	var all []string
	for _, t := range tasks {
		all = append(all, fmt.Sprintf("%s/%d", t.Name, t.PID))
	}
	return strings.Join(all, ", ")
}

// makeSpeak has khungtaskd report the tasks that have been blocked for two
// thirds of stuckAfter (it counts from its own look at them), waits until it
// has, and asks for the locks held and for all blocked tasks.
func (g *guest) makeSpeak(ctx context.Context) {
	before := g.seen.Load()
	timeout := strconv.Itoa(max(1, int(g.vm.Deadline(stuckAfter).Seconds()*2/3)))
	if g.writeFile(ctx, hungTaskTimeout, timeout) == nil {
		words, cancel := context.WithTimeout(ctx, g.vm.Deadline(stuckWords))
		defer cancel()
		for g.seen.Load() == before && op.Pause(words, g.vm.Deadline(stuckLook/4)) {
			g.live.settle(g.vm.Deadline(settleAfter))
		}
	}
	g.letSpeak(ctx)
	g.askWaits(ctx)
}
