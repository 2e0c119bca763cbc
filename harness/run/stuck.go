// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"plugstorm/harness/agent"
	"plugstorm/harness/blame"
	"plugstorm/harness/history"
	"plugstorm/harness/op"
	"plugstorm/harness/vm"
)

const (
	// stuckAfter is how long a task may stay blocked, without running for a
	// moment, in a guest whose storm is over. Stretched.
	stuckAfter = 15 * time.Second

	// stuckLook is the pause between two looks at the blocked tasks. Stretched.
	stuckLook = 250 * time.Millisecond

	// stuckWords is how long khungtaskd may take to say what it thinks of them.
	// Stretched.
	stuckWords = hungTask/hungTaskLooks + 10*time.Second
)

// stuck sees to it that no hang goes unnoticed because the guest's time was up
// before the kernel's hung-task timeout: the guest is kept for as long as tasks
// are blocked that were so when its storm ended. If some never run in
// stuckAfter, with nobody asking anything of the guest, the kernel is made to
// speak about them, by a timeout that has passed. It reports whether there are
// such tasks.
func (g *guest) stuck() bool {
	ctx, cancel := context.WithTimeout(g.run, g.vm.Deadline(stuckAfter+stuckWords+collectLimit))
	defer cancel()
	began := time.Now()
	tasks := g.blocked(ctx)
	for len(tasks) > 0 && time.Since(began) < g.vm.Deadline(stuckAfter) {
		if !pause(ctx, g.vm.Deadline(stuckLook)) {
			return false
		}
		now := g.blocked(ctx)
		tasks = slices.DeleteFunc(tasks, func(t agent.BlockedTask) bool { return !slices.Contains(now, t) })
	}
	if len(tasks) == 0 {
		return false
	}
	g.history.Add(history.Event{Type: history.Stuck, Guest: g.number, Text: sayBlocked(tasks, time.Since(began))})
	g.makeSpeak(ctx)
	return true
}

// blocked asks which tasks are blocked. A guest that can't tell is a fault,
// unless its end is recorded anyway.
func (g *guest) blocked(ctx context.Context) []agent.BlockedTask {
	ctx, cancel := context.WithTimeout(ctx, g.vm.Deadline(answerLimit))
	defer cancel()
	var reply agent.BlockedReply
	err := g.vm.Agent.Call(ctx, agent.MethodBlocked, nil, &reply)
	if err != nil && !op.Gone(err) && g.run.Err() == nil {
		g.blame(lost(blame.Harness, "see the end of its "+vm.ConsoleLog, "the guest's agent does not say at the end which tasks are blocked: %w", err))
	}
	return reply.Tasks
}

// sayBlocked names tasks.
func sayBlocked(tasks []agent.BlockedTask, since time.Duration) string {
	var names []string
	for _, t := range tasks {
		names = append(names, fmt.Sprintf("%s/%d", t.Name, t.PID))
	}
	return fmt.Sprintf("blocked for %s or longer after the storm: %s", since.Round(time.Second), strings.Join(names, ", "))
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
		for g.seen.Load() == before && pause(words, g.vm.Deadline(stuckLook)) {
			g.live.settle(g.vm.Deadline(settleAfter))
		}
	}
	g.letSpeak(ctx)
	g.sysrq(ctx, 'd')
	g.sysrq(ctx, 'w')
}
